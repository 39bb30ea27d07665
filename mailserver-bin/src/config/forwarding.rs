//! `[forwarding]`: as whose mail of others goes on from addresses here.

use mailcore::address::Domain;

use super::file::Section;

/// What becomes of the sender of mail that is sent on.
#[derive(Debug, Clone, Default)]
pub(crate) struct ForwardingConfig {
    pub(crate) sender: ForwardedSender,
    /// Whose addresses stand for senders; `None` for the first local domain.
    pub(crate) domain: Option<Domain>,
}

/// Under whose name mail is sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ForwardedSender {
    /// Under an address of ours that leads back (SRS).
    #[default]
    Rewritten,
    /// Under the sender's own.
    Kept,
}

/// Reads the table.
pub(super) fn forwarding(root: &Section<'_, '_>, config: &mut ForwardingConfig) {
    let section = root.section("forwarding", "[forwarding]");
    if section.flag("srs") == Some(false) {
        config.sender = ForwardedSender::Kept;
    }
    if let Some(name) = section.string("srs_domain") {
        match Domain::parse(name.value) {
            Ok(domain) => config.domain = Some(domain),
            Err(error) => section.problem(name.line, format!("srs_domain: {error}")),
        }
    }
    section.finish();
}
