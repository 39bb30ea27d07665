//! The durable queue's read side; changes go through
//! [`Commit`](super::Commit).

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::StoreError;
use crate::address::Domain;
use crate::queue::{QueueEntry, QueueId};
use crate::time::Timestamp;

/// The queue as its runner and its operators read it.
///
/// Leases live in memory: they end with the process, with the entry's next
/// [`SpoolChange`](crate::batch::SpoolChange), or when their time is over, so
/// that no crash leaves an entry stuck.
#[async_trait]
pub trait Spool: Debug + Send + Sync {
    /// Takes up to `limit` entries that are due, not on hold and not leased,
    /// earliest first. A lease not ended in `lease_for` ends by itself.
    async fn lease(
        &self,
        now: Timestamp,
        limit: usize,
        lease_for: Duration,
    ) -> Result<Vec<(Arc<QueueEntry>, Lease)>, StoreError>;

    /// Gives a lease back without a change. The entry is due again.
    async fn release(&self, id: QueueId, lease: Lease) -> Result<(), StoreError>;

    /// When the next entry that nobody holds is due.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// One entry.
    async fn entry(&self, id: QueueId) -> Result<Option<Arc<QueueEntry>>, StoreError>;

    /// Entries in the order of their ids, after `query.after`.
    async fn list(&self, query: &SpoolQuery) -> Result<Vec<SpoolSummary>, StoreError>;

    /// How many entries there are.
    async fn count(&self) -> Result<u64, StoreError>;

    /// Changes value whenever an entry was added or changed.
    fn watch(&self) -> watch::Receiver<u64>;
}

/// Proof of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease(pub u64);

/// Which entries to list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolQuery {
    /// Only those after this one.
    pub after: Option<QueueId>,
    /// Only those with a recipient in this domain.
    pub domain: Option<Domain>,
    /// At most so many.
    pub limit: usize,
}

impl Default for SpoolQuery {
    fn default() -> Self {
        Self {
            after: None,
            domain: None,
            limit: 100,
        }
    }
}

/// A line of the queue listing.
#[derive(Debug, Clone)]
pub struct SpoolSummary {
    /// The entry, its content not read.
    pub entry: Arc<QueueEntry>,
    /// True while a runner works on it.
    pub leased: bool,
}
