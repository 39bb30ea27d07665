//! Accounts' mailboxes and the messages in them, in UIDs and ModSeq.
//!
//! Knows nothing of sequence numbers, FETCH items or reply texts, so that IMAP,
//! POP3, webmail and JMAP share it.

mod metadata;

use std::fmt::Debug;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use super::{Excerpt, StoreError};
use crate::account::AccountId;
use crate::batch::DeliveryId;
use crate::mailbox::{
    AclEntry, ChangedUids, Changes, FlagChange, Flags, Identifier, MailboxEntry, MailboxId,
    MailboxName, MailboxStatus, MessageInfo, ModSeq, RightsChange, SpecialUse, SystemFlag, Uid,
    UidSet, UidValidity,
};
use crate::message::{Message, Summary};
use crate::time::Timestamp;

pub use metadata::{Metadata, StateAnnotations};

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
    /// Messages have a thread ([`MessageInfo::thread_id`]).
    pub thread_id: bool,
    /// A message is replaced in one change (REPLACE).
    pub replace: bool,
    /// [`Storage::watch_account`] reports changes (NOTIFY).
    pub watch_account: bool,
    /// [`Storage::acl`] is there (LIST-MYRIGHTS).
    pub acl: bool,
    /// [`Storage::metadata`] is there (METADATA).
    pub metadata: bool,
}

