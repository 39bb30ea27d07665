//! [`Batch`]: everything that one step of the mail path changes, committed all
//! or nothing by [`Commit`](crate::seams::Commit).

use std::sync::Arc;

use crate::account::AccountId;
use crate::address::Address;
use crate::event::{Event, TraceId};
use crate::mailbox::MailboxName;
use crate::queue::{QueueEntry, QueueId, QueueProgress};
use crate::seams::{Appended, Lease, NewMessage, QuotaLimit, StateKey, StateValue, StoreError};
use crate::time::Timestamp;

/// One durable write. Empty parts cost nothing.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Checked first; one that fails fails the batch and nothing is written.
    pub preconditions: Vec<Precondition>,
    /// Messages into mailboxes. Each has an outcome of its own in the
    /// [`Receipt`]: one that can't be filed does not fail the batch.
    pub appends: Vec<Append>,
    /// Changes to the queue.
    pub spool: Vec<SpoolChange>,
    /// Changes to the state.
    pub state: Vec<StateChange>,
    /// Events, to be read from the outbox after this batch is durable, in this
    /// order. The store adds one of its own for each message filed.
    pub events: Vec<Event>,
}

impl Batch {
    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.appends.is_empty()
            && self.spool.is_empty()
            && self.state.is_empty()
            && self.events.is_empty()
    }
}

/// What must hold for a batch to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precondition {
    /// The key has this version, `None` for absent.
    StateIs {
        /// Which key.
        key: StateKey,
        /// [`StateValue::version`].
        version: Option<u64>,
    },
    /// The lease on a queue entry is still held.
    LeaseHeld {
        /// Which entry.
        id: QueueId,
        /// The lease that [`Spool::lease`](crate::seams::Spool::lease) gave.
        lease: Lease,
    },
}

/// A message to file.
#[derive(Debug, Clone)]
pub struct Append {
    /// Whose mailbox.
    pub account: AccountId,
    /// Which.
    pub mailbox: MailboxName,
    /// What to do when that mailbox is not there.
    pub if_missing: IfMissing,
    /// The message.
    pub message: NewMessage,
    /// Makes the append idempotent: a store that filed this id before answers
    /// with where it lies.
    pub delivery_id: Option<DeliveryId>,
    /// What the account may hold, checked at commit.
    pub quota: QuotaLimit,
    /// The message's track through the server, for the event.
    pub trace: TraceId,
    /// Whom it was for, for the event's field `to`.
    pub recipient: Option<Address>,
}

/// What an append does when its mailbox does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfMissing {
    /// File to INBOX (RFC 5228 section 4.1 allows either).
    #[default]
    FileToInbox,
    /// Make the mailbox.
    Create,
    /// Report [`StoreError::NoSuchMailbox`] for this append.
    Fail,
}

/// Names one delivery of one message to one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryId(pub u128);

/// A change to the queue.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SpoolChange {
    /// A new entry.
    Enqueue(Arc<QueueEntry>),
    /// New progress of an entry.
    Update {
        /// Which.
        id: QueueId,
        /// What stands from now on.
        progress: QueueProgress,
        /// What becomes of the lease on it, if there is one.
        lease: AfterUpdate,
    },
    /// The entry is done with.
    Remove {
        /// Which.
        id: QueueId,
    },
}

/// What becomes of a lease when its entry is updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterUpdate {
    /// It ends: the entry is due when its progress says.
    #[default]
    EndLease,
    /// It goes on, until its time is over: a part of an attempt was noted down.
    KeepLease,
}

/// A change to the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// Sets a value.
    Put {
        /// Which key.
        key: StateKey,
        /// The octets.
        value: Vec<u8>,
        /// When it vanishes by itself.
        expires: Option<Timestamp>,
    },
    /// Removes a value; removing none is fine.
    Remove {
        /// Which key.
        key: StateKey,
    },
    /// Adds to a counter, a missing or expired one counting as 0. The value is
    /// kept as 8 octets, big-endian, two's complement.
    Add {
        /// Which key.
        key: StateKey,
        /// How much.
        amount: i64,
        /// When the counter vanishes; set when it is made, kept afterwards.
        expires: Option<Timestamp>,
    },
}

/// What a commit did.
#[derive(Debug, Clone, Default)]
pub struct Receipt {
    /// One outcome for each of [`Batch::appends`], in order.
    pub appends: Vec<Result<Appended, StoreError>>,
    /// The values of the keys changed, one for each of [`Batch::state`].
    pub state: Vec<Option<StateValue>>,
}
