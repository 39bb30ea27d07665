//! Leases of queue entries.

use std::collections::HashMap;
use std::time::Duration;

use mailcore::seams::Lease;
use mailcore::time::Timestamp;

/// Who works on which queue entry. In memory only: a lease ends with the
/// process.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: HashMap<u128, (Lease, Timestamp)>,
    last: u64,
}

impl Leases {
    pub(crate) fn take(&mut self, id: u128, now: Timestamp, lease_for: Duration) -> Lease {
        self.last += 1;
        let lease = Lease(self.last);
        self.held.insert(id, (lease, now.after(lease_for)));
        lease
    }

    pub(crate) fn holds(&self, id: u128, lease: Lease) -> bool {
        self.held.get(&id).is_some_and(|(held, _)| *held == lease)
    }

    pub(crate) fn is_leased(&self, id: u128) -> bool {
        self.held.contains_key(&id)
    }

    pub(crate) fn end(&mut self, id: u128) {
        self.held.remove(&id);
    }

    /// Ends those whose time is over.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.held.retain(|_, (_, until)| *until > now);
    }
}
