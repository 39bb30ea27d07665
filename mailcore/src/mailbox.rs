//! Mailboxes (folders) and the messages in them, in the numbers that last:
//! [`Uid`], [`UidValidity`], [`ModSeq`], [`Flags`] (RFC 9051 section 2.3,
//! RFC 7162).
//!
//! Sequence numbers are not here: they exist only in an IMAP session's view.

mod annotation;
mod flags;
mod name;
mod numbers;
mod rights;
mod special_use;
mod thread;
mod uid_set;

pub use annotation::{Annotation, EntryName};
pub use flags::{FlagChange, Flags, Keyword, MAX_KEYWORD, MAX_KEYWORDS, SystemFlag};
pub use name::{
    HIERARCHY_DELIMITER, MAX_MAILBOX_DEPTH, MAX_MAILBOX_NAME, MailboxName, MailboxNameError,
    composed,
};
pub use numbers::{EmailId, MailboxId, ModSeq, Uid, UidValidity};
pub use rights::{AclEntry, Identifier, MAX_IDENTIFIER, Rights, RightsChange, effective_rights};
pub use special_use::SpecialUse;
pub use thread::{MessageKey, ThreadId, ThreadKeys, Threaded};
pub use uid_set::UidSet;

use crate::time::Timestamp;

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

impl MailboxEntry {
    /// A mailbox that everybody sees and that is for nothing in particular.
    pub fn new(name: MailboxName, id: MailboxId) -> Self {
        Self {
            name,
            id: Some(id),
            special_use: None,
            subscribed: true,
        }
    }
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

impl MailboxStatus {
    /// The counters of a mailbox that holds `rows`, for stores that don't keep
    /// them. `highest` is the greatest UID ever given in it, which no other
    /// message may get (RFC 9051 section 2.3.1.1).
    pub fn of(
        id: MailboxId,
        uid_validity: UidValidity,
        rows: &[MessageInfo],
        highest: Option<Uid>,
    ) -> Self {
        let with = |flag| rows.iter().filter(|row| row.flags.contains(flag)).count();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let last = rows.iter().map(|row| row.uid).max().max(highest);
        Self {
            id,
            messages: count(rows.len()),
            unseen: count(rows.len() - with(SystemFlag::Seen)),
            deleted: count(with(SystemFlag::Deleted)),
            uid_next: last.map_or(Some(Uid::MIN), Uid::next),
            uid_validity,
            highest_modseq: (rows.iter().map(|row| row.modseq).max()).unwrap_or(ModSeq::MIN),
            size: rows.iter().map(|row| row.size).sum(),
        }
    }
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
    /// See [`ThreadId`]; `None` where the store has not kept it.
    pub thread_id: Option<ThreadId>,
}

impl MessageInfo {
    /// A message of a mailbox in which messages are only added: its ModSeq
    /// follows from its UID, and it has no flags.
    pub fn new(uid: Uid, size: u64, internal_date: Timestamp) -> Self {
        Self {
            uid,
            flags: Flags::NONE,
            modseq: ModSeq::new(u64::from(uid.value()) + 1).unwrap_or(ModSeq::MIN),
            size,
            internal_date,
            save_date: internal_date,
            email_id: EmailId(0),
            thread_id: None,
        }
    }
}

/// As [`Changes`], without what the messages are: a mailbox of any size fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedUids {
    /// Messages that are new or changed.
    pub changed: UidSet,
    /// As [`Changes::vanished`].
    pub vanished: UidSet,
    /// As [`Changes::complete`].
    pub complete: bool,
}

impl From<Changes> for ChangedUids {
    fn from(changes: Changes) -> Self {
        Self {
            changed: changes.changed.iter().map(|row| row.uid).collect(),
            vanished: changes.vanished,
            complete: changes.complete,
        }
    }
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