/// A store of mailboxes.
///
/// *Durability*: a change that returned `Ok` is on stable storage. *Ordering*:
/// changes to one mailbox are seen by all in one order, that of their ModSeq.
/// *Cancellation*: dropping a future never leaves half a change. *Cost*:
/// `list` is linear in the account's mailboxes, `status` and `open` constant.
///
/// A store that only shows what it has implements `list` and `open`: by default
/// changes are [`StoreError::Unsupported`].
#[async_trait]
pub trait Storage: Debug + Send + Sync {
    /// What this store can do beyond listing and reading; by default nothing.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// True when no change can succeed for as long as this store is open: it was
    /// opened for reading. Every change answers [`StoreError::ReadOnly`].
    fn is_read_only(&self) -> bool {
        false
    }

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
    ) -> Result<MailboxId, StoreError> {
        let _ = (account, name, special_use);
        Err(StoreError::Unsupported("making a mailbox"))
    }

    /// Deletes a mailbox with its messages. Children stay (RFC 9051 section
    /// 6.3.5); open handles answer [`StoreError::NoSuchMailbox`] from then on.
    async fn delete(&self, account: &AccountId, name: &MailboxName) -> Result<(), StoreError> {
        let _ = (account, name);
        Err(StoreError::Unsupported("deleting a mailbox"))
    }

    /// Renames a mailbox and all below it, keeping ids and UIDs. Renaming INBOX
    /// moves its messages to a new mailbox and leaves it empty (RFC 9051
    /// section 6.3.6).
    async fn rename(
        &self,
        account: &AccountId,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<(), StoreError> {
        let _ = (account, from, to);
        Err(StoreError::Unsupported("renaming a mailbox"))
    }

    /// Subscribes to a name, which need not exist.
    async fn subscribe(&self, account: &AccountId, name: &MailboxName) -> Result<(), StoreError> {
        let _ = (account, name);
        Err(StoreError::Unsupported("subscriptions"))
    }

    /// Ends a subscription; ending none is fine.
    async fn unsubscribe(&self, account: &AccountId, name: &MailboxName) -> Result<(), StoreError> {
        let _ = (account, name);
        Err(StoreError::Unsupported("subscriptions"))
    }

    /// Told when anything of the account changes: a mailbox, a subscription, a
    /// right on a mailbox, a message or its flags. Holds a number that differs
    /// after each change and says nothing by itself. Closed from the start in
    /// stores that do not tell ([`Abilities::watch_account`]).
    fn watch_account(&self, account: &AccountId) -> AccountWatch {
        let _ = account;
        watch::channel(0).1
    }

    /// Rights on mailboxes, where the store keeps them (RFC 4314).
    fn acl(&self) -> Option<&dyn Acl> {
        None
    }

    /// Quotas, where the store counts (RFC 9208).
    fn quota(&self) -> Option<&dyn Quota> {
        None
    }

    /// Messages that were removed and can still be brought back, where the
    /// store keeps them.
    fn undelete(&self) -> Option<&dyn Undelete> {
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

/// Never sends and is never closed: nothing in it ever changes.
static SILENT: LazyLock<watch::Sender<ModSeq>> = LazyLock::new(|| watch::Sender::new(ModSeq::MIN));

/// See [`Storage::watch_account`].
pub type AccountWatch = watch::Receiver<u64>;

/// One open mailbox. A handle stays valid through renames; after deletion it
/// answers [`StoreError::NoSuchMailbox`].
///
/// One that only shows what it has implements `status`
/// ([`MailboxStatus::of`] counts), `messages` and `message`; one that changes,
/// `watch` too.
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
    /// exist, ascending. A store that keeps them answers without reading content;
    /// by default each message is read.
    async fn summaries(&self, uids: &UidSet) -> Result<Vec<(Uid, Arc<Summary>)>, StoreError> {
        let mut summaries = Vec::new();
        for row in self.messages(uids).await? {
            let summary = self.message(row.uid).await?.summarize().await?;
            summaries.push((row.uid, Arc::new(summary)));
        }
        Ok(summaries)
    }

    /// A message's octets. The result stays readable after an expunge for as
    /// long as it is held.
    async fn message(&self, uid: Uid) -> Result<Message, StoreError>;

    /// Octets of several messages, in the order of `wanted`: of headers and
    /// small messages, since all are in memory together. `None` for one that
    /// can't be had; [`Mailbox::message`] tells why. A store that can look many
    /// up at once does.
    async fn excerpts(&self, wanted: &[(Uid, Excerpt)]) -> Vec<Option<Bytes>> {
        let mut excerpts = Vec::with_capacity(wanted.len());
        for (uid, excerpt) in wanted {
            let octets = match self.message(*uid).await {
                Ok(message) => excerpt.read(&message).await,
                Err(error) => Err(error),
            };
            excerpts.push(octets.ok().flatten());
        }
        excerpts
    }

    /// What changed after `since`; from [`ModSeq::MIN`] on: everything. A store
    /// that does not remember what went says so, and the caller compares.
    async fn changes(&self, since: ModSeq) -> Result<Changes, StoreError> {
        let status = self.status().await?;
        let rows = self.messages(&UidSet::all()).await?;
        Ok(Changes {
            changed: rows.into_iter().filter(|row| row.modseq > since).collect(),
            vanished: UidSet::EMPTY,
            complete: false,
            status,
        })
    }

    /// As [`Mailbox::changes`], for who needs no more than the UIDs: a client
    /// that was away (RFC 7162 section 3.2.5) may have missed a million. A store
    /// that can tell them without the messages' rows does.
    async fn changed_uids(&self, since: ModSeq) -> Result<ChangedUids, StoreError> {
        self.changes(since).await.map(ChangedUids::from)
    }

    /// Adds messages, all or none, in order, in one change.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`] when the account would then hold more than
    /// `quota` allows; decided when the change is made.
    async fn append(
        &self,
        messages: Vec<NewMessage>,
        quota: QuotaLimit,
    ) -> Result<Vec<Appended>, StoreError> {
        let _ = (messages, quota);
        Err(StoreError::Unsupported("adding a message"))
    }

    /// Adds one message that is delivered, once: one that was added under this
    /// id before is left as it is, and where it lies is told again. A store that
    /// does not remember ids may add it twice when a crash came in between, as
    /// this default does; one with a column for them never does.
    ///
    /// # Errors
    /// As for `append`.
    async fn append_once(
        &self,
        delivery: DeliveryId,
        message: NewMessage,
        quota: QuotaLimit,
    ) -> Result<Appended, StoreError> {
        let _ = delivery;
        let appended = self.append(vec![message], quota).await?;
        appended.into_iter().next().ok_or(StoreError::NotFound)
    }

    /// Changes flags of those messages of `uids` that exist and whose ModSeq is
    /// at most `unchanged_since`, when that is given (RFC 7162 section 3.1.3).
    async fn store(
        &self,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<StoreReceipt, StoreError> {
        let _ = (uids, change, unchanged_since);
        Err(StoreError::Unsupported("changing flags"))
    }

    /// Copies those messages of `uids` that exist to a mailbox of the same
    /// account, all or none, flags, dates, identities and threads kept.
    ///
    /// # Errors
    /// As for `append`.
    async fn copy(
        &self,
        uids: &UidSet,
        to: &MailboxName,
        quota: QuotaLimit,
    ) -> Result<CopyReceipt, StoreError> {
        let _ = (uids, to, quota);
        Err(StoreError::Unsupported("copying messages"))
    }

    /// Adds a message to a mailbox of the same account and expunges the message
    /// `uid` here, in one change (RFC 8508). The one replaced can be brought
    /// back like any other that was removed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no message `uid`;
    /// [`StoreError::OverQuota`] as for `append`, what goes away counting in
    /// favour; [`StoreError::Unsupported`] by stores without
    /// [`Abilities::replace`].
    async fn replace(
        &self,
        uid: Uid,
        to: &MailboxName,
        message: NewMessage,
        quota: QuotaLimit,
    ) -> Result<Appended, StoreError> {
        let _ = (uid, to, message, quota);
        Err(StoreError::Unsupported("replacing a message"))
    }

    /// As `copy`, and expunges them here in the same change (RFC 6851). The
    /// account holds no more afterwards, so no quota is in the way.
    async fn move_to(&self, uids: &UidSet, to: &MailboxName) -> Result<CopyReceipt, StoreError> {
        let _ = (uids, to);
        Err(StoreError::Unsupported("moving messages"))
    }

    /// Removes those messages of `uids` that have `\Deleted`; returns which.
    async fn expunge(&self, uids: &UidSet) -> Result<UidSet, StoreError> {
        let _ = uids;
        Err(StoreError::Unsupported("removing messages"))
    }

    /// Removes those messages of `uids` that exist, whatever their flags, in one
    /// change; returns which. Stores that can't do so mark them with `\Deleted`
    /// and expunge them.
    async fn remove(&self, uids: &UidSet) -> Result<UidSet, StoreError> {
        let mark = FlagChange::Add([SystemFlag::Deleted].into_iter().collect());
        self.store(uids, &mark, None).await?;
        self.expunge(uids).await
    }

    /// Changes by anyone from now on. By default nothing is told
    /// ([`Abilities::watch`]); a sender that is dropped says that the mailbox was
    /// deleted.
    fn watch(&self) -> Watch {
        SILENT.subscribe()
    }

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
    /// The ModSeq that this change took and no other did; `None` when no flag
    /// came out different, or from a store that does not tell.
    pub modseq: Option<ModSeq>,
}

/// What COPY and MOVE did: pairs of UIDs, ascending (RFC 4315 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReceipt {
    /// UIDVALIDITY of the target.
    pub uid_validity: UidValidity,
    /// Old UID, new UID.
    pub pairs: Vec<(Uid, Uid)>,
}

/// Rights on mailboxes (RFC 4314): kept with the mailbox through renames, gone
/// when it is deleted. Kept only: whoever serves a mailbox enforces them. The
/// owner's own rights are not among them.
#[async_trait]
pub trait Acl: Debug + Send + Sync {
    /// A mailbox's entries, ordered by identifier.
    async fn entries(
        &self,
        account: &AccountId,
        mailbox: &MailboxName,
    ) -> Result<Vec<AclEntry>, StoreError>;

    /// Changes an entry, making it when it is missing. One that is left without
    /// a right is removed.
    async fn set(
        &self,
        account: &AccountId,
        mailbox: &MailboxName,
        identifier: &Identifier,
        change: RightsChange,
    ) -> Result<(), StoreError>;

    /// Removes an entry; removing none is fine.
    async fn remove(
        &self,
        account: &AccountId,
        mailbox: &MailboxName,
        identifier: &Identifier,
    ) -> Result<(), StoreError>;

    /// The mailboxes of all accounts that have an entry for one of these
    /// identifiers, ordered by account and name.
    async fn mailboxes_of(&self, identifiers: &[Identifier])
    -> Result<Vec<AclMailbox>, StoreError>;
}

/// A mailbox that somebody has rights on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclMailbox {
    /// Whose it is.
    pub owner: AccountId,
    /// Its name there.
    pub name: MailboxName,
    /// Its entries for the identifiers asked for.
    pub entries: Vec<AclEntry>,
}

