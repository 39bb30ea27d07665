//! `[filter.sender_auth]`: what is asked of who sent a message, whom that is believed
//! of, and what is written of it.

use mailcore::address::Domain;
use mailcore_filter::sender_auth::ask::{Logins, ReceivedSpf};

use super::Section;

/// The checks of senders.
#[derive(Debug, Clone)]
pub(crate) struct SenderAuthConfig {
    /// Hosts whose seals are believed, by the domains of their seals.
    pub(crate) trusted_sealers: Vec<Domain>,
    /// Whether results are written on mail.
    pub(crate) fields: Fields,
    pub(crate) received_spf: ReceivedSpf,
    pub(crate) logins: Logins,
    pub(crate) bimi: Bimi,
}

/// Whether Authentication-Results is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fields {
    Written,
    LeftOut,
}

/// Whether pictures of domains are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bimi {
    Asked,
    LeftOut,
}

impl Default for SenderAuthConfig {
    fn default() -> Self {
        Self {
            trusted_sealers: Vec::new(),
            fields: Fields::Written,
            received_spf: ReceivedSpf::default(),
            logins: Logins::default(),
            bimi: Bimi::Asked,
        }
    }
}

/// Reads the table.
pub(super) fn sender_auth(filter: &Section<'_, '_>, config: &mut SenderAuthConfig) {
    let section = filter.section("sender_auth", "[filter.sender_auth]");
    for name in section.strings("trusted_sealers").unwrap_or_default() {
        let sealer = Domain::parse(name.value).and_then(|it| it.to_ascii());
        match sealer {
            Ok(sealer) if sealer.as_ip().is_none() => config.trusted_sealers.push(sealer),
            _ => {
                let why = format!("trusted_sealers: {:?} is no domain", name.value);
                section.problem(name.line, why);
            }
        }
    }
    if section.flag("authentication_results") == Some(false) {
        config.fields = Fields::LeftOut;
    }
    if section.flag("received_spf") == Some(true) {
        config.received_spf = ReceivedSpf::Written;
    }
    if section.flag("logins") == Some(true) {
        config.logins = Logins::Written;
    }
    if section.flag("bimi") == Some(false) {
        config.bimi = Bimi::LeftOut;
    }
    section.finish();
}
