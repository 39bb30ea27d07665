//! The record of what happened, for people to ask: message log, sessions,
//! events, statistics.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::account::AccountId;
use crate::event::{EventCursor, EventName, StoredEvent, TraceId};
use crate::queue::QueueId;
use crate::time::Timestamp;

/// Keeps events beyond the outbox's life, queryable. Fed from the outbox by
/// cursor ([`Follower`](crate::event::Follower)).
///
/// Mail never waits for a journal: one that fails is tried again later, and
/// what it missed is read again from the outbox.
#[async_trait]
pub trait Journal: Debug + Send + Sync {
    /// Adds events, in the outbox's order, and moves the cursor to the last of
    /// them: both or neither. An event that is there already, by its id, changes
    /// nothing.
    async fn append(&self, events: &[StoredEvent]) -> Result<(), JournalError>;

    /// The place in the outbox after which to read on: that of the last event
    /// appended. The default cursor when there was none.
    async fn cursor(&self) -> Result<EventCursor, JournalError>;

    /// Events that fit, newest first.
    async fn query(&self, query: &JournalQuery) -> Result<JournalPage, JournalError>;

    /// Removes what `retention` does not keep any longer at `now`, oldest first.
    /// May take long; appends go on meanwhile.
    async fn purge(
        &self,
        now: Timestamp,
        retention: &JournalRetention,
    ) -> Result<Purged, JournalError>;
}

/// Which events to read. Conditions add up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalQuery {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// About this message.
    pub trace: Option<TraceId>,
    /// About messages with this Message-ID, with its angle brackets or without.
    pub message_id: Option<String>,
    /// About the message of this entry of the queue.
    pub queue: Option<QueueId>,
    /// Of this name.
    pub name: Option<EventName>,
    /// About this account's mailboxes, or done by it.
    pub account: Option<AccountId>,
    /// About messages from or to this address, as it stood on the envelope or
    /// as an alias expanded it; upper and lower case are the same.
    pub address: Option<String>,
    /// About messages whose sender, on the envelope, is this address. Empty for
    /// the null reverse-path.
    pub sender: Option<String>,
    /// About messages to this address.
    pub recipient: Option<String>,
    /// With this text in one of the event's values: its subject, its status.
    /// Upper and lower case are the same.
    pub text: Option<String>,
    /// Older than the page that ended here ([`JournalPage::next`]).
    pub before: Option<JournalKey>,
    /// At most so many.
    pub limit: usize,
}

impl Default for JournalQuery {
    fn default() -> Self {
        Self {
            from: None,
            until: None,
            trace: None,
            message_id: None,
            queue: None,
            name: None,
            account: None,
            address: None,
            sender: None,
            recipient: None,
            text: None,
            before: None,
            limit: 100,
        }
    }
}

/// A place in a journal's order, newest first. Stays what it is while events
/// are added and removed, so that no page repeats or skips one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JournalKey {
    /// When the event happened.
    pub at: Timestamp,
    /// Tells events of that moment apart, by the journal's own count.
    pub number: u64,
}

/// Some events of a journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalPage {
    /// Newest first.
    pub events: Vec<StoredEvent>,
    /// Where older ones begin; `None` when there are none.
    pub next: Option<JournalKey>,
}

impl JournalPage {
    /// A page, and where the next begins.
    pub fn new(events: Vec<StoredEvent>, next: Option<JournalKey>) -> Self {
        Self { events, next }
    }
}

/// How long a journal keeps what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalRetention {
    /// Messages with their recipients, counted from their arrival. Better longer
    /// than the queue keeps trying.
    pub messages: Duration,
    /// Logins, counted from their end.
    pub sessions: Duration,
    /// Events as such. A repeat is recognised as long as the event is kept, so
    /// this is better not shorter than the outbox's own 30 days.
    pub events: Duration,
    /// Counts by hour.
    pub statistics: Duration,
    /// Octets that the journal may use in all; above, what is oldest goes first,
    /// statistics last. `None` for no limit.
    pub octets: Option<u64>,
}

impl Default for JournalRetention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3_600);
        Self {
            messages: DAY * 90,
            sessions: DAY * 30,
            events: DAY * 30,
            statistics: DAY * 730,
            octets: Some(4 * 1024 * 1024 * 1024),
        }
    }
}

/// What [`Journal::purge`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Messages, with all their recipients.
    pub messages: u64,
    /// Logins.
    pub sessions: u64,
    /// Events.
    pub events: u64,
    /// Counts.
    pub statistics: u64,
    /// Octets given back to the file system.
    pub octets: u64,
}

impl Purged {
    /// Rows in all.
    pub fn rows(&self) -> u64 {
        self.messages + self.sessions + self.events + self.statistics
    }
}

/// The journal failed; mail goes on without it.
#[derive(Debug, Clone, Error)]
#[error("the journal is not available: {0}")]
pub struct JournalError(pub String);
