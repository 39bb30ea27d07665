//! The numbers that name mailboxes, messages and their changes.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

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
    /// For a mailbox whose UIDs never meant anything else.
    pub const MIN: Self = Self(NonZeroU32::MIN);

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
