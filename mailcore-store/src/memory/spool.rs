//! The queue: entries, when they are due, and who holds them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::batch::SpoolChange;
use mailcore::queue::{QueueEntry, QueueId};
use mailcore::seams::{Lease, Spool, SpoolQuery, SpoolSummary, StoreError};
use mailcore::time::Timestamp;
use tokio::sync::watch;

use super::MemoryStore;
use super::content::{Budget, Charge};

/// The entries and their leases.
#[derive(Default)]
pub(super) struct SpoolTable {
    entries: BTreeMap<QueueId, Held>,
    /// Entries not on hold, by their next attempt.
    due: BTreeSet<(Timestamp, QueueId)>,
    leases: HashMap<QueueId, (Lease, Timestamp)>,
    last_lease: u64,
    changes: u64,
}

struct Held {
    entry: Arc<QueueEntry>,
    charge: Arc<Charge>,
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
                SpoolChange::Update { id, progress } => {
                    if let Some(held) = self.take(id) {
                        let mut entry = QueueEntry::clone(&held.entry);
                        entry.progress = progress;
                        self.put(Arc::new(entry), held.charge);
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
        if !entry.progress.on_hold {
            self.due.insert((entry.progress.next_attempt, entry.id));
        }
        self.entries.insert(entry.id, Held { entry, charge });
    }

    /// Takes an entry out and ends its lease.
    fn take(&mut self, id: QueueId) -> Option<Held> {
        self.leases.remove(&id);
        let held = self.entries.remove(&id)?;
        self.due.remove(&(held.entry.progress.next_attempt, id));
        Some(held)
    }

    fn lease(
        &mut self,
        now: Timestamp,
        limit: usize,
        lease_for: Duration,
    ) -> Vec<(Arc<QueueEntry>, Lease)> {
        self.leases.retain(|_, (_, until)| *until > now);
        let free: Vec<QueueId> = self
            .due
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, id)| *id)
            .filter(|id| !self.leases.contains_key(id))
            .take(limit)
            .collect();
        let mut leased = Vec::with_capacity(free.len());
        for id in free {
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
        self.due
            .iter()
            .find(|(_, id)| !self.is_leased(*id, now))
            .map(|(at, _)| *at)
    }

    fn list(&self, query: &SpoolQuery, now: Timestamp) -> Vec<SpoolSummary> {
        let start = query.after.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries
            .range((start, Bound::Unbounded))
            .map(|(_, held)| &held.entry)
            .filter(|entry| {
                let wanted = query.domain.as_ref();
                wanted.is_none_or(|domain| is_for(entry, domain))
            })
            .take(query.limit)
            .map(|entry| SpoolSummary {
                entry: Arc::clone(entry),
                leased: self.is_leased(entry.id, now),
            })
            .collect()
    }
}

fn is_for(entry: &QueueEntry, domain: &Domain) -> bool {
    let mut recipients = entry.progress.recipients.iter();
    recipients.any(|it| it.recipient.address.domain() == domain)
}

#[async_trait]
impl Spool for MemoryStore {
    async fn lease(
        &self,
        now: Timestamp,
        limit: usize,
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

    async fn count(&self) -> Result<u64, StoreError> {
        Ok(self
            .shared
            .locked(|core, _| core.spool.entries.len() as u64))
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.shared.spool_changes.subscribe()
    }
}
