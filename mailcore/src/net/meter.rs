//! Counts what passes over a connection, and says when it is too fast.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::pace::{Pace, Paces};
use crate::time::Monotonic;

/// The octets of one connection: those of the protocol, as they are within TLS.
/// Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    received: AtomicU64,
    sent: AtomicU64,
    /// True when there is a pace to be kept: most have none.
    paced: AtomicBool,
    paces: Mutex<Vec<Arc<Pace>>>,
    /// Where the pace of a user's domain is found.
    shared: Option<Arc<Paces>>,
}

impl Meter {
    /// One that keeps these paces.
    pub(super) fn paced(shared: Arc<Paces>, paces: Vec<Arc<Pace>>) -> Self {
        Self(Arc::new(Counts {
            paced: AtomicBool::new(!paces.is_empty()),
            paces: Mutex::new(paces),
            shared: Some(shared),
            ..Counts::default()
        }))
    }

    /// Octets read from the peer.
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// Octets written to it.
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// What passes from now on is this user's, and counts for its domain.
    pub fn logged_in(&self, login: &str) {
        let pace = self.0.shared.as_ref().and_then(|it| it.of_login(login));
        if let Some(pace) = pace {
            let mut paces = self.0.paces.lock().unwrap_or_else(PoisonError::into_inner);
            paces.push(pace);
            self.0.paced.store(true, Ordering::Relaxed);
        }
    }

    /// Octets came; when to read on.
    pub(super) fn received_at(&self, octets: usize, now: Monotonic) -> Monotonic {
        self.0.received.fetch_add(octets as u64, Ordering::Relaxed);
        self.charge(octets, now)
    }

    /// Octets went out; when to go on.
    pub(super) fn sent_at(&self, octets: usize, now: Monotonic) -> Monotonic {
        self.0.sent.fetch_add(octets as u64, Ordering::Relaxed);
        self.charge(octets, now)
    }

    fn charge(&self, octets: usize, now: Monotonic) -> Monotonic {
        if !self.0.paced.load(Ordering::Relaxed) {
            return now;
        }
        let paces = self.0.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let due = paces.iter().map(|pace| pace.charge(octets, now));
        due.max().unwrap_or(now)
    }
}
