//! `[[shield]]`: domains whose mail comes from known addresses alone.

use mailcore::access::{ShieldedUsers, TrustedPeer};
use mailcore::address::Domain;

use super::file::Section;
use super::smtp::hosts;

/// One domain and where its mail comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShieldConfig {
    pub(crate) domain: Domain,
    pub(crate) hosts: Vec<TrustedPeer>,
    pub(crate) users: ShieldedUsers,
}

const USERS: [(&str, ShieldedUsers); 2] = [
    ("exempt", ShieldedUsers::Exempt),
    ("held", ShieldedUsers::Held),
];

/// Reads the tables.
pub(super) fn shields(root: &Section<'_, '_>) -> Vec<ShieldConfig> {
    let sections = root.sections("shield", "[[shield]]").unwrap_or_default();
    let mut shields = Vec::new();
    for section in sections {
        shields.extend(shield(&section));
        section.finish();
    }
    shields
}

fn shield(section: &Section<'_, '_>) -> Option<ShieldConfig> {
    let name = section.required("domain");
    let from = hosts(section, "from");
    if from.is_none() {
        section.problem(
            section.line(),
            "from is missing in [[shield]]; from = [\"192.0.2.0/24\"]",
        );
    }
    let users = match section.string("users") {
        Some(text) => section.word("users", text, &USERS),
        None => Some(ShieldedUsers::Exempt),
    };
    let name = name?;
    let domain = Domain::parse(name.value)
        .map_err(|error| section.problem(name.line, format!("domain: {error}")))
        .ok();
    Some(ShieldConfig {
        domain: domain?,
        hosts: from?,
        users: users?,
    })
}
