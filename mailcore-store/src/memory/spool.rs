//! The queue: entries, when they are due, and who holds them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::batch::{AfterUpdate, SpoolChange};
use mailcore::queue::{EntryStateKind, QueueEntry, QueueId, Urgency};
use mailcore::seams::{
    Lease, LeaseLimit, Spool, SpoolCounts, SpoolOrder, SpoolQuery, SpoolSummary, StoreError,
};
use mailcore::time::Timestamp;
use tokio::sync::watch;

use super::MemoryStore;
use super::content::{Budget, Charge};

/// The entries and their leases.
#[derive(Default)]
pub(super) struct SpoolTable {
    entries: BTreeMap<QueueId, Held>,
    /// Waiting entries, by urgency and next attempt.
    due: BTreeMap<Urgency, BTreeSet<(Timestamp, QueueId)>>,
    /// Copies, by when they go.
    kept: BTreeSet<(Timestamp, QueueId)>,
    leases: HashMap<QueueId, (Lease, Timestamp)>,
    last_lease: u64,
    changes: u64,
}

struct Held {
    entry: Arc<QueueEntry>,
    charge: Arc<Charge>,
}

fn urgency(entry: &QueueEntry) -> Urgency {
    Urgency::new(entry.params.priority, entry.progress.attempts)
}

impl SpoolTable {
    /// Counts up with each change.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn is_held(&self, id: QueueId, lease: Lease, now: Timestamp) -> bool {
        self.leases
            .get(&id)
            .is_some_and(|(held, until)| *held == lease && *until > now)
    }

    /// Takes from `budget` what `changes` will hold.
    pub(super) fn charge(
        changes: &[SpoolChange],
        budget: &Arc<Budget>,
    ) -> Result<Vec<Charge>, StoreError> {
        changes
            .iter()
            .filter_map(|change| match change {
                SpoolChange::Enqueue(entry) => Some(budget.charge(entry.message.len())),
                _ => None,
            })
            .collect()
    }

    /// Applies changes with their charges. Changes of an entry that is gone, as
    /// one an operator removed is, change nothing.
    pub(super) fn apply(&mut self, changes: Vec<SpoolChange>, charges: Vec<Charge>) {
        let mut charges = charges.into_iter();
        for change in changes {
            self.changes += 1;
            match change {
                SpoolChange::Enqueue(entry) => {
                    if let Some(charge) = charges.next() {
                        self.put(entry, Arc::new(charge));
                    }
                }
                SpoolChange::Update {
                    id,
                    progress,
                    lease,
                } => {
                    let leased = self.leases.get(&id).copied();
                    if let Some(held) = self.take(id) {
                        let mut entry = QueueEntry::clone(&held.entry);
                        entry.progress = progress;
                        self.put(Arc::new(entry), held.charge);
                        if lease == AfterUpdate::KeepLease {
                            self.leases.extend(leased.map(|leased| (id, leased)));
                        }
                    }
                }
                SpoolChange::Remove { id } => {
                    self.take(id);
                }
                _ => {}
            }
        }
    }

    fn put(&mut self, entry: Arc<QueueEntry>, charge: Arc<Charge>) {
        self.take(entry.id);
        let place = (entry.progress.due(), entry.id);
        match entry.progress.state.kind() {
            EntryStateKind::Waiting => {
                let due = self.due.entry(urgency(&entry)).or_default();
                due.insert(place);
            }
            EntryStateKind::Kept | EntryStateKind::Bad => drop(self.kept.insert(place)),
            EntryStateKind::Held | EntryStateKind::Quarantined => {}
        }
        self.entries.insert(entry.id, Held { entry, charge });
    }

    /// Takes an entry out and ends its lease.
    fn take(&mut self, id: QueueId) -> Option<Held> {
        self.leases.remove(&id);
        let held = self.entries.remove(&id)?;
        let place = (held.entry.progress.due(), id);
        match held.entry.progress.state.kind() {
            EntryStateKind::Waiting => {
                if let Some(due) = self.due.get_mut(&urgency(&held.entry)) {
                    due.remove(&place);
                }
            }
            EntryStateKind::Kept | EntryStateKind::Bad => drop(self.kept.remove(&place)),
            EntryStateKind::Held | EntryStateKind::Quarantined => {}
        }
        Some(held)
    }

    fn lease(
        &mut self,
        now: Timestamp,
        limit: LeaseLimit,
        lease_for: Duration,
    ) -> Vec<(Arc<QueueEntry>, Lease)> {
        self.leases.retain(|_, (_, until)| *until > now);
        let mut free: Vec<(i64, QueueId, Urgency)> = Vec::new();
        for (urgency, due) in &self.due {
            let due = due.iter().take_while(|(at, _)| *at <= now);
            let due = due.filter(|(_, id)| !self.leases.contains_key(id));
            let ranked = due.map(|(at, id)| (urgency.rank(*at), *id, *urgency));
            free.extend(ranked.take(limit.of(*urgency)));
        }
        free.sort_unstable();
        let ranked = free.into_iter().map(|(_, id, urgency)| (urgency, id));
        let taken = limit.take(ranked.collect());
        let mut leased = Vec::with_capacity(taken.len());
        for id in taken {
            if let Some(held) = self.entries.get(&id) {
                self.last_lease += 1;
                let lease = Lease(self.last_lease);
                self.leases.insert(id, (lease, now.after(lease_for)));
                leased.push((Arc::clone(&held.entry), lease));
            }
        }
        leased
    }

    fn release(&mut self, id: QueueId, lease: Lease) {
        if self.leases.get(&id).is_some_and(|(held, _)| *held == lease) {
            self.leases.remove(&id);
            self.changes += 1;
        }
    }

    fn is_leased(&self, id: QueueId, now: Timestamp) -> bool {
        self.leases.get(&id).is_some_and(|(_, until)| *until > now)
    }

    fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let first = |due: &BTreeSet<(Timestamp, QueueId)>| {
            let mut due = due.iter().filter(|(_, id)| !self.is_leased(*id, now));
            due.next().map(|(at, _)| *at)
        };
        self.due.values().filter_map(first).min()
    }

    fn list(&self, query: &SpoolQuery, now: Timestamp) -> Vec<SpoolSummary> {
        let beyond = query.after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries: Box<dyn Iterator<Item = _>> = match query.order {
            SpoolOrder::OldestFirst => Box::new(self.entries.range((beyond, Bound::Unbounded))),
            SpoolOrder::NewestFirst => {
                Box::new(self.entries.range((Bound::Unbounded, beyond)).rev())
            }
        };
        entries
            .map(|(_, held)| &held.entry)
            .filter(|entry| query.takes_state(entry.progress.state.kind()) && query.takes(entry))
            .take(query.limit)
            .map(|entry| SpoolSummary {
                entry: Arc::clone(entry),
                leased: self.is_leased(entry.id, now),
            })
            .collect()
    }
}

