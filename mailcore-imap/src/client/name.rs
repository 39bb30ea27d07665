//! [`RemoteName`]: a mailbox's name as another server has it.

use std::fmt;

use mailcore::mailbox::{HIERARCHY_DELIMITER, MailboxName, MailboxNameError};

use crate::codec::{decode_mailbox, encode_mailbox};

/// In which form names travel (RFC 9051 section 5.1, RFC 6855 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameForm {
    /// Modified UTF-7, unless something else was enabled.
    #[default]
    ModifiedUtf7,
    /// UTF-8: after `ENABLE IMAP4rev2` or `ENABLE UTF8=ACCEPT`.
    Utf8,
}

/// A mailbox's name as another server has it: any text, with levels separated
/// by that server's delimiter. `INBOX` in any case is the one inbox.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RemoteName {
    text: String,
    /// What the server wrote, where the text does not lead back to it.
    wire: Option<Vec<u8>>,
}

impl RemoteName {
    /// The primary mailbox.
    pub fn inbox() -> Self {
        Self::new("INBOX")
    }

    /// A name of this text.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.eq_ignore_ascii_case("INBOX") {
            "INBOX".clone_into(&mut text);
        }
        Self { text, wire: None }
    }

    /// One of our names where the levels are separated by `delimiter`; where
    /// there is none, the name must have one level.
    pub fn from_name(name: &MailboxName, delimiter: Option<char>) -> Option<Self> {
        match delimiter {
            Some(HIERARCHY_DELIMITER) => Some(Self::new(name.as_str())),
            // A delimiter within a level would split it in two.
            Some(other) if name.as_str().contains(other) => None,
            Some(other) => {
                let text = name
                    .as_str()
                    .replace(HIERARCHY_DELIMITER, &other.to_string());
                Some(Self::new(text))
            }
            None if name.as_str().contains(HIERARCHY_DELIMITER) => None,
            None => Some(Self::new(name.as_str())),
        }
    }

    /// Reads what a server wrote. A name that is not in the form it should be
    /// is kept as it is, so that it can still be opened.
    pub(super) fn decode(octets: &[u8], form: NameForm) -> Self {
        let text = match form {
            NameForm::Utf8 => String::from_utf8(octets.to_vec()).ok(),
            NameForm::ModifiedUtf7 => decode_mailbox(octets),
        };
        let text = text.unwrap_or_else(|| String::from_utf8_lossy(octets).into_owned());
        let mut name = Self::new(text);
        if name.encode(form) != octets && name.text != "INBOX" {
            name.wire = Some(octets.to_vec());
        }
        name
    }

    /// As the server is to be told it.
    pub(super) fn encode(&self, form: NameForm) -> Vec<u8> {
        match (&self.wire, form) {
            (Some(wire), _) => wire.clone(),
            (None, NameForm::Utf8) => self.text.clone().into_bytes(),
            (None, NameForm::ModifiedUtf7) => encode_mailbox(&self.text).into_bytes(),
        }
    }

    /// The name as people read it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True for the inbox.
    pub fn is_inbox(&self) -> bool {
        self.text == "INBOX"
    }

    /// As a name of ours: levels separated by `/`, and `_` for what no level of
    /// ours can hold (`/`, `*`, `%`, control characters). Two names may come
    /// out as one; who makes mailboxes of them looks for that.
    ///
    /// # Errors
    /// When a level is empty or the name too long.
    pub fn to_name(&self, delimiter: Option<char>) -> Result<MailboxName, MailboxNameError> {
        let ours = |c: char| match c {
            _ if Some(c) == delimiter => HIERARCHY_DELIMITER,
            HIERARCHY_DELIMITER | '*' | '%' | '\u{fffd}' => '_',
            _ if c.is_control() => '_',
            _ => c,
        };
        let text: String = self.text.chars().map(ours).collect();
        MailboxName::parse(text.trim_end_matches(HIERARCHY_DELIMITER))
    }
}

impl fmt::Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl From<&str> for RemoteName {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<&MailboxName> for RemoteName {
    fn from(name: &MailboxName) -> Self {
        Self::new(name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_travel_in_the_form_agreed_on() {
        let name = RemoteName::decode(b"&BB4EQgQ,-", NameForm::ModifiedUtf7);
        assert_eq!(name.as_str(), "Отп");
        assert_eq!(name.encode(NameForm::Utf8), "Отп".as_bytes());
        let name = RemoteName::decode(b"a&b", NameForm::Utf8);
        assert_eq!(name.encode(NameForm::ModifiedUtf7), b"a&-b");
        assert!(RemoteName::decode(b"InBox", NameForm::ModifiedUtf7).is_inbox());
    }

    #[test]
    fn levels_are_ours_whatever_the_delimiter_was() {
        let name = RemoteName::new("INBOX.Work/2024.100%");
        assert_eq!(
            name.to_name(Some('.')).unwrap().as_str(),
            "INBOX/Work_2024/100_"
        );
        let ours = MailboxName::parse("a/b.c").unwrap();
        assert_eq!(RemoteName::from_name(&ours, Some('.')), None);
        assert_eq!(
            RemoteName::from_name(&ours, Some('\\')).unwrap().as_str(),
            "a\\b.c"
        );
    }

    proptest! {
        #[test]
        fn a_name_goes_back_as_it_came(octets in proptest::collection::vec(1u8..=255, 1..30)) {
            for form in [NameForm::ModifiedUtf7, NameForm::Utf8] {
                let name = RemoteName::decode(&octets, form);
                prop_assert!(name.is_inbox() || name.encode(form) == octets);
            }
        }
    }
}
