//! What outlives a restart: bans, and counts that are half full. Written behind,
//! by a task of its own, so that nobody waits for a disk.

use std::collections::{HashMap, HashSet};
use std::future::{Future, pending};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::ban::{ALLOWED, BANS};
use super::{Ban, Limiter};
use crate::batch::StateChange;
use crate::net::{Network, peer_group};
use crate::pack::{PackError, Packer, Unpacker};
use crate::seams::{Clock, State, StateKey, StateValue, StoreError};
use crate::time::Monotonic;

/// Where counts are kept.
const COUNTS: &str = "abuse";
/// Before the address of counted wrong passwords.
const LOGIN: &str = "login/";
/// How long changes are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// How long after a failure they are written again.
const RETRY: Duration = Duration::from_secs(10);
/// Changes that wait at most; more are not kept over a restart.
const MAX_WAITING: usize = 20_000;
/// Changes in one write, and entries in one reading.
const AT_ONCE: usize = 500;
/// Bans that cost so much to read that it is done more seldom.
const MANY: usize = 10_000;
const VERSION: u8 = 1;

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Kept {
    waiting: Mutex<HashMap<StateKey, StateChange>>,
    some: Notify,
    /// What was found there last, to know what others have taken away.
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    banned: HashSet<Network>,
    allowed: HashSet<Network>,
}

impl Kept {
    fn write(&self, key: StateKey, change: StateChange) {
        let mut waiting = self.waiting();
        if waiting.len() < MAX_WAITING || waiting.contains_key(&key) {
            waiting.insert(key, change);
            self.some.notify_one();
        }
    }

