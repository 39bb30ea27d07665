//! Accounts' mailboxes and the messages in them, in UIDs and ModSeq.
//!
//! Knows nothing of sequence numbers, FETCH items or reply texts, so that IMAP,
//! POP3, webmail and JMAP share it.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::StoreError;
use crate::account::AccountId;
use crate::mailbox::{
    Changes, FlagChange, Flags, MailboxEntry, MailboxId, MailboxName, MailboxStatus, MessageInfo,
    ModSeq, SpecialUse, Uid, UidSet, UidValidity,
};
use crate::message::{Message, Summary};
use crate::time::Timestamp;

/// What a store can do beyond the base, so that no protocol advertises what
/// its store lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Abilities {
    /// [`Mailbox::changes`] answers exactly for any ModSeq it ever gave out
    /// within its tombstone window (CONDSTORE, QRESYNC).
    pub mod_seq: bool,
    /// Moves are one change (MOVE).
    pub atomic_move: bool,
    /// Several messages are appended all or nothing (MULTIAPPEND).
    pub multi_append: bool,
    /// [`Mailbox::watch`] reports changes by others (IDLE without polling).
    pub watch: bool,
    /// Special uses are kept (CREATE-SPECIAL-USE).
    pub special_use: bool,
    /// Identities survive renames and copies (OBJECTID).
    pub object_id: bool,
}

/// A store of mailboxes.
///
/// *Durability*: a change that returned `Ok` is on stable storage. *Ordering*:
/// changes to one mailbox are seen by all in one order, that of their ModSeq.
/// *Cancellation*: dropping a future never leaves half a change. *Cost*:
/// `list` is linear in the account's mailboxes, `status` and `open` constant.
#[async_trait]
pub trait Storage: Debug + Send + Sync {
    /// What this store can do.
    fn abilities(&self) -> Abilities;

    /// Every mailbox of the account and every subscribed name, in name order.
    /// INBOX is always there.
    async fn list(&self, account: &AccountId) -> Result<Vec<MailboxEntry>, StoreError>;

    /// Opens a mailbox. INBOX is made when it is missing.
    async fn open(
        &self,
        account: &AccountId,
        name: &MailboxName,
    ) -> Result<Arc<dyn Mailbox>, StoreError>;

