//! The sessions that there are, by address, so that a ban ends them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Limiter;
use crate::net::{Network, peer_group};

/// Who is to be told of bans.
#[derive(Debug, Default)]
pub(super) struct Living(Mutex<HashMap<IpAddr, Here>>);

#[derive(Debug, Default)]
struct Here {
    sessions: usize,
    banned: Arc<Notify>,
}

impl Living {
    /// Tells the sessions of a network, and no others: a flood that has strangers
    /// banned is not to wake everybody each time.
    pub(super) fn tell(&self, who: &Network) {
        let living = self.living();
        let group = peer_group(who.address());
        if let Some(here) = living.get(&group) {
            here.banned.notify_waiters();
        }
        let one_group = if group.is_ipv4() { 32 } else { 64 };
        if who.prefix() < one_group {
            let within = living.iter().filter(|(peer, _)| who.contains(**peer));
            within.for_each(|(_, here)| here.banned.notify_waiters());
        }
    }

    fn living(&self) -> MutexGuard<'_, HashMap<IpAddr, Here>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session that a ban may end.
#[derive(Debug)]
pub(crate) struct LivingSession {
    limiter: Arc<Limiter>,
    peer: IpAddr,
    banned: Arc<Notify>,
}

impl LivingSession {
    /// Waits until nothing is taken from its peer any more.
    pub(crate) async fn is_kept_out(&self) {
        loop {
            let mut banned = std::pin::pin!(self.banned.notified());
            banned.as_mut().enable();
            if self.limiter.keeps_out(self.peer) {
                return;
            }
            banned.await;
        }
    }
}

impl Limiter {
    /// A session of this peer begins.
    pub(crate) fn session(self: &Arc<Self>, peer: IpAddr) -> LivingSession {
        let mut living = self.living.living();
        let here = living.entry(peer_group(peer)).or_default();
        here.sessions += 1;
        LivingSession {
            banned: Arc::clone(&here.banned),
            limiter: Arc::clone(self),
            peer,
        }
    }
}

impl Drop for LivingSession {
    fn drop(&mut self) {
        let mut living = self.limiter.living.living();
        let group = peer_group(self.peer);
        if let Some(here) = living.get_mut(&group) {
            here.sessions -= 1;
            if here.sessions == 0 {
                living.remove(&group);
            }
        }
    }
}