/// What an account uses: the sum over its messages that are not expunged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuotaUsage {
    /// Octets, as RFC822.SIZE counts them.
    pub octets: u64,
    /// Messages.
    pub messages: u64,
}

impl QuotaUsage {
    /// One message of `octets`.
    pub fn message(octets: u64) -> Self {
        Self {
            octets,
            messages: 1,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            octets: self.octets.saturating_add(other.octets),
            messages: self.messages.saturating_add(other.messages),
        }
    }

    /// This without the other.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            octets: self.octets.saturating_sub(other.octets),
            messages: self.messages.saturating_sub(other.messages),
        }
    }
}

impl std::iter::Sum for QuotaUsage {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Self::plus)
    }
}

/// What an account may use (RFC 9208 sections 5.1 and 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuotaLimit {
    /// Octets; `None` for no limit.
    pub octets: Option<u64>,
    /// Messages; `None` for no limit.
    pub messages: Option<u64>,
}

impl QuotaLimit {
    /// No limit.
    pub const NONE: Self = Self {
        octets: None,
        messages: None,
    };

    /// True when the account may go from `before` to `after`. What does not
    /// grow is never refused, so that whoever is over a limit that was lowered
    /// can tidy up.
    pub fn permits(&self, before: QuotaUsage, after: QuotaUsage) -> bool {
        let within = |limit: Option<u64>, before, after| {
            after <= before || limit.is_none_or(|limit| after <= limit)
        };
        within(self.octets, before.octets, after.octets)
            && within(self.messages, before.messages, after.messages)
    }
}

