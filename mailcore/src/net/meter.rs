//! Counts what passes over a connection, and says when it is too fast.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pace::{Pace, Paces};
use super::toll::Toll;
use crate::account::Identity;
use crate::time::Monotonic;
use crate::wire::Tally;

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
    paces: Vec<Arc<Pace>>,
    /// The one of the user's domain, while somebody is logged in.
    domain: Mutex<Option<Arc<Pace>>>,
    /// Where the pace of a user's domain is found.
    shared: Option<Arc<Paces>>,
    /// Who is asked whether the peer does too much.
    toll: Toll,
}

impl Meter {
    /// One that keeps these paces, and tells what the peer does.
    pub(super) fn new(shared: Arc<Paces>, paces: Vec<Arc<Pace>>, toll: Toll) -> Self {
        Self(Arc::new(Counts {
            paced: AtomicBool::new(!paces.is_empty()),
            paces,
            shared: Some(shared),
            toll,
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
    pub fn logged_in(&self, identity: &Identity) {
        self.0.toll.logged_in(Some(identity));
        let pace = self.0.shared.as_ref();
        self.belongs_to(pace.and_then(|it| it.of_login(&identity.login)));
    }

    /// What passes from now on is nobody's.
    pub fn logged_out(&self) {
        self.0.toll.logged_in(None);
        self.belongs_to(None);
    }

    /// The connection's peer speaks for another client from now on.
    pub fn speaks_for(&self, peer: Option<IpAddr>) {
        self.0.toll.speaks_for(peer);
    }

    /// What the peer did since it was told last; true when it is too much.
    pub(super) fn is_too_much(&self, tally: Tally) -> bool {
        self.0.toll.is_too_much(tally)
    }

    /// True when whoever logged in has its account closed.
    pub(super) fn is_of_closed_account(&self) -> bool {
        self.0.toll.is_closed()
    }

    fn belongs_to(&self, pace: Option<Arc<Pace>>) {
        let mut domain = self.domain();
        let paced = pace.is_some() || !self.0.paces.is_empty();
        *domain = pace;
        self.0.paced.store(paced, Ordering::Relaxed);
    }

    fn domain(&self) -> MutexGuard<'_, Option<Arc<Pace>>> {
        self.0.domain.lock().unwrap_or_else(PoisonError::into_inner)
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
        let domain = self.domain().clone();
        let paces = self.0.paces.iter().chain(&domain);
        let due = paces.map(|pace| pace.charge(octets, now));
        due.max().unwrap_or(now)
    }
}
