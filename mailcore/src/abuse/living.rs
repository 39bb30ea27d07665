//! The sessions that there are, by address, so that a ban ends them; and the
//! accounts whose sessions are to end.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Limiter;
use crate::account::AccountId;
use crate::net::{Network, peer_group};
use crate::time::Monotonic;

/// Accounts that were closed and are remembered at a time.
const MAX_CLOSED: usize = 10_000;

/// Who is to be told of bans, and of what was closed.
#[derive(Debug, Default)]
pub(super) struct Living {
    sessions: Mutex<HashMap<IpAddr, Here>>,
    /// When: who logs in later may.
    closed: Mutex<HashMap<AccountId, Monotonic>>,
}

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

    /// Ends the sessions that began under this account before now.
    fn close(&self, account: &AccountId, now: Monotonic) {
        {
            let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
            if closed.len() >= MAX_CLOSED {
                // Those have been told.
                closed.clear();
            }
            closed.insert(account.clone(), now);
        }
        let living = self.living();
        living.values().for_each(|it| it.banned.notify_waiters());
    }

    fn living(&self) -> MutexGuard<'_, HashMap<IpAddr, Here>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Waits until nothing is taken from its peer any more, or until `whose` says
    /// that it goes on for an account which was closed meanwhile.
    pub(crate) async fn is_kept_out(&self, whose: impl Fn() -> bool) {
        loop {
            let mut banned = std::pin::pin!(self.banned.notified());
            banned.as_mut().enable();
            if self.limiter.keeps_out(self.peer) || whose() {
                return;
            }
            banned.await;
        }
    }
}

impl Limiter {
    /// Ends the sessions that somebody has under this account, within a second or
    /// two. Who logs in afterwards is let in, where the account is open.
    pub fn end_sessions(&self, account: &AccountId) {
        self.living.close(account, self.seams.clock.monotonic());
    }

    /// True when the sessions of this account that began by `since` are to end.
    pub(crate) fn has_closed(&self, account: &AccountId, since: Monotonic) -> bool {
        let closed = self.living.closed.lock();
        let closed = closed.unwrap_or_else(PoisonError::into_inner);
        closed.get(account).is_some_and(|at| since <= *at)
    }

    pub(crate) fn now(&self) -> Monotonic {
        self.seams.clock.monotonic()
    }

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
