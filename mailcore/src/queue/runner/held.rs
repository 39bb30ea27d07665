//! The entries that a runner holds: which, under which lease, and how many.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::queue::QueueId;
use crate::seams::Lease;

/// The lease under which an entry is worked on. A store whose clock jumped may
/// have ended it and given the entry out anew: the attempt goes on under the
/// new one.
#[derive(Debug, Clone)]
pub(super) struct LeaseCell(Arc<AtomicU64>);

impl LeaseCell {
    fn new(lease: Lease) -> Self {
        Self(Arc::new(AtomicU64::new(lease.0)))
    }

    pub(super) fn lease(&self) -> Lease {
        Lease(self.0.load(Ordering::Acquire))
    }
}

/// Entries worked on, by id.
#[derive(Debug, Default)]
pub(super) struct Active(HashMap<QueueId, LeaseCell>);

impl Active {
    /// Takes an entry up; `None` when it is worked on already, and goes on
    /// under this lease.
    pub(super) fn take_up(&mut self, id: QueueId, lease: Lease) -> Option<LeaseCell> {
        if let Some(held) = self.0.get(&id) {
            held.0.store(lease.0, Ordering::Release);
            return None;
        }
        let cell = LeaseCell::new(lease);
        self.0.insert(id, cell.clone());
        Some(cell)
    }

    pub(super) fn contains(&self, id: &QueueId) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn remove(&mut self, id: &QueueId) {
        self.0.remove(id);
    }
}

/// How many entries are worked on, and how many of them not for the first time.
#[derive(Debug, Default)]
pub(super) struct Load {
    all: AtomicUsize,
    retries: AtomicUsize,
    /// Those whose lease ended before they could be settled.
    lapsed: AtomicUsize,
}

impl Load {
    pub(super) fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    pub(super) fn retries(&self) -> usize {
        self.retries.load(Ordering::Relaxed)
    }

    pub(super) fn lapsed(&self) -> usize {
        self.lapsed.load(Ordering::Relaxed)
    }

    /// One lease that has to be taken anew, until the guard is dropped.
    pub(super) fn lapse(&self) -> Lapsed<'_> {
        self.lapsed.fetch_add(1, Ordering::Relaxed);
        Lapsed(self)
    }

    /// One more, until the guard is dropped.
    pub(super) fn add(&self, attempts: u32) -> Loaded<'_> {
        let retries = usize::from(attempts > 0);
        self.all.fetch_add(1, Ordering::Relaxed);
        self.retries.fetch_add(retries, Ordering::Relaxed);
        Loaded {
            load: self,
            retries,
        }
    }
}

/// An entry that counts.
#[derive(Debug)]
pub(super) struct Loaded<'a> {
    load: &'a Load,
    retries: usize,
}

impl Drop for Loaded<'_> {
    fn drop(&mut self) {
        self.load.all.fetch_sub(1, Ordering::Relaxed);
        self.load.retries.fetch_sub(self.retries, Ordering::Relaxed);
    }
}

/// A lease to be taken anew.
#[derive(Debug)]
pub(super) struct Lapsed<'a>(&'a Load);

impl Drop for Lapsed<'_> {
    fn drop(&mut self) {
        self.0.lapsed.fetch_sub(1, Ordering::Relaxed);
    }
}
