//! The durable queue's read side; changes go through
//! [`Commit`](super::Commit).

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::StoreError;
use crate::address::{Address, Domain, ReversePath};
use crate::queue::{EntryStateKind, QueueEntry, QueueId, Urgency};
use crate::time::Timestamp;

/// The queue as its runner and its operators read it.
///
/// Leases live in memory: they end with the process, with the entry's next
/// [`SpoolChange`](crate::batch::SpoolChange), or when their time is over, so
/// that no crash leaves an entry stuck.
#[async_trait]
pub trait Spool: Debug + Send + Sync {
    /// Takes up to `limit` entries that wait, are due and are not leased, in the
    /// order of [`Urgency::rank`](crate::queue::Urgency::rank): the urgent first,
    /// then those due longest. A lease not ended in `lease_for` ends by itself.
    ///
    /// Asked for often: what a call costs must not grow with the retries that
    /// are due and not taken.
    async fn lease(
        &self,
        now: Timestamp,
        limit: LeaseLimit,
        lease_for: Duration,
    ) -> Result<Vec<(Arc<QueueEntry>, Lease)>, StoreError>;

    /// Gives a lease back without a change. The entry is due again.
    async fn release(&self, id: QueueId, lease: Lease) -> Result<(), StoreError>;

    /// When the next waiting entry that is not leased is due.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// One entry.
    async fn entry(&self, id: QueueId) -> Result<Option<Arc<QueueEntry>>, StoreError>;

    /// Entries by id, after `query.after`.
    async fn list(&self, query: &SpoolQuery) -> Result<Vec<SpoolSummary>, StoreError>;

    /// Up to `limit` kept copies and bad entries whose time is over; of each kind
    /// those first whose time was over first.
    async fn outlived(&self, now: Timestamp, limit: usize) -> Result<Vec<QueueId>, StoreError>;

    /// Up to `limit` waiting entries that are due later than `after`. A store
    /// that knows them better than by looking at all says so itself.
    async fn due_after(&self, after: Timestamp, limit: usize) -> Result<Vec<QueueId>, StoreError> {
        let mut query = SpoolQuery {
            state: Some(EntryStateKind::Waiting),
            ..SpoolQuery::default()
        };
        let mut found = Vec::new();
        loop {
            let page = self.list(&query).await?;
            let Some(last) = page.last() else {
                return Ok(found);
            };
            query.after = Some(last.entry.id);
            for line in page {
                if line.entry.progress.next_attempt > after {
                    found.push(line.entry.id);
                }
                if found.len() >= limit {
                    return Ok(found);
                }
            }
        }
    }

    /// How many entries there are in each state.
    async fn counts(&self) -> Result<SpoolCounts, StoreError>;

    /// Changes value whenever an entry was added or changed; new copies, and what
    /// is put in quarantine, aside.
    fn watch(&self) -> watch::Receiver<u64>;
}

/// How many entries are leased at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseLimit {
    /// All together.
    pub all: usize,
    /// Those among them that were tried before: a crowd of retries must not take
    /// the place of mail that comes for the first time.
    pub retries: usize,
}

impl LeaseLimit {
    /// So many, tried before or not.
    pub const fn all(all: usize) -> Self {
        Self { all, retries: all }
    }

    /// How many of one urgency.
    pub fn of(self, urgency: Urgency) -> usize {
        match urgency.is_first() {
            true => self.all,
            false => self.retries.min(self.all),
        }
    }

    /// Takes those out of `ranked`, the first in turn before the others.
    pub fn take<T>(mut self, ranked: Vec<(Urgency, T)>) -> Vec<T> {
        let mut taken = Vec::with_capacity(ranked.len().min(self.all));
        for (urgency, it) in ranked {
            if self.of(urgency) == 0 {
                continue;
            }
            self.all -= 1;
            self.retries -= usize::from(!urgency.is_first());
            taken.push(it);
        }
        taken
    }
}

/// Proof of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease(pub u64);

/// How many entries there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SpoolCounts {
    /// Tried when they are due.
    pub waiting: u64,
    /// On hold.
    pub held: u64,
    /// For an operator to decide on.
    pub bad: u64,
    /// Copies of what was delivered.
    pub kept: u64,
    /// Kept apart.
    pub quarantined: u64,
}

impl SpoolCounts {
    /// What is in the queue: neither kept copies nor what is in quarantine.
    pub const fn queued(&self) -> u64 {
        self.waiting + self.held + self.bad
    }

    /// Of one state.
    pub fn of(&mut self, state: EntryStateKind) -> &mut u64 {
        match state {
            EntryStateKind::Waiting => &mut self.waiting,
            EntryStateKind::Held => &mut self.held,
            EntryStateKind::Bad => &mut self.bad,
            EntryStateKind::Kept => &mut self.kept,
            EntryStateKind::Quarantined => &mut self.quarantined,
        }
    }
}

/// Which entries to list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolQuery {
    /// Only those after this one, in the order asked for.
    pub after: Option<QueueId>,
    /// Only those in this state. Kept copies and what is in quarantine are listed
    /// only when asked for: `None` is all others.
    pub state: Option<EntryStateKind>,
    /// Only those with this sender.
    pub sender: Option<ReversePath>,
    /// Only those with this recipient: of kept copies one that was served, of
    /// others one that was not yet.
    pub recipient: Option<Address>,
    /// Only those with a recipient in this domain, likewise.
    pub domain: Option<Domain>,
    /// Only those accepted before.
    pub received_before: Option<Timestamp>,
    /// In which order.
    pub order: SpoolOrder,
    /// At most so many.
    pub limit: usize,
}

impl Default for SpoolQuery {
    fn default() -> Self {
        Self {
            after: None,
            state: None,
            sender: None,
            recipient: None,
            domain: None,
            received_before: None,
            order: SpoolOrder::default(),
            limit: 100,
        }
    }
}

impl SpoolQuery {
    /// Whether an entry is in a state that is asked for.
    pub fn takes_state(&self, state: EntryStateKind) -> bool {
        match self.state {
            Some(wanted) => state == wanted,
            None => state.is_queued(),
        }
    }

    /// Whether an entry of the right state is asked for. Reads no content.
    pub fn takes(&self, entry: &QueueEntry) -> bool {
        let progress = &entry.progress;
        // What is on its way is asked for to be worked on: who was served already
        // must not draw the mail of the others in.
        let served = match progress.state.kind() {
            EntryStateKind::Kept => &progress.done[..],
            _ => &[],
        };
        let served = served.iter().map(|it| &it.recipient.address);
        let waiting = progress.recipients.iter().map(|it| &it.recipient.address);
        let mut to = waiting.chain(served);
        let wanted = |address: &Address| {
            self.domain.as_ref().is_none_or(|it| address.domain() == it)
                && self.recipient.as_ref().is_none_or(|it| address == it)
        };
        self.sender
            .as_ref()
            .is_none_or(|it| entry.reverse_path == *it)
            && self.received_before.is_none_or(|it| entry.received_at < it)
            && ((self.domain.is_none() && self.recipient.is_none()) || to.any(wanted))
    }
}

/// In which order entries are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpoolOrder {
    /// By id, which is by age.
    #[default]
    OldestFirst,
    /// The other way round.
    NewestFirst,
}

/// A line of the queue listing.
#[derive(Debug, Clone)]
pub struct SpoolSummary {
    /// The entry, its content not read.
    pub entry: Arc<QueueEntry>,
    /// True while a runner works on it.
    pub leased: bool,
}
