//! `[filter.signing]`: signatures on mail that leaves.

use std::time::Duration;

use mailcore::address::Domain;

use crate::config::file::Section;

/// How long a signature may hold: longer than any queue keeps mail.
const LIFETIME: Duration = Duration::from_secs(14 * 24 * 3_600);
/// Keys that change more often than this would be more retired than active.
const LEAST_AGE: Duration = Duration::from_secs(24 * 3_600);

/// Signing.
#[derive(Debug, Clone)]
pub(crate) struct SigningConfig {
    /// False: mail leaves as it is, whatever keys there are.
    pub(crate) on: bool,
    /// How long a signature holds.
    pub(crate) lifetime: Duration,
    /// True: what is passed on for strangers is sealed.
    pub(crate) seals: bool,
    /// Whose key seals when no domain that the mail came by has one.
    pub(crate) seal_domain: Option<Domain>,
    /// How old a key becomes before another is made; `None` for as old as it
    /// likes.
    pub(crate) rotate: Option<Duration>,
}

impl Default for SigningConfig {
    fn default() -> Self {
        Self {
            on: true,
            lifetime: LIFETIME,
            seals: true,
            seal_domain: None,
            rotate: None,
        }
    }
}

/// Reads the table.
pub(super) fn signing(parent: &Section<'_, '_>, config: &mut SigningConfig) {
    let section = parent.section("signing", "[filter.signing]");
    config.on = section.flag("on") != Some(false);
    config.seals = section.flag("seal") != Some(false);
    if let Some(lifetime) = section.duration("lifetime") {
        if lifetime.value.is_zero() || lifetime.value > LIFETIME {
            let text = "lifetime must be more than nothing and at most 14d: who replays a \
                        message is believed as long";
            section.problem(lifetime.line, text);
        }
        config.lifetime = lifetime.value;
    }
    if let Some(domain) = section.string("seal_domain") {
        match Domain::parse(domain.value) {
            Ok(parsed) => config.seal_domain = Some(parsed),
            Err(error) => section.problem(domain.line, format!("seal_domain: {error}")),
        }
    }
    if let Some(age) = section.duration("rotate") {
        if age.value < LEAST_AGE {
            section.problem(age.line, "rotate must be 1d or more, as in \"90d\"");
        }
        config.rotate = Some(age.value);
    }
    section.finish();
}
