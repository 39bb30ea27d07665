//! Who goes first among those who wait: [`Line`] and [`Rank`].

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tokio::sync::oneshot;

use crate::queue::{QueueEntry, Urgency};
use crate::time::Timestamp;

/// How urgent an entry is; the lesser goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(i64);

impl Rank {
    /// As the spool orders what is due: what waits long enough comes before
    /// anything urgent that came later.
    pub(super) fn of(entry: &QueueEntry) -> Self {
        let progress = &entry.progress;
        let urgency = Urgency::new(entry.params.priority, progress.attempts);
        Self::new(progress.next_attempt, urgency)
    }

    pub(super) fn new(due: Timestamp, urgency: Urgency) -> Self {
        Self(urgency.rank(due))
    }
}

/// Those who wait for a permit `P`, by rank and then in the order they came.
/// One that stopped waiting is passed over.
#[derive(Debug)]
pub(super) struct Line<P> {
    waiting: BinaryHeap<Waiter<P>>,
    came: u64,
}

impl<P> Default for Line<P> {
    fn default() -> Self {
        Self {
            waiting: BinaryHeap::new(),
            came: 0,
        }
    }
}

#[derive(Debug)]
struct Waiter<P> {
    rank: Rank,
    came: u64,
    wake: oneshot::Sender<P>,
}

impl<P> Line<P> {
    /// Joins the line.
    pub(super) fn join(&mut self, rank: Rank) -> oneshot::Receiver<P> {
        let (wake, woken) = oneshot::channel();
        self.came += 1;
        let came = self.came;
        self.waiting.push(Waiter { rank, came, wake });
        woken
    }

    /// The rank of the next one.
    pub(super) fn first(&mut self) -> Option<Rank> {
        while self.waiting.peek().is_some_and(|it| it.wake.is_closed()) {
            self.waiting.pop();
        }
        self.waiting.peek().map(|waiter| waiter.rank)
    }

    /// Takes the next one out.
    pub(super) fn next(&mut self) -> Option<oneshot::Sender<P>> {
        self.first()?;
        self.waiting.pop().map(|waiter| waiter.wake)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Sends everybody away.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

impl<P> Waiter<P> {
    fn key(&self) -> (Rank, u64) {
        (self.rank, self.came)
    }
}

impl<P> PartialEq for Waiter<P> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<P> Eq for Waiter<P> {}

impl<P> PartialOrd for Waiter<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Turned round: the heap gives its greatest, and the lesser rank goes first.
impl<P> Ord for Waiter<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}
