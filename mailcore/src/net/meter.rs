//! Counts what passes over a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The octets of one connection: those of the protocol, as they are within TLS.
/// Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Meter {
    /// Octets read from the peer.
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// Octets written to it.
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    pub(super) fn add_received(&self, octets: usize) {
        self.0.received.fetch_add(octets as u64, Ordering::Relaxed);
    }

    pub(super) fn add_sent(&self, octets: usize) {
        self.0.sent.fetch_add(octets as u64, Ordering::Relaxed);
    }
}
