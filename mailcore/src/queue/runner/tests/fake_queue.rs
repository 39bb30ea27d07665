//! A queue in memory, just enough for a runner.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::batch::{AfterUpdate, Batch, Precondition, Receipt, SpoolChange};
use crate::event::Event;
use crate::queue::{EntryState, QueueEntry, QueueId, Urgency};
use crate::seams::{
    Clock, Commit, CommitError, Lease, LeaseLimit, Spool, SpoolCounts, SpoolQuery, SpoolSummary,
    Stage, StoreError,
};
use crate::testing::VirtualClock;
use crate::time::{Monotonic, Timestamp};

type Held = (Arc<QueueEntry>, Option<(Lease, Monotonic)>);

#[derive(Debug)]
pub(super) struct FakeQueue {
    clock: VirtualClock,
    entries: Mutex<BTreeMap<QueueId, Held>>,
    changed: watch::Sender<u64>,
    pub(super) events: Mutex<Vec<Event>>,
    pub(super) enqueued: Mutex<Vec<Arc<QueueEntry>>>,
    /// Commits that fail before one succeeds.
    pub(super) failures: AtomicUsize,
    /// Nothing is leased, and why is told.
    pub(super) is_unreadable: AtomicBool,
    /// Recipients in the largest batch so far.
    pub(super) largest: AtomicUsize,
    /// Entries given out.
    pub(super) leases: AtomicUsize,
    /// Batches written.
    pub(super) commits: AtomicUsize,
    /// Octets of progress written.
    pub(super) written: AtomicUsize,
}

impl FakeQueue {
    pub(super) fn new(clock: VirtualClock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            entries: Mutex::default(),
            changed: watch::Sender::new(0),
            events: Mutex::default(),
            enqueued: Mutex::default(),
            failures: AtomicUsize::new(0),
            is_unreadable: AtomicBool::new(false),
            largest: AtomicUsize::new(0),
            leases: AtomicUsize::new(0),
            commits: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
        })
    }

    pub(super) fn put(&self, entry: QueueEntry) {
        let mut entries = self.entries.lock().unwrap();
        entries.insert(entry.id, (Arc::new(entry), None));
        self.changed.send_modify(|n| *n += 1);
    }

    pub(super) fn ids(&self) -> Vec<QueueId> {
        self.entries.lock().unwrap().keys().copied().collect()
    }

    /// Ends all leases, as a store whose clock jumped does.
    pub(super) fn end_leases(&self) {
        let mut entries = self.entries.lock().unwrap();
        entries.values_mut().for_each(|held| held.1 = None);
        drop(entries);
        self.changed.send_modify(|n| *n += 1);
    }

    fn is_free(&self, held: &Held) -> bool {
        held.1
            .is_none_or(|(_, until)| until <= self.clock.monotonic())
    }
}

#[async_trait]
impl Spool for FakeQueue {
    async fn lease(
        &self,
        now: Timestamp,
        mut limit: LeaseLimit,
        lease_for: Duration,
    ) -> Result<Vec<(Arc<QueueEntry>, Lease)>, StoreError> {
        if self.is_unreadable.load(Ordering::SeqCst) {
            return Err(StoreError::DiskFull);
        }
        let mut leased = Vec::new();
        for held in self.entries.lock().unwrap().values_mut() {
            let progress = &held.0.progress;
            let urgency = Urgency::new(held.0.params.priority, progress.attempts);
            if limit.of(urgency) == 0
                || progress.state != EntryState::Waiting
                || progress.next_attempt > now
            {
                continue;
            }
            if self.is_free(held) {
                let lease = Lease(self.leases.fetch_add(1, Ordering::SeqCst) as u64);
                held.1 = Some((lease, self.clock.monotonic().after(lease_for)));
                leased.push((held.0.clone(), lease));
                limit.all -= 1;
                limit.retries -= usize::from(!urgency.is_first());
            }
        }
        Ok(leased)
    }

    async fn release(&self, id: QueueId, _: Lease) -> Result<(), StoreError> {
        if let Some(held) = self.entries.lock().unwrap().get_mut(&id) {
            held.1 = None;
        }
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let entries = self.entries.lock().unwrap();
        let free = entries.values().filter(|held| self.is_free(held));
        Ok(free
            .filter(|held| held.0.progress.state == EntryState::Waiting)
            .map(|held| held.0.progress.next_attempt)
            .min())
    }

    async fn entry(&self, id: QueueId) -> Result<Option<Arc<QueueEntry>>, StoreError> {
        let entries = self.entries.lock().unwrap();
        Ok(entries.get(&id).map(|held| held.0.clone()))
    }

    async fn list(&self, _: &SpoolQuery) -> Result<Vec<SpoolSummary>, StoreError> {
        Err(StoreError::Unsupported("list"))
    }

    async fn outlived(&self, _: Timestamp, _: usize) -> Result<Vec<QueueId>, StoreError> {
        Err(StoreError::Unsupported("outlived"))
    }

    async fn due_after(&self, after: Timestamp, limit: usize) -> Result<Vec<QueueId>, StoreError> {
        let entries = self.entries.lock().unwrap();
        let late = entries.values().map(|held| &held.0.progress);
        let late = entries.keys().zip(late).filter(|(_, progress)| {
            progress.state == EntryState::Waiting && progress.next_attempt > after
        });
        Ok(late.map(|(id, _)| *id).take(limit).collect())
    }

    async fn counts(&self) -> Result<SpoolCounts, StoreError> {
        let mut counts = SpoolCounts::default();
        for (entry, _) in self.entries.lock().unwrap().values() {
            *counts.of(entry.progress.state.kind()) += 1;
        }
        Ok(counts)
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[async_trait]
impl Commit for FakeQueue {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        let fails = |n: usize| n.checked_sub(1);
        if self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails)
            .is_ok()
        {
            return Err(StoreError::DiskFull.into());
        }
        let mut entries = self.entries.lock().unwrap();
        for (at, precondition) in batch.preconditions.iter().enumerate() {
            let Precondition::LeaseHeld { id, lease } = precondition else {
                continue;
            };
            let held = entries.get(id).and_then(|held| held.1);
            if held.is_none_or(|(held, until)| held != *lease || until <= self.clock.monotonic()) {
                return Err(CommitError::Precondition(at));
            }
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        let recipients = batch.spool.iter().map(|change| match change {
            SpoolChange::Update { progress, .. } => progress.recipients.len(),
            _ => 0,
        });
        self.largest.fetch_max(recipients.sum(), Ordering::SeqCst);
        for change in batch.spool {
            match change {
                SpoolChange::Enqueue(entry) => {
                    self.enqueued.lock().unwrap().push(entry.clone());
                    entries.insert(entry.id, (entry, None));
                }
                SpoolChange::Update {
                    id,
                    progress,
                    lease,
                } => {
                    let octets = progress.encode().len();
                    self.written.fetch_add(octets, Ordering::SeqCst);
                    if let Some(held) = entries.get_mut(&id) {
                        let entry = QueueEntry {
                            progress,
                            ..held.0.as_ref().clone()
                        };
                        let lease = held.1.filter(|_| lease == AfterUpdate::KeepLease);
                        *held = (Arc::new(entry), lease);
                    }
                }
                SpoolChange::Remove { id } => {
                    entries.remove(&id);
                }
            }
        }
        self.events.lock().unwrap().extend(batch.events);
        self.changed.send_modify(|n| *n += 1);
        Ok(Receipt::default())
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        Err(StoreError::Unsupported("stage"))
    }
}
