//! `[filter.dmarc_reports]`: reports about mail that claims to be from a domain.

use std::time::Duration;

use mailcore::address::{Address, Domain};

use crate::config::file::{At, Section};

/// Reports, sent and received.
#[derive(Debug, Clone, Default)]
pub(crate) struct DmarcReportsConfig {
    /// Mail is counted, and domains that ask for it are told each day.
    pub(crate) on: bool,
    /// Single failures are told, too.
    pub(crate) failures: bool,
    /// From whom reports are; `None` for `dmarc-reports` at the host's name.
    pub(crate) from: Option<Address>,
    /// Who reports; `None` for the domain of `from`.
    pub(crate) organization: Option<String>,
    /// More on how to reach them.
    pub(crate) contact: Option<String>,
    /// Where reports of others come in.
    pub(crate) receive: Vec<Address>,
    /// Whose are kept besides those about domains of the directory.
    pub(crate) domains: Vec<Domain>,
    /// How long they are kept.
    pub(crate) keep: Option<Duration>,
}

/// Reads the table.
pub(super) fn dmarc_reports(parent: &Section<'_, '_>) -> DmarcReportsConfig {
    let section = parent.section("dmarc_reports", "[filter.dmarc_reports]");
    let mut config = DmarcReportsConfig {
        on: section.flag("on") == Some(true),
        failures: section.flag("failures") == Some(true),
        organization: section.string("organization").map(|it| it.value.to_owned()),
        contact: section.string("contact").map(|it| it.value.to_owned()),
        ..DmarcReportsConfig::default()
    };
    let address = |key: &str, text: At<&str>| {
        let parsed = Address::parse(text.value);
        parsed
            .map_err(|error| section.problem(text.line, format!("{key}: {error}")))
            .ok()
    };
    if let Some(from) = section.string("from") {
        config.from = address("from", from);
    }
    for receive in section.strings_or_string("receive").unwrap_or_default() {
        config.receive.extend(address("receive", receive));
    }
    for domain in section.strings("domains").unwrap_or_default() {
        match Domain::parse(domain.value) {
            Ok(parsed) => config.domains.push(parsed),
            Err(error) => section.problem(domain.line, format!("domains: {error}")),
        }
    }
    config.keep = section.duration("keep").map(|time| time.value);
    section.finish();
    config
}
