//! `[outgoing_tls]`: what other hosts must show before they get mail.

use std::path::{Path, PathBuf};

use mailcore::address::Domain;
use mailcore::net::OwnNetwork;
use mailcore_smtp::client::{Dane, TlsRule};

use super::file::Section;

/// What other hosts must show.
#[derive(Debug, Clone, Default)]
pub(crate) struct OutgoingTls {
    pub(crate) dane: Dane,
    pub(crate) mta_sts: MtaStsUse,
    /// Certificates of authorities that are believed beside the usual ones.
    pub(crate) roots: Option<PathBuf>,
    /// Where policies may be fetched from.
    pub(crate) own_network: OwnNetwork,
    pub(crate) rules: Vec<(Domain, TlsRule)>,
}

/// Whether MTA-STS policies are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum MtaStsUse {
    #[default]
    On,
    Off,
}

const RULES: [(&str, TlsRule); 4] = [
    ("none", TlsRule::None),
    ("encrypted", TlsRule::Encrypted),
    ("dane", TlsRule::Dane),
    ("verified", TlsRule::Verified),
];

/// Reads the table.
pub(super) fn outgoing_tls(root: &Section<'_, '_>, folder: &Path, config: &mut OutgoingTls) {
    let section = root.section("outgoing_tls", "[outgoing_tls]");
    if section.flag("dane") == Some(false) {
        config.dane = Dane::Off;
    }
    if section.flag("mta_sts") == Some(false) {
        config.mta_sts = MtaStsUse::Off;
    }
    if section.flag("own_network") == Some(true) {
        config.own_network = OwnNetwork::Allowed;
    }
    if let Some(path) = section.string("roots") {
        config.roots = Some(folder.join(path.value));
    }
    let domains = section.sections("domain", "[[outgoing_tls.domain]]");
    for domain in domains.unwrap_or_default() {
        let name = domain.required("name");
        let require = domain.required("require");
        let rule = require.and_then(|text| domain.word("require", text, &RULES));
        if let Some(name) = name {
            match (Domain::parse(name.value), rule) {
                (Ok(name), Some(rule)) => config.rules.push((name, rule)),
                (Ok(_), None) => {}
                (Err(error), _) => domain.problem(name.line, format!("name: {error}")),
            }
        }
        domain.finish();
    }
    section.finish();
}