#[async_trait]
impl Spool for MemoryStore {
    async fn lease(
        &self,
        now: Timestamp,
        limit: LeaseLimit,
        lease_for: Duration,
    ) -> Result<Vec<(Arc<QueueEntry>, Lease)>, StoreError> {
        Ok(self
            .shared
            .locked(|core, _| core.spool.lease(now, limit, lease_for)))
    }

    async fn release(&self, id: QueueId, lease: Lease) -> Result<(), StoreError> {
        self.shared.locked(|core, _| core.spool.release(id, lease));
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self
            .shared
            .locked(|core, moment| core.spool.next_due(moment.now)))
    }

    async fn entry(&self, id: QueueId) -> Result<Option<Arc<QueueEntry>>, StoreError> {
        Ok(self.shared.locked(|core, _| {
            let held = core.spool.entries.get(&id);
            held.map(|held| Arc::clone(&held.entry))
        }))
    }

    async fn list(&self, query: &SpoolQuery) -> Result<Vec<SpoolSummary>, StoreError> {
        Ok(self
            .shared
            .locked(|core, moment| core.spool.list(query, moment.now)))
    }

    async fn outlived(&self, now: Timestamp, limit: usize) -> Result<Vec<QueueId>, StoreError> {
        Ok(self.shared.locked(|core, _| {
            let over = core
                .spool
                .kept
                .iter()
                .take_while(|(until, _)| *until <= now);
            over.map(|(_, id)| *id).take(limit).collect()
        }))
    }

    async fn counts(&self) -> Result<SpoolCounts, StoreError> {
        Ok(self.shared.locked(|core, _| {
            let mut counts = SpoolCounts::default();
            for held in core.spool.entries.values() {
                *counts.of(held.entry.progress.state.kind()) += 1;
            }
            counts
        }))
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.shared.spool_changes.subscribe()
    }
}
