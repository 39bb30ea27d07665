//! [`Capabilities`]: what a server says it can do.

use std::collections::BTreeSet;

use super::response::MAX_VALUES;

/// What a server says it can do, in upper case. Unknown names are kept: a
/// caller may know them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities(BTreeSet<String>);

impl Capabilities {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a [u8]>) -> Self {
        let name = |name: &[u8]| String::from_utf8_lossy(name).to_ascii_uppercase();
        Self(names.take(MAX_VALUES).map(name).collect())
    }

    /// True when the server announced `name`, which is given in upper case.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// The SASL mechanisms offered (`AUTH=...`).
    pub fn mechanisms(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|name| name.strip_prefix("AUTH="))
    }

    /// True when SASL mechanism `name` is offered.
    pub fn has_mechanism(&self, name: &str) -> bool {
        self.mechanisms().any(|offered| offered == name)
    }

    /// Every name.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// True when nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The revision RFC 9051 describes, or the one before.
    pub fn is_rev2(&self) -> bool {
        self.has("IMAP4REV2")
    }

    /// UIDPLUS (RFC 4315), part of IMAP4rev2.
    pub fn has_uidplus(&self) -> bool {
        self.has("UIDPLUS") || self.is_rev2()
    }

    /// MOVE (RFC 6851), part of IMAP4rev2.
    pub fn has_move(&self) -> bool {
        self.has("MOVE") || self.is_rev2()
    }

    /// CONDSTORE (RFC 7162); QRESYNC includes it.
    pub fn has_condstore(&self) -> bool {
        self.has("CONDSTORE") || self.has("QRESYNC")
    }
}
