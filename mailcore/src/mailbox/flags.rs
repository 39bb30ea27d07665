//! A message's flags and how STORE changes them (RFC 9051 section 2.3.2).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// A system flag that a client can set (RFC 9051 section 2.3.2). `\Recent` is
/// not one: it belongs to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SystemFlag {
    /// `\Answered`.
    Answered = 1,
    /// `\Flagged`.
    Flagged = 2,
    /// `\Deleted`.
    Deleted = 4,
    /// `\Seen`.
    Seen = 8,
    /// `\Draft`.
    Draft = 16,
}

impl SystemFlag {
    /// Every system flag.
    pub const ALL: [Self; 5] = [
        Self::Answered,
        Self::Flagged,
        Self::Deleted,
        Self::Seen,
        Self::Draft,
    ];

    /// The flag as IMAP writes it, backslash included.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "\\Answered",
            Self::Flagged => "\\Flagged",
            Self::Deleted => "\\Deleted",
            Self::Seen => "\\Seen",
            Self::Draft => "\\Draft",
        }
    }

    /// Reads a flag, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|it| it.as_str().eq_ignore_ascii_case(text))
    }
}

/// Octets allowed in a keyword.
pub const MAX_KEYWORD: usize = 128;
/// Keywords allowed on one message.
pub const MAX_KEYWORDS: usize = 100;

/// A user's flag, an IMAP atom compared without regard to ASCII case
/// (RFC 9051 section 2.3.2).
#[derive(Clone)]
pub struct Keyword(Arc<str>);

impl Keyword {
    /// A keyword, unless `text` is empty, over [`MAX_KEYWORD`] octets, or not
    /// an atom.
    pub fn new(text: &str) -> Option<Self> {
        let is_atom = |b: u8| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b);
        (!text.is_empty() && text.len() <= MAX_KEYWORD && text.bytes().all(is_atom))
            .then(|| Self(text.into()))
    }

    /// The text with the case it was first given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(other.folded())
    }
}

impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::hash::Hash for Keyword {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.folded().for_each(|b| state.write_u8(b));
    }
}

impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Octets of flags that an event tells.
const MAX_TOLD: usize = 512;

/// The flags of a message: five bits and a sorted set of keywords. Cheap to
/// clone; most messages have no keyword and share nothing.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Flags {
    system: u8,
    keywords: Option<Arc<BTreeSet<Keyword>>>,
}

impl Flags {
    /// No flags.
    pub const NONE: Self = Self {
        system: 0,
        keywords: None,
    };

    /// The bits of [`SystemFlag`], as stores keep them.
    pub fn system_bits(&self) -> u8 {
        self.system
    }

    /// The same keywords with these system flags; unknown bits are dropped.
    #[must_use]
    pub fn with_system_bits(&self, system_bits: u8) -> Self {
        Self {
            system: system_bits & 0x1f,
            keywords: self.keywords.clone(),
        }
    }

    /// Flags from stored bits and keywords; unknown bits are dropped.
    pub fn from_parts(system_bits: u8, keywords: impl IntoIterator<Item = Keyword>) -> Self {
        let mut flags = Self {
            system: system_bits & 0x1f,
            keywords: None,
        };
        keywords
            .into_iter()
            .for_each(|keyword| flags.insert_keyword(keyword));
        flags
    }

    /// True when `flag` is set.
    pub fn contains(&self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    /// True when `keyword` is set.
    pub fn contains_keyword(&self, keyword: &Keyword) -> bool {
        self.keywords
            .as_ref()
            .is_some_and(|set| set.contains(keyword))
    }

    /// Sets `flag`.
    pub fn insert(&mut self, flag: SystemFlag) {
        self.system |= flag as u8;
    }

    /// Clears `flag`.
    pub fn remove(&mut self, flag: SystemFlag) {
        self.system &= !(flag as u8);
    }

    /// Sets `keyword`.
    pub fn insert_keyword(&mut self, keyword: Keyword) {
        Arc::make_mut(self.keywords.get_or_insert_default()).insert(keyword);
    }

    /// Adds every flag of `other`.
    pub fn add_all(&mut self, other: &Self) {
        self.system |= other.system;
        other
            .keywords()
            .cloned()
            .for_each(|keyword| self.insert_keyword(keyword));
    }

    /// Removes every flag of `other`.
    pub fn remove_all(&mut self, other: &Self) {
        self.system &= !other.system;
        if let Some(set) = &mut self.keywords {
            if other.keywords().any(|keyword| set.contains(keyword)) {
                Arc::make_mut(set).retain(|keyword| !other.contains_keyword(keyword));
            }
            if set.is_empty() {
                self.keywords = None;
            }
        }
    }

    /// The system flags that are set.
    pub fn system(&self) -> impl Iterator<Item = SystemFlag> + '_ {
        SystemFlag::ALL
            .into_iter()
            .filter(|flag| self.contains(*flag))
    }

    /// The keywords that are set, in order.
    pub fn keywords(&self) -> impl Iterator<Item = &Keyword> {
        self.keywords.iter().flat_map(|set| set.iter())
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.system().map(SystemFlag::as_str))
            .entries(self.keywords().map(Keyword::as_str))
            .finish()
    }
}

impl FromIterator<SystemFlag> for Flags {
    fn from_iter<I: IntoIterator<Item = SystemFlag>>(iter: I) -> Self {
        let mut flags = Self::NONE;
        iter.into_iter().for_each(|flag| flags.insert(flag));
        flags
    }
}

/// How STORE changes flags (RFC 9051 section 6.4.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagChange {
    /// `FLAGS`: exactly these.
    Replace(Flags),
    /// `+FLAGS`: these too.
    Add(Flags),
    /// `-FLAGS`: not these.
    Remove(Flags),
}

impl FlagChange {
    /// The flags after the change.
    pub fn apply(&self, current: &Flags) -> Flags {
        let mut flags = current.clone();
        match self {
            Self::Replace(new) => return new.clone(),
            Self::Add(more) => flags.add_all(more),
            Self::Remove(less) => flags.remove_all(less),
        }
        flags
    }

    /// The flags that it names, for an event: system flags first, spaces
    /// between, as many as have room.
    pub fn told(&self) -> String {
        let (Self::Replace(flags) | Self::Add(flags) | Self::Remove(flags)) = self;
        let mut names: Vec<&str> = flags.system().map(|flag| flag.as_str()).collect();
        names.extend(flags.keywords().map(Keyword::as_str));
        let mut room = MAX_TOLD;
        names.retain(|name| {
            room = room.saturating_sub(name.len() + 1);
            room > 0
        });
        names.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_fold_keyword_case_and_change_as_store_says() {
        let work = Keyword::new("$Work").unwrap();
        let mut flags: Flags = [SystemFlag::Seen].into_iter().collect();
        flags.insert_keyword(work.clone());
        assert!(flags.contains_keyword(&Keyword::new("$work").unwrap()));
        let less = FlagChange::Remove(Flags::from_parts(0, [Keyword::new("$WORK").unwrap()]));
        assert_eq!(less.apply(&flags), [SystemFlag::Seen].into_iter().collect());
        assert!(Keyword::new("a b").is_none() && Keyword::new("\\Seen").is_none());
    }
}
