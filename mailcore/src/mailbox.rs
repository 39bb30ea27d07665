//! Mailboxes (folders) and the messages in them, in the numbers that last:
//! [`Uid`], [`UidValidity`], [`ModSeq`], [`Flags`] (RFC 9051 section 2.3,
//! RFC 7162).
//!
//! Sequence numbers are not here: they exist only in an IMAP session's view.

use std::collections::BTreeSet;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use thiserror::Error;

use crate::time::Timestamp;

/// Octets allowed in a mailbox name, all levels together.
pub const MAX_MAILBOX_NAME: usize = 1_000;
/// Levels allowed in a mailbox name.
pub const MAX_MAILBOX_DEPTH: usize = 32;
/// The character between levels of a mailbox name.
pub const HIERARCHY_DELIMITER: char = '/';

/// A message's number in its mailbox: never reused while the
/// [`UidValidity`] stands (RFC 9051 section 2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(NonZeroU32);

impl Uid {
    /// The first UID of a mailbox.
    pub const MIN: Self = Self(NonZeroU32::MIN);
    /// The greatest UID there can be.
    pub const MAX: Self = Self(NonZeroU32::MAX);

    /// A UID, unless `value` is 0.
    pub fn new(value: u32) -> Option<Self> {
        NonZeroU32::new(value).map(Self)
    }

    /// The number.
    pub fn value(self) -> u32 {
        self.0.get()
    }

    /// The UID after this one; `None` when the mailbox is full.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Changes when a mailbox's UIDs start over (RFC 9051 section 2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UidValidity(NonZeroU32);

impl UidValidity {
    /// A UIDVALIDITY, unless `value` is 0.
    pub fn new(value: u32) -> Option<Self> {
        NonZeroU32::new(value).map(Self)
    }

    /// The number.
    pub fn value(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for UidValidity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A mailbox's change counter, 63 bits (RFC 7162 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModSeq(NonZeroU64);

impl ModSeq {
    /// The modification sequence of a new mailbox.
    pub const MIN: Self = Self(NonZeroU64::MIN);

    /// A modification sequence, unless `value` is 0 or over 63 bits.
    pub fn new(value: u64) -> Option<Self> {
        NonZeroU64::new(value)
            .filter(|v| v.get() <= i64::MAX as u64)
            .map(Self)
    }

    /// The number.
    pub fn value(self) -> u64 {
        self.0.get()
    }

    /// The value after this one. 63 bits outlast any mailbox, so it saturates.
    #[must_use]
    pub fn next(self) -> Self {
        Self::new(self.0.get().saturating_add(1)).unwrap_or(self)
    }
}

impl fmt::Display for ModSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A mailbox's identity, kept through renames (RFC 8474 MAILBOXID).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxId(pub u64);

impl fmt::Display for MailboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "F{:x}", self.0)
    }
}

/// A message's identity, equal in every mailbox that holds a copy of the same
/// content (RFC 8474 EMAILID).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailId(pub u128);

impl fmt::Display for EmailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "M{:x}", self.0)
    }
}

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
    /// A control character, or `*` or `%`, which LIST reads as wildcards.
    #[error("a mailbox name holds no control characters and neither * nor %")]
    Character,
}

/// A mailbox's name in UTF-8, levels separated by `/`; `INBOX` in any case is
/// the one inbox (RFC 9051 section 5.1). Names are keys, never paths.
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
        if text.len() > MAX_MAILBOX_NAME
            || text.split(HIERARCHY_DELIMITER).count() > MAX_MAILBOX_DEPTH
        {
            return Err(MailboxNameError::TooLong);
        }
        if text.split(HIERARCHY_DELIMITER).any(str::is_empty) {
            return Err(MailboxNameError::EmptyLevel);
        }
        if text
            .chars()
            .any(|c| c.is_control() || matches!(c, '*' | '%' | '\u{fffd}'))
        {
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

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a mailbox is for (RFC 6154).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SpecialUse {
    /// `\All`.
    All,
    /// `\Archive`.
    Archive,
    /// `\Drafts`.
    Drafts,
    /// `\Flagged`.
    Flagged,
    /// `\Junk`.
    Junk,
    /// `\Sent`.
    Sent,
    /// `\Trash`.
    Trash,
}

impl SpecialUse {
    /// Every use, in the order above.
    pub const ALL: [Self; 7] = [
        Self::All,
        Self::Archive,
        Self::Drafts,
        Self::Flagged,
        Self::Junk,
        Self::Sent,
        Self::Trash,
    ];

    /// The attribute as IMAP writes it, backslash included.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "\\All",
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Flagged => "\\Flagged",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
        }
    }

    /// Reads an attribute, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|it| it.as_str().eq_ignore_ascii_case(text))
    }
}

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
}

/// A set of UIDs as sorted, disjoint, non-adjacent ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UidSet(Vec<(u32, u32)>);

impl UidSet {
    /// No UID.
    pub const EMPTY: Self = Self(Vec::new());

    /// Every UID.
    pub fn all() -> Self {
        Self(vec![(1, u32::MAX)])
    }

