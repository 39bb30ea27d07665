//! [`Annotation`]: what somebody noted on a mailbox, by name (RFC 5464).

use std::fmt;
use std::sync::Arc;

/// Octets of an entry's name.
const MAX_ENTRY: usize = 256;

/// The name of an annotation: a path below `/shared` or `/private` (RFC 5464
/// section 3.2), in lower case, since names are equal in any case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(Arc<str>);

impl EntryName {
    /// Reads a name; `None` when it is not one.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        let odd = |c: char| !(' '..='~').contains(&c) || matches!(c, '*' | '%');
        let path = name
            .strip_prefix("/shared/")
            .or_else(|| name.strip_prefix("/private/"))?;
        let is_path = !path.split('/').any(str::is_empty);
        let fits = name.len() <= MAX_ENTRY && !name.contains(odd);
        (is_path && fits).then(|| Self(name.into()))
    }

    /// Reads what all names of a kind are below: `/shared` or `/private`. It names
    /// no annotation itself.
    pub fn top(name: &[u8]) -> Option<Self> {
        let tops = ["/shared", "/private"];
        let top = tops
            .into_iter()
            .find(|top| top.as_bytes().eq_ignore_ascii_case(name));
        top.map(|top| Self(top.into()))
    }

    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for what all see who may see the mailbox.
    pub fn is_shared(&self) -> bool {
        self.0.starts_with("/shared/")
    }

    /// How many levels `other` is below this one: 0 for itself, `None` when it is
    /// not below.
    pub fn depth_of(&self, other: &Self) -> Option<usize> {
        match other.0.strip_prefix(&*self.0)? {
            "" => Some(0),
            below => below.starts_with('/').then(|| below.matches('/').count()),
        }
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A note on a mailbox, or on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// What it is called.
    pub entry: EntryName,
    /// What it says.
    pub value: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Option<EntryName> {
        EntryName::parse(name.as_bytes())
    }

    #[test]
    fn names_are_paths_below_shared_and_private() {
        assert_eq!(
            entry("/Shared/Comment").unwrap().as_str(),
            "/shared/comment"
        );
        assert!(!entry("/private/vendor/x/y z").unwrap().is_shared());
        for wrong in [
            "/shared",
            "/shared/",
            "/other/x",
            "shared/x",
            "/shared//x",
            "/shared/x/",
            "/shared/a*",
            "/shared/a%",
            "/shared/\t",
            "/shared/\u{fc}",
            "",
        ] {
            assert_eq!(entry(wrong), None, "{wrong}");
        }
        assert_eq!(entry(&format!("/shared/{}", "x".repeat(300))), None);
    }

    #[test]
    fn depth_is_counted_in_levels() {
        let top = entry("/shared/a").unwrap();
        for (below, depth) in [
            ("/shared/a", Some(0)),
            ("/shared/a/b", Some(1)),
            ("/shared/a/b/c", Some(2)),
            ("/shared/ab", None),
            ("/private/a/b", None),
        ] {
            assert_eq!(top.depth_of(&entry(below).unwrap()), depth, "{below}");
        }
    }
}