    /// Makes a mailbox and the missing levels above it.
    async fn create(
        &self,
        account: &AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<MailboxId, StoreError>;

    /// Deletes a mailbox with its messages. Children stay (RFC 9051 section
    /// 6.3.5); open handles answer [`StoreError::NoSuchMailbox`] from then on.
    async fn delete(&self, account: &AccountId, name: &MailboxName) -> Result<(), StoreError>;

    /// Renames a mailbox and all below it, keeping ids and UIDs. Renaming INBOX
    /// moves its messages to a new mailbox and leaves it empty (RFC 9051
    /// section 6.3.6).
    async fn rename(
        &self,
        account: &AccountId,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<(), StoreError>;

    /// Subscribes to a name, which need not exist.
    async fn subscribe(&self, account: &AccountId, name: &MailboxName) -> Result<(), StoreError>;

    /// Ends a subscription; ending none is fine.
    async fn unsubscribe(&self, account: &AccountId, name: &MailboxName) -> Result<(), StoreError>;

    /// Rights on mailboxes, where the store keeps them (RFC 4314).
    fn acl(&self) -> Option<&dyn Acl> {
        None
    }

    /// Quotas, where the store counts (RFC 9208).
    fn quota(&self) -> Option<&dyn Quota> {
        None
    }

    /// Annotations, where the store keeps them (RFC 5464).
    fn metadata(&self) -> Option<&dyn Metadata> {
        None
    }

    /// An index of words, where the store has one.
    fn search(&self) -> Option<&dyn Search> {
        None
    }
}

/// Told when a mailbox changes: holds the ModSeq of its last change. Closed
/// when the mailbox is deleted.
pub type Watch = watch::Receiver<ModSeq>;

/// One open mailbox. A handle stays valid through renames; after deletion it
/// answers [`StoreError::NoSuchMailbox`].
#[async_trait]
pub trait Mailbox: Debug + Send + Sync {
    /// Its counters now.
    async fn status(&self) -> Result<MailboxStatus, StoreError>;

    /// The UIDs of all messages. Stores that keep them apart from the rows
    /// answer without looking at those.
    async fn uids(&self) -> Result<UidSet, StoreError> {
        let rows = self.messages(&UidSet::all()).await?;
        Ok(rows.into_iter().map(|row| row.uid).collect())
    }

    /// The first message without `\Seen`, where the store can tell at once
    /// (RFC 3501 section 7.1, UNSEEN). `None` says nothing.
    async fn first_unseen(&self) -> Result<Option<Uid>, StoreError> {
        Ok(None)
    }

    /// The rows of those messages of `uids` that exist, ascending.
    async fn messages(&self, uids: &UidSet) -> Result<Vec<MessageInfo>, StoreError>;

    /// The envelope, structure and offsets of those messages of `uids` that
    /// exist, ascending, without reading content.
    async fn summaries(&self, uids: &UidSet) -> Result<Vec<(Uid, Arc<Summary>)>, StoreError>;

    /// A message's octets. The result stays readable after an expunge for as
    /// long as it is held.
    async fn message(&self, uid: Uid) -> Result<Message, StoreError>;

    /// What changed after `since`; from [`ModSeq::MIN`] on: everything.
    async fn changes(&self, since: ModSeq) -> Result<Changes, StoreError>;

    /// Adds messages, all or none, in order.
    async fn append(&self, messages: Vec<NewMessage>) -> Result<Vec<Appended>, StoreError>;

    /// Changes flags of those messages of `uids` that exist and whose ModSeq is
    /// at most `unchanged_since`, when that is given (RFC 7162 section 3.1.3).
    async fn store(
        &self,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<StoreReceipt, StoreError>;

    /// Copies those messages of `uids` that exist to a mailbox of the same
    /// account, all or none, flags and dates kept.
    async fn copy(&self, uids: &UidSet, to: &MailboxName) -> Result<CopyReceipt, StoreError>;

    /// As `copy`, and expunges them here in the same change (RFC 6851).
    async fn move_to(&self, uids: &UidSet, to: &MailboxName) -> Result<CopyReceipt, StoreError>;

    /// Removes those messages of `uids` that have `\Deleted`; returns which.
    async fn expunge(&self, uids: &UidSet) -> Result<UidSet, StoreError>;

    /// Changes by anyone from now on.
    fn watch(&self) -> Watch;

    /// Takes the messages that no session was told of yet as this session's
    /// `\Recent` (RFC 3501 section 2.3.2): UIDs at or above the result. A
    /// memory aid that may forget; stores without it say that nothing is
    /// recent.
    async fn claim_recent(&self) -> Result<Uid, StoreError> {
        Ok(Uid::MAX)
    }
}

/// A message to add.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its octets.
    pub message: Message,
    /// The summary of `message`, prefix included.
    pub summary: Arc<Summary>,
    /// Its flags.
    pub flags: Flags,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
}

/// Where a message came to lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The mailbox; with a fallback, not always the one asked for.
    pub mailbox: MailboxId,
    /// Its UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// The message's UID.
    pub uid: Uid,
    /// The message's ModSeq.
    pub modseq: ModSeq,
}

/// What STORE did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreReceipt {
    /// The rows after the change, of all messages that were asked for and
    /// exist, ascending.
    pub messages: Vec<MessageInfo>,
    /// Those left alone since they changed after `unchanged_since`.
    pub modified: UidSet,
}

/// What COPY and MOVE did: pairs of UIDs, ascending (RFC 4315 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReceipt {
    /// UIDVALIDITY of the target.
    pub uid_validity: UidValidity,
    /// Old UID, new UID.
    pub pairs: Vec<(Uid, Uid)>,
}

/// Rights on mailboxes (RFC 4314). Methods come with the feature that serves
/// them.
pub trait Acl: Debug + Send + Sync {}

/// What an account uses and may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuotaUsage {
    /// Octets of messages not expunged.
    pub octets: u64,
    /// Messages not expunged.
    pub messages: u64,
}

/// Exact usage counters (RFC 9208).
#[async_trait]
pub trait Quota: Debug + Send + Sync {
    /// What the account uses now.
    async fn usage(&self, account: &AccountId) -> Result<QuotaUsage, StoreError>;
}

/// Annotations on mailboxes and accounts (RFC 5464).
pub trait Metadata: Debug + Send + Sync {}

/// Candidates for a text search; the octets decide.
pub trait Search: Debug + Send + Sync {}
