//! [`Toll`]: tells the limiter what the peer of a connection does, under the name
//! that it has by then.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::abuse::{Limiter, Sender, Welcome};
use crate::account::Identity;
use crate::time::Monotonic;
use crate::wire::Tally;

/// Whom to tell, and as whom. By default nobody is told.
#[derive(Debug, Default)]
pub(super) struct Toll {
    limiter: Option<Arc<Limiter>>,
    protocol: &'static str,
    who: Mutex<Who>,
}

#[derive(Debug, Default)]
struct Who {
    peer: Option<IpAddr>,
    identity: Option<Identity>,
    /// When it logged in.
    since: Monotonic,
}

impl Toll {
    pub(super) fn new(limiter: Arc<Limiter>, protocol: &'static str, peer: IpAddr) -> Self {
        Self {
            limiter: Some(limiter),
            protocol,
            who: Mutex::new(Who {
                peer: Some(peer),
                ..Who::default()
            }),
        }
    }

    pub(super) fn logged_in(&self, identity: Option<&Identity>) {
        let mut who = self.who();
        who.identity = identity.cloned();
        who.since = self.limiter.as_ref().map_or(who.since, |it| it.now());
    }

    /// True when whoever logged in has its account closed.
    pub(super) fn is_closed(&self) -> bool {
        let who = self.who();
        match (&self.limiter, &who.identity) {
            (Some(limiter), Some(it)) => limiter.has_closed(&it.account, who.since),
            _ => false,
        }
    }

    pub(super) fn speaks_for(&self, peer: Option<IpAddr>) {
        self.who().peer = peer;
    }

    pub(super) fn is_too_much(&self, tally: Tally) -> bool {
        let Some(limiter) = &self.limiter else {
            return false;
        };
        let who = self.who();
        let sender = Sender::new(who.peer, self.protocol).logged_in(who.identity.as_ref());
        limiter.did(&sender, tally) != Welcome::Yes
    }

    fn who(&self) -> MutexGuard<'_, Who> {
        self.who.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
