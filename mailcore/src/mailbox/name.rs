//! A mailbox's name: a key in a hierarchy, never a path.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Octets allowed in a mailbox name, all levels together.
pub const MAX_MAILBOX_NAME: usize = 1_000;
/// Levels allowed in a mailbox name.
pub const MAX_MAILBOX_DEPTH: usize = 32;
/// The character between levels of a mailbox name.
pub const HIERARCHY_DELIMITER: char = '/';

/// Why a text is not a mailbox name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MailboxNameError {
    /// Empty, or with an empty level (`a//b`, a leading or trailing `/`).
    #[error("a mailbox name has no empty level")]
    EmptyLevel,
    /// Over [`MAX_MAILBOX_NAME`] octets or [`MAX_MAILBOX_DEPTH`] levels.
    #[error("a mailbox name has at most {MAX_MAILBOX_NAME} octets and {MAX_MAILBOX_DEPTH} levels")]
    TooLong,
    /// A control character, a line separator, or `*` or `%`, which LIST reads as
    /// wildcards.
    #[error("a mailbox name holds no control characters and neither * nor %")]
    Character,
}

/// A mailbox's name in UTF-8, levels separated by `/`; `INBOX` in any case is
/// the one inbox. In the composed form (NFC), so that a name is the same
/// however a client's keyboard or file system writes it (RFC 9051 section 5.1,
/// RFC 5198). Names are keys, never paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName(Arc<str>);

impl MailboxName {
    /// The primary mailbox, which every account has.
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// Checks and normalises a name.
    ///
    /// # Errors
    /// [`MailboxNameError`].
    pub fn parse(text: &str) -> Result<Self, MailboxNameError> {
        let text = &*composed(text);
        if text.len() > MAX_MAILBOX_NAME
            || text.split(HIERARCHY_DELIMITER).count() > MAX_MAILBOX_DEPTH
        {
            return Err(MailboxNameError::TooLong);
        }
        if text.split(HIERARCHY_DELIMITER).any(str::is_empty) {
            return Err(MailboxNameError::EmptyLevel);
        }
        if text.chars().any(|c| {
            c.is_control() || matches!(c, '*' | '%' | '\u{fffd}' | '\u{2028}' | '\u{2029}')
        }) {
            return Err(MailboxNameError::Character);
        }
        let (first, rest) = match text.split_once(HIERARCHY_DELIMITER) {
            Some((first, rest)) => (first, Some(rest)),
            None => (text, None),
        };
        if !first.eq_ignore_ascii_case("INBOX") {
            return Ok(Self(text.into()));
        }
        match rest {
            None => Ok(Self::inbox()),
            Some(rest) => Ok(Self(format!("INBOX/{rest}").into())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for `INBOX`.
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// The name one level up, `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        self.0
            .rsplit_once(HIERARCHY_DELIMITER)
            .map(|(up, _)| Self(up.into()))
    }

    /// True when this name lies below `other`.
    pub fn is_below(&self, other: &Self) -> bool {
        self.0
            .strip_prefix(&*other.0)
            .is_some_and(|rest| rest.starts_with(HIERARCHY_DELIMITER))
    }

    /// This name with the leading levels `from` replaced by `to`; `None` when
    /// it is neither `from` nor below it. What RENAME does to children.
    pub fn moved(&self, from: &Self, to: &Self) -> Option<Self> {
        if self == from {
            return Some(to.clone());
        }
        if !self.is_below(from) {
            return None;
        }
        self.0
            .strip_prefix(&*from.0)
            .map(|rest| Self(format!("{to}{rest}").into()))
    }
}

/// `text` in Unicode's composed form, in which names are kept.
pub fn composed(text: &str) -> Cow<'_, str> {
    // No name is that long, and a text could grow a little.
    if text.is_ascii() || text.len() > MAX_MAILBOX_NAME || is_nfc(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfc().collect())
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_and_bad_ones_refused() {
        assert_eq!(MailboxName::parse("inBox").unwrap(), MailboxName::inbox());
        assert_eq!(MailboxName::parse("inbox/a").unwrap().as_str(), "INBOX/a");
        assert_eq!(MailboxName::parse("inboxes").unwrap().as_str(), "inboxes");
        for bad in ["", "/a", "a/", "a//b", "a\0", "a*", "%"] {
            assert!(MailboxName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(MailboxName::parse("a/".repeat(40).trim_end_matches('/')).is_err());
        let name = |text| MailboxName::parse(text).unwrap();
        assert_eq!(
            name("a/b/c").moved(&name("a"), &name("x/y")),
            Some(name("x/y/b/c"))
        );
        assert_eq!(name("ab").moved(&name("a"), &name("x")), None);
    }

    #[test]
    fn a_name_is_the_same_however_its_letters_are_written() {
        let name = MailboxName::parse("U\u{308}bung/e\u{301}").unwrap();
        assert_eq!(name.as_str(), "\u{dc}bung/\u{e9}");
        assert_eq!(name, MailboxName::parse(name.as_str()).unwrap());
        assert!(MailboxName::parse("a\u{2028}b").is_err());
    }
}
