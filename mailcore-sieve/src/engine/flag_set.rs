//! [`FlagSet`]: flags as scripts handle them (RFC 5232 section 2): a set without
//! regard to case, written as words between spaces. What IMAP could not store is
//! not taken in.

use std::fmt;

/// Octets of one flag.
const MAX_FLAG: usize = 128;

/// System flags that can be set; others with a backslash, `\Recent` first of all,
/// are not the user's (RFC 5232 section 2).
const SYSTEM: [&str; 5] = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"];

/// A set of flags.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FlagSet {
    flags: Vec<String>,
    octets: usize,
}

impl FlagSet {
    /// The flags that these texts name, `limit` octets of them at most.
    pub(crate) fn of<S: AsRef<str>>(texts: impl IntoIterator<Item = S>, limit: usize) -> Self {
        let mut set = Self::default();
        set.add(texts, limit);
        set
    }

    /// Adds those that these texts name, as long as the set's text has `limit`
    /// octets at most.
    pub(crate) fn add<S: AsRef<str>>(&mut self, texts: impl IntoIterator<Item = S>, limit: usize) {
        for text in texts {
            for flag in words(text.as_ref()).filter_map(valid) {
                let octets = self.octets + flag.len() + 1;
                if octets <= limit.saturating_add(1) && !self.contains(flag) {
                    self.octets = octets;
                    self.flags.push(flag.to_owned());
                }
            }
        }
    }

    /// Takes those away that these texts name.
    pub(crate) fn remove<S: AsRef<str>>(&mut self, texts: impl IntoIterator<Item = S>) {
        for text in texts {
            for word in words(text.as_ref()) {
                self.flags.retain(|flag| !flag.eq_ignore_ascii_case(word));
            }
        }
        self.octets = self.flags.iter().map(|flag| flag.len() + 1).sum();
    }

    /// The flags.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.flags.iter().map(String::as_str)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.flags.len()
    }

    /// The flags as a list.
    pub(crate) fn into_vec(self) -> Vec<String> {
        self.flags
    }

    fn contains(&self, flag: &str) -> bool {
        self.iter().any(|it| it.eq_ignore_ascii_case(flag))
    }
}

impl fmt::Display for FlagSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, flag) in self.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{flag}")?;
        }
        Ok(())
    }
}

/// The words between spaces.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

/// The flag, where it is one (RFC 9051 section 9, `flag`); system flags as IMAP
/// writes them.
fn valid(word: &str) -> Option<&str> {
    if word.starts_with('\\') {
        return SYSTEM
            .into_iter()
            .find(|flag| flag.eq_ignore_ascii_case(word));
    }
    let is_atom = |b: u8| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b);
    (word.len() <= MAX_FLAG && word.bytes().all(is_atom)).then_some(word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_in_one_string_and_strings_in_a_list_are_the_same_flags() {
        let one = FlagSet::of(["  \\Deleted   \\answered "], 4096);
        let two = FlagSet::of(["\\deleted", "", "\\Answered"], 4096);
        assert_eq!(one, two);
        assert_eq!(one.to_string(), "\\Deleted \\Answered");
    }

    #[test]
    fn what_imap_does_not_store_is_left_out() {
        let set = FlagSet::of(["\\Recent $Label1 \\* caf\u{e9} a(b \\Mine", "*"], 4096);
        assert_eq!(set.to_string(), "$Label1");
    }

    #[test]
    fn flags_are_removed_without_regard_to_case() {
        let mut set = FlagSet::of(["A b C"], 4096);
        set.remove(["c B", "missing"]);
        assert_eq!(set.into_vec(), ["A"]);
    }

    proptest! {
        #[test]
        fn a_set_reads_back_and_stays_within_its_limit(
            texts in prop::collection::vec("[A-Ca-c\\\\ $]{0,12}", 0..6),
            limit in 0_usize..20,
        ) {
            let set = FlagSet::of(&texts, limit);
            let text = set.to_string();
            prop_assert!(text.len() <= limit);
            prop_assert_eq!(FlagSet::of([&text], limit), set.clone());
            let mut none = set;
            none.remove([text]);
            prop_assert_eq!(none.len(), 0);
        }
    }
}