    /// From `first` to `last`, both included; the two may come in either order.
    pub fn range(first: Uid, last: Uid) -> Self {
        let (a, b) = (first.value(), last.value());
        Self(vec![(a.min(b), a.max(b))])
    }

    /// Ranges in any order, overlapping or not.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (Uid, Uid)>) -> Self {
        let mut sorted: Vec<(u32, u32)> = ranges
            .into_iter()
            .map(|(a, b)| (a.min(b).value(), a.max(b).value()))
            .collect();
        sorted.sort_unstable();
        let mut set = Self(Vec::with_capacity(sorted.len()));
        for (first, last) in sorted {
            set.push_range(first, last);
        }
        set
    }

    /// Appends a range that starts at or after the last one's start.
    fn push_range(&mut self, first: u32, last: u32) {
        match self.0.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
            _ => self.0.push((first, last)),
        }
    }

    /// The ranges, ascending, both ends included.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = (Uid, Uid)> + '_ {
        self.0
            .iter()
            .filter_map(|&(a, b)| Some((Uid::new(a)?, Uid::new(b)?)))
    }

    /// Every UID, ascending. A set such as [`UidSet::all`] has four billion:
    /// intersect with what a mailbox holds instead of walking it.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.0
            .iter()
            .flat_map(|&(a, b)| (a..=b).filter_map(Uid::new))
    }

    /// True when `uid` is in the set.
    pub fn contains(&self, uid: Uid) -> bool {
        let value = uid.value();
        let after = self.0.partition_point(|&(first, _)| first <= value);
        after
            .checked_sub(1)
            .and_then(|i| self.0.get(i))
            .is_some_and(|&(_, last)| value <= last)
    }

    /// True when the set holds no UID.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many UIDs the set holds.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|&(a, b)| u64::from(b - a) + 1).sum()
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(iter: I) -> Self {
        Self::from_ranges(iter.into_iter().map(|uid| (uid, uid)))
    }
}

/// As IMAP writes it: `1:3,5`.
impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            if first == last {
                write!(f, "{first}")?;
            } else {
                write!(f, "{first}:{last}")?;
            }
        }
        Ok(())
    }
}

/// What LIST tells of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxEntry {
    /// Its name.
    pub name: MailboxName,
    /// Its identity; `None` for a name that is only subscribed to, or only
    /// there as the parent of others (`\NonExistent`).
    pub id: Option<MailboxId>,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// True when the user subscribes to it.
    pub subscribed: bool,
}

/// A mailbox's counters, read without looking at messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxStatus {
    /// Its identity.
    pub id: MailboxId,
    /// Messages in it.
    pub messages: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// The UID the next message gets; `None` when the mailbox is full.
    pub uid_next: Option<Uid>,
    /// See [`UidValidity`].
    pub uid_validity: UidValidity,
    /// The greatest ModSeq in the mailbox.
    pub highest_modseq: ModSeq,
    /// Octets of all messages, as RFC822.SIZE counts them.
    pub size: u64,
}

/// A message's row: all that is known without reading its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageInfo {
    /// Its number.
    pub uid: Uid,
    /// Its flags.
    pub flags: Flags,
    /// When it last changed.
    pub modseq: ModSeq,
    /// Octets, as RFC822.SIZE counts them.
    pub size: u64,
    /// When the server received it (INTERNALDATE).
    pub internal_date: Timestamp,
    /// When it came into this mailbox (RFC 8514 SAVEDATE).
    pub save_date: Timestamp,
    /// See [`EmailId`].
    pub email_id: EmailId,
}

/// What happened in a mailbox after a ModSeq (RFC 7162 section 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Messages that are new or changed, ascending by UID.
    pub changed: Vec<MessageInfo>,
    /// UIDs that went away. May name more than were there since, never fewer:
    /// when `complete` is false the store no longer knows, and the caller
    /// compares with what it holds.
    pub vanished: UidSet,
    /// False when tombstones older than the asked ModSeq are gone.
    pub complete: bool,
    /// The mailbox's counters at the moment of this answer.
    pub status: MailboxStatus,
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
    fn flags_fold_keyword_case_and_change_as_store_says() {
        let work = Keyword::new("$Work").unwrap();
        let mut flags: Flags = [SystemFlag::Seen].into_iter().collect();
        flags.insert_keyword(work.clone());
        assert!(flags.contains_keyword(&Keyword::new("$work").unwrap()));
        let less = FlagChange::Remove(Flags::from_parts(0, [Keyword::new("$WORK").unwrap()]));
        assert_eq!(less.apply(&flags), [SystemFlag::Seen].into_iter().collect());
        assert!(Keyword::new("a b").is_none() && Keyword::new("\\Seen").is_none());
    }

    #[test]
    fn uid_sets_merge_and_print_like_imap() {
        let uid = |v| Uid::new(v).unwrap();
        let set = UidSet::from_ranges([
            (uid(7), uid(5)),
            (uid(1), uid(2)),
            (uid(3), uid(3)),
            (uid(6), uid(9)),
        ]);
        assert_eq!(set.to_string(), "1:3,5:9");
        assert_eq!(set.len(), 8);
        assert!(set.contains(uid(9)) && !set.contains(uid(4)) && !set.contains(uid(10)));
    }
}
