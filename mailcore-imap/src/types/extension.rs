//! [`Extension`]: what a client turns on with ENABLE, and [`Enabled`], what it
//! has turned on.

use super::Capability;

/// A capability that changes what the server says, so that a client must ask
/// for it (RFC 5161).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extension {
    /// `CONDSTORE` (RFC 7162): changes are told with their ModSeq.
    CondStore,
    /// `QRESYNC` (RFC 7162): VANISHED in place of EXPUNGE; CONDSTORE with it.
    QResync,
    /// `IMAP4rev2` (RFC 9051).
    Imap4Rev2,
    /// `UTF8=ACCEPT` (RFC 6855): names and headers in UTF-8.
    Utf8Accept,
    /// `UIDONLY` (RFC 9586): messages have no numbers.
    UidOnly,
}

impl Extension {
    /// Every extension.
    pub const ALL: [Self; 5] = [
        Self::CondStore,
        Self::QResync,
        Self::Imap4Rev2,
        Self::Utf8Accept,
        Self::UidOnly,
    ];

    /// The capability that announces it.
    pub fn capability(self) -> Capability {
        match self {
            Self::CondStore => Capability::CondStore,
            Self::QResync => Capability::QResync,
            Self::Imap4Rev2 => Capability::Imap4Rev2,
            Self::Utf8Accept => Capability::Utf8Accept,
            Self::UidOnly => Capability::UidOnly,
        }
    }

    /// Reads a name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|it| it.capability().as_str().eq_ignore_ascii_case(name))
    }

    fn bit(self) -> u8 {
        match self {
            Self::CondStore => 1,
            Self::QResync => 2,
            Self::Imap4Rev2 => 4,
            Self::Utf8Accept => 8,
            Self::UidOnly => 16,
        }
    }
}

/// A set of extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Enabled(u8);

impl Enabled {
    /// True when `extension` is on.
    pub fn has(self, extension: Extension) -> bool {
        self.0 & extension.bit() != 0
    }

    /// Turns `extension` on, for as long as the login lasts: nothing turns one
    /// off. True when it was off.
    pub fn insert(&mut self, extension: Extension) -> bool {
        let was_off = !self.has(extension);
        self.0 |= extension.bit();
        if extension == Extension::QResync {
            // RFC 7162 section 3.2.3.
            self.0 |= Extension::CondStore.bit();
        }
        was_off
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qresync_brings_condstore_along() {
        let mut enabled = Enabled::default();
        assert!(enabled.insert(Extension::QResync));
        assert!(enabled.has(Extension::CondStore) && !enabled.has(Extension::UidOnly));
        assert!(!enabled.insert(Extension::QResync));
    }

    #[test]
    fn names_are_read_in_any_case() {
        assert_eq!(Extension::parse("utf8=accept"), Some(Extension::Utf8Accept));
        assert_eq!(Extension::parse("imap4REV2"), Some(Extension::Imap4Rev2));
        assert_eq!(Extension::parse("IDLE"), None);
    }
}