/// A limit in octets alone.
impl From<Option<u64>> for QuotaLimit {
    fn from(octets: Option<u64>) -> Self {
        Self {
            octets,
            messages: None,
        }
    }
}

/// Exact usage counters (RFC 9208).
#[async_trait]
pub trait Quota: Debug + Send + Sync {
    /// What the account uses now.
    async fn usage(&self, account: &AccountId) -> Result<QuotaUsage, StoreError>;

    /// What each of these accounts uses, in their order: for listings.
    async fn usages(&self, accounts: &[AccountId]) -> Result<Vec<QuotaUsage>, StoreError> {
        let mut usages = Vec::with_capacity(accounts.len());
        for account in accounts {
            usages.push(self.usage(account).await?);
        }
        Ok(usages)
    }
}

/// Messages that were expunged, or whose mailbox was deleted, and that can be
/// brought back for a time that the store's settings say. They count in no
/// quota. A message that was moved lives on and is not among them.
#[async_trait]
pub trait Undelete: Debug + Send + Sync {
    /// What can be brought back, the latest removed first.
    async fn removed(
        &self,
        account: &AccountId,
        query: &RemovedQuery,
    ) -> Result<Vec<RemovedMessage>, StoreError>;

    /// Brings messages back in one change, all or none, without `\Deleted`, and
    /// with the rest of what they were: into the mailbox `into`, or each into
    /// the one it was in, by its identity if that still stands and by its name
    /// then if not. Mailboxes that are missing are made. Returns where each
    /// lies now, in the order asked.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when one of them cannot be brought back any
    /// more; [`StoreError::OverQuota`] as for [`Mailbox::append`].
    async fn restore(
        &self,
        account: &AccountId,
        messages: &[RemovedId],
        into: Option<&MailboxName>,
        quota: QuotaLimit,
    ) -> Result<Vec<Appended>, StoreError>;

    /// Gives messages up before their time. Those that are gone already are
    /// passed over; returns how many there were.
    async fn purge(&self, account: &AccountId, messages: &[RemovedId]) -> Result<u64, StoreError>;
}

/// Which removed messages to list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemovedQuery {
    /// Only those that were in the mailbox of this name when they were removed.
    pub mailbox: Option<MailboxName>,
    /// Only those removed at this time or later.
    pub since: Option<Timestamp>,
    /// Go on after this one, the last of the page before.
    pub after: Option<(Timestamp, RemovedId)>,
    /// At most so many; 1,000 by default.
    pub limit: usize,
}

impl Default for RemovedQuery {
    fn default() -> Self {
        Self {
            mailbox: None,
            since: None,
            after: None,
            limit: 1_000,
        }
    }
}

/// Names a removed message: the mailbox it was in and its UID there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RemovedId {
    /// The mailbox, which may be gone as well.
    pub mailbox: MailboxId,
    /// The message's UID there.
    pub uid: Uid,
}

/// A message that can be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedMessage {
    /// Its name.
    pub id: RemovedId,
    /// What its mailbox was called then.
    pub mailbox: MailboxName,
    /// When it was removed.
    pub removed_at: Timestamp,
    /// Its row as it was; the ModSeq is that of its removal.
    pub info: MessageInfo,
    /// Its summary, where it could be read.
    pub summary: Option<Arc<Summary>>,
}

/// Candidates for a text search; the octets decide.
pub trait Search: Debug + Send + Sync {}

#[cfg(test)]
mod tests;
