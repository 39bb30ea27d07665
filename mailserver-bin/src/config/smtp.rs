//! `[smtp]`: who is trusted, what submitted mail must look like, what a session
//! may ask; and the keys of a listener that are about its peers.

use std::time::Duration;

use mailcore::abuse::Tarpit;
use mailcore::access::TrustedPeer;
use mailcore::intake::ForeignFrom;
use mailcore::net::Network;
use mailcore::seams::Trust;
use mailcore_smtp::server::{Doors, Verify};

use super::file::Section;

/// What the table says; every default is the library's.
#[derive(Debug, Clone, Default)]
pub(crate) struct SmtpSettings {
    pub(crate) trusted: Vec<TrustedPeer>,
    /// `None`: every login may relay.
    pub(crate) relay_logins: Option<Vec<String>>,
    pub(crate) from: ForeignFrom,
    pub(crate) verify: Verify,
    /// `None` for what the library holds mail for.
    pub(crate) max_hold: Option<Duration>,
    pub(crate) least_deadline: Duration,
    pub(crate) header_size: Option<u64>,
    pub(crate) xclient: Vec<Network>,
    pub(crate) tarpit: Option<Tarpit>,
}

/// Who a listener is for, and who stands before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Peers {
    pub(crate) trust: Trust,
    /// The proxies that say for whom they speak, by the PROXY protocol; empty
    /// for none.
    pub(crate) proxies: Vec<Network>,
    pub(crate) doors: Doors,
    /// The only ones who may connect; `None` for everybody.
    pub(crate) allow: Option<Vec<TrustedPeer>>,
    /// Those who may not.
    pub(crate) deny: Vec<TrustedPeer>,
}

const FROMS: [(&str, ForeignFrom); 2] = [
    ("refuse", ForeignFrom::Refuse),
    ("add-sender", ForeignFrom::AddSender),
];
const VERIFIES: [(&str, Verify); 2] = [("never", Verify::Never), ("users", Verify::Users)];
const TRUSTS: [(&str, Trust); 2] = [("external", Trust::Stranger), ("internal", Trust::Trusted)];

/// Reads the table.
pub(super) fn smtp(root: &Section<'_, '_>, settings: &mut SmtpSettings) {
    let section = root.section("smtp", "[smtp]");
    settings.trusted = hosts(&section, "trusted").unwrap_or_default();
    if let Some(logins) = section.strings("relay_login") {
        settings.relay_logins = Some(logins.iter().map(|at| at.value.to_owned()).collect());
    }
    if let Some(text) = section.string("from") {
        settings.from = section.word("from", text, &FROMS).unwrap_or_default();
    }
    if let Some(text) = section.string("verify") {
        settings.verify = section.word("verify", text, &VERIFIES).unwrap_or_default();
    }
    settings.max_hold = match section.string("max_hold") {
        Some(text) if text.value == "never" => Some(Duration::ZERO),
        Some(text) => section
            .parse_duration("max_hold", text)
            .map(|time| time.value),
        None => None,
    };
    if let Some(text) = section.string("least_deadline") {
        let time = section.parse_duration("least_deadline", text);
        settings.least_deadline = time.map(|time| time.value).unwrap_or_default();
    }
    settings.header_size = section.size("header_size");
    settings.xclient = networks(&section, "xclient");
    settings.tarpit = super::abuse::tarpit(&section);
    section.finish();
}

/// Reads a listener's keys about its peers.
pub(super) fn peers(section: &Section<'_, '_>) -> Peers {
    let trust = section
        .string("trust")
        .and_then(|text| section.word("trust", text, &TRUSTS));
    let doors = match section.flag("closed") {
        Some(true) => Doors::Closed,
        _ => Doors::Open,
    };
    Peers {
        trust: trust.unwrap_or_default(),
        proxies: networks(section, "proxy"),
        doors,
        allow: hosts(section, "allow"),
        deny: hosts(section, "deny").unwrap_or_default(),
    }
}

/// Hosts by network, name or link-layer address; `None` without the key.
pub(super) fn hosts(section: &Section<'_, '_>, key: &'static str) -> Option<Vec<TrustedPeer>> {
    let mut found = Vec::new();
    for text in section.strings(key)? {
        match text.value.parse() {
            Ok(peer) => found.push(peer),
            Err(error) => {
                section.problem(text.line, format!("{key}: \"{}\": {error}", text.value));
            }
        }
    }
    Some(found)
}

pub(super) fn networks(section: &Section<'_, '_>, key: &'static str) -> Vec<Network> {
    let mut found = Vec::new();
    for text in section.strings(key).unwrap_or_default() {
        match text.value.parse() {
            Ok(network) => found.push(network),
            Err(error) => {
                section.problem(text.line, format!("{key}: \"{}\": {error}", text.value));
            }
        }
    }
    found
}
