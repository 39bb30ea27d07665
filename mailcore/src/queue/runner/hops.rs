//! How many jobs run at once to each next hop: [`Hops`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::seams::NextHop;

/// Where a job goes: the agent's name and the next hop.
pub(super) type HopKey = (Arc<str>, NextHop);

/// One semaphore for each next hop in use. Those out of use are dropped, so
/// that memory follows the work at hand.
#[derive(Debug)]
pub(super) struct Hops {
    permits: usize,
    known: Mutex<HashMap<HopKey, Arc<Semaphore>>>,
}

/// The right to run one job to a hop.
#[derive(Debug)]
pub(super) struct HopPermit<'a> {
    hops: &'a Hops,
    key: HopKey,
    semaphore: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Hops {
    pub(super) fn new(permits: usize) -> Self {
        Self {
            permits,
            known: Mutex::new(HashMap::new()),
        }
    }

    /// Waits for the right to run a job. [`NextHop::Local`] has no limit of its
    /// own: it stands for every mailbox here.
    pub(super) async fn acquire(&self, key: HopKey) -> HopPermit<'_> {
        let semaphore = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = || Arc::new(Semaphore::new(self.permits));
            known.entry(key.clone()).or_insert_with(fresh).clone()
        };
        let mut permit = HopPermit {
            hops: self,
            key,
            semaphore,
            permit: None,
        };
        if permit.key.1 != NextHop::Local {
            // An error would mean a closed semaphore; ours is never closed.
            permit.permit = permit.semaphore.clone().acquire_owned().await.ok();
        }
        permit
    }
}

impl Drop for HopPermit<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        let known = &self.hops.known;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's own handle and this one.
        if Arc::strong_count(&self.semaphore) <= 2 {
            known.remove(&self.key);
        }
    }
}