    /// A change that is not to be written any more.
    pub(super) fn forget(&self, key: &StateKey) {
        self.waiting().remove(key);
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<StateKey, StateChange>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limiter {
    pub(super) fn write_ban(&self, ban: &Ban) {
        let key = Ban::key(&ban.who);
        let change = StateChange::Put {
            key: key.clone(),
            value: ban.encode(),
            expires: ban.until,
        };
        self.write(key, change);
    }

    pub(super) fn write_count(&self, name: &str, level: u64, within: Duration) {
        let key = StateKey::new(COUNTS, name);
        let mut value = Packer::new(VERSION);
        value.u64(level);
        let change = StateChange::Put {
            key: key.clone(),
            value: value.finish(),
            expires: Some(self.seams.clock.now().after(within)),
        };
        self.write(key, change);
    }

    pub(super) fn erase_count(&self, name: &str) {
        let key = StateKey::new(COUNTS, name);
        self.write(key.clone(), StateChange::Remove { key });
    }

    fn write(&self, key: StateKey, change: StateChange) {
        if self.seams.state.is_some() {
            self.kept.write(key, change);
        }
    }

    /// Takes up what the state holds. What can't be read counts as not there:
    /// a server that lets nobody in for want of a list of bans is no use.
    pub(super) async fn load(&self) {
        let Some(state) = self.seams.state.clone() else {
            return;
        };
        if let Err(error) = self.load_bans(&*state).await {
            tracing::error!(%error, "can't read who is banned: nobody is, for now");
        }
        let now = self.seams.clock.monotonic();
        let taken = each(&*state, COUNTS, |key, value| {
            let level = count(value)?;
            match key.key.strip_prefix(LOGIN) {
                Some(peer) => {
                    let peer = peer.parse().map_err(|_| PackError::Damaged)?;
                    self.guesses().restore(peer, level, now);
                }
                None => self.counts().restore(&key.key, level, now),
            }
            Ok(())
        });
        if let Err(error) = taken.await {
            tracing::warn!(%error, "can't read what was counted before the start");
        }
    }

    /// Makes bans and allowances what the state says, and how many bans there
    /// are. What waits to be written is newer, and what was never found there is
    /// not taken for lifted.
    async fn load_bans(&self, state: &dyn State) -> Result<usize, StoreError> {
        let mut found = Found::default();
        each(state, BANS, |key, value| {
            let ban = Ban::decode(key, value)?;
            let who = ban.who;
            found.banned.insert(who);
            let waits = self.kept.waiting().contains_key(key);
            if !waits && self.bans_mut().take_up(ban) {
                self.living.tell(&who);
            }
            Ok(())
        })
        .await?;
        each(state, ALLOWED, |key, _| {
            let who = key.key.parse().map_err(|_| PackError::Damaged)?;
            found.allowed.insert(who);
            self.bans_mut().allow(who);
            Ok(())
        })
        .await?;
        let mut before = (self.kept.found.lock()).unwrap_or_else(PoisonError::into_inner);
        let mut bans = self.bans_mut();
        for who in before.banned.difference(&found.banned) {
            if !self.kept.waiting().contains_key(&Ban::key(who)) {
                bans.lift(who);
            }
        }
        for who in before.allowed.difference(&found.allowed) {
            bans.disallow(who);
        }
        let count = found.banned.len();
        *before = found;
        Ok(count)
    }
}

/// The name of the count of an address's wrong passwords.
pub(super) fn login_count(peer: IpAddr) -> String {
    format!("{LOGIN}{}", peer_group(peer))
}

fn count(value: &StateValue) -> Result<u64, PackError> {
    Unpacker::new(&value.value, VERSION)?.u64()
}

/// Does something with each entry of a namespace; one that can't be read is left
/// out.
async fn each(
    state: &dyn State,
    namespace: &str,
    mut take: impl FnMut(&StateKey, &StateValue) -> Result<(), PackError>,
) -> Result<(), StoreError> {
    let mut after: Option<Arc<str>> = None;
    loop {
        let page = state.scan(namespace, "", after.as_deref(), AT_ONCE).await?;
        for (key, value) in &page {
            if let Err(error) = take(key, value) {
                tracing::warn!(key = %key.key, namespace, %error, "left out");
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == AT_ONCE => after = Some(Arc::clone(&key.key)),
            _ => return Ok(()),
        }
    }
}

async fn reached(clock: &dyn Clock, time: Option<Monotonic>) {
    match time {
        Some(time) => clock.sleep_until(time).await,
        None => pending().await,
    }
}

/// Writes what a [`Limiter`] has to keep, and reads what others wrote who share
/// its state.
#[derive(Debug)]
pub struct Keeper(Arc<Limiter>);

impl Keeper {
    /// The one for this limiter.
    pub fn new(limiter: Arc<Limiter>) -> Self {
        Self(limiter)
    }

    /// Writes until `stop` resolves, then what waits, once.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let Some(state) = self.0.seams.state.clone() else {
            stop.await;
            return;
        };
        tokio::select! {
            biased;
            () = stop => {}
            () = self.work(&*state) => {}
        }
        if let Err(error) = self.flush(&*state).await {
            tracing::warn!(%error, "the last bans can't be kept");
        }
    }

    async fn work(&self, state: &dyn State) {
        let clock = &self.0.seams.clock;
        let mut due = state.is_shared().then(|| self.next_reading(0)).flatten();
        loop {
            tokio::select! {
                biased;
                () = self.0.kept.some.notified() => {}
                () = reached(&**clock, due) => {
                    due = self.next_reading(self.reread(state).await);
                    continue;
                }
            }
            clock.sleep_until(clock.monotonic().after(GATHER)).await;
            while let Err(error) = self.flush(state).await {
                tracing::warn!(%error, "bans can't be kept; trying again");
                clock.sleep_until(clock.monotonic().after(RETRY)).await;
            }
        }
    }

    /// When bans are read again of which there are so many; `None` for never.
    fn next_reading(&self, bans: usize) -> Option<Monotonic> {
        let reread = self.0.config().reread;
        let times = u32::try_from(bans / MANY).unwrap_or(u32::MAX);
        let wait = reread.saturating_mul(times.saturating_add(1));
        (!reread.is_zero()).then(|| self.0.seams.clock.monotonic().after(wait))
    }

    async fn reread(&self, state: &dyn State) -> usize {
        self.0.load_bans(state).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "can't look for bans that others made");
            0
        })
    }

    async fn flush(&self, state: &dyn State) -> Result<(), StoreError> {
        loop {
            let some: Vec<(StateKey, StateChange)> = {
                let mut waiting = self.0.kept.waiting();
                let keys: Vec<StateKey> = waiting.keys().take(AT_ONCE).cloned().collect();
                keys.iter()
                    .filter_map(|key| waiting.remove_entry(key))
                    .collect()
            };
            if some.is_empty() {
                return Ok(());
            }
            let changes = some.iter().map(|(_, change)| change.clone()).collect();
            if let Err(error) = state.change(changes).await {
                let mut waiting = self.0.kept.waiting();
                for (key, change) in some {
                    // What came meanwhile is newer.
                    waiting.entry(key).or_insert(change);
                }
                return Err(error);
            }
        }
    }
}
