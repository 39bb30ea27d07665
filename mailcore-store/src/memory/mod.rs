//! [`MemoryStore`]: every store seam in plain memory, with the exact semantics
//! of a durable store and nothing kept past the process.
//!
//! For tests, for hosts that only pass mail through, and as the reference that
//! the other stores are compared with. It writes no file.

mod account;
mod annotations;
mod commit;
mod content;
mod events;
mod folder;
mod mailbox;
mod removed;
mod rights;
mod spool;
mod state;
mod storage;
mod tables;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mailcore::account::AccountId;
use mailcore::seams::{Clock, Entropy, OsEntropy, SystemClock};
use mailcore::time::Timestamp;
use tokio::sync::watch;

use self::tables::Core;

/// How much a [`MemoryStore`] takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryLimits {
    /// Octets of all messages in mailboxes and queue together; beyond it the
    /// store answers [`StoreError::DiskFull`](mailcore::seams::StoreError).
    pub octets: u64,
    /// Octets of one message.
    pub message: u64,
    /// Mailboxes of one account.
    pub mailboxes: usize,
    /// Expunges a mailbox remembers for [`Changes`](mailcore::mailbox::Changes).
    pub tombstones: usize,
    /// Events the outbox keeps.
    pub events: usize,
    /// Deliveries remembered, so that one repeated is filed once.
    pub deliveries: usize,
    /// Keys in the state.
    pub state: usize,
    /// How long messages that were removed can be brought back
    /// ([`Undelete`](mailcore::seams::Undelete)); zero for not at all. When
    /// `octets` are used up, the oldest of them go before anything is refused.
    pub undelete_for: Duration,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            octets: 4 << 30,
            message: 256 << 20,
            mailboxes: 10_000,
            tombstones: 10_000,
            events: 65_536,
            deliveries: 100_000,
            state: 1_000_000,
            undelete_for: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// A store in memory: [`Storage`](mailcore::seams::Storage),
/// [`Commit`](mailcore::seams::Commit), [`Spool`](mailcore::seams::Spool),
/// [`State`](mailcore::seams::State) and [`Outbox`](mailcore::seams::Outbox)
/// over one table. Clones share it.
///
/// Every change happens under one lock that is never held across an await, so
/// each is atomic and all readers see one order. `stable storage` is memory
/// here: what is acknowledged lives as long as the last clone.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

impl MemoryStore {
    /// An empty store on the computer's clock and randomness.
    pub fn new() -> Self {
        Self::with(Arc::new(SystemClock::new()), Arc::new(OsEntropy))
    }

    /// An empty store on the given clock and randomness: with seeded ones, a
    /// run repeats exactly.
    pub fn with(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self::with_limits(clock, entropy, MemoryLimits::default())
    }

    /// As [`MemoryStore::with`], with limits of its own.
    pub fn with_limits(
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        limits: MemoryLimits,
    ) -> Self {
        let key = entropy.random_u64();
        Self {
            shared: Arc::new(Shared {
                key,
                limits,
                core: Mutex::new(Core::new(limits, clock.now())),
                spool_changes: watch::Sender::new(0),
                newest_event: watch::Sender::default(),
                accounts: Mutex::default(),
                clock,
                entropy,
            }),
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

/// What all clones and open mailboxes share.
struct Shared {
    /// This store's [`BlobKey::store`](mailcore::message::BlobKey).
    key: u64,
    limits: MemoryLimits,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    core: Mutex<Core>,
    spool_changes: watch::Sender<u64>,
    newest_event: watch::Sender<mailcore::event::EventCursor>,
    /// Who waits for changes of an account; those gone are dropped when it
    /// changes.
    accounts: Mutex<HashMap<AccountId, watch::Sender<u64>>>,
}

/// The clock and randomness of one change.
#[derive(Clone, Copy)]
struct Moment<'a> {
    now: Timestamp,
    entropy: &'a dyn Entropy,
}

impl Moment<'_> {
    fn id(&self) -> u128 {
        self.entropy.id(self.now)
    }
}

impl Shared {
    /// Runs one change or one read with the lock held, then tells the watchers
    /// what it changed.
    fn locked<T>(&self, act: impl FnOnce(&mut Core, Moment<'_>) -> T) -> T {
        // A panic elsewhere can't leave half a change: changes check first and
        // then only insert and remove.
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = Moment {
            now: self.clock.now(),
            entropy: &*self.entropy,
        };
        core.release_removed(moment.now);
        let result = act(&mut core, moment);
        // Told while the lock is held, so that the values never go back.
        set_if_new(&self.spool_changes, core.spool.changes());
        set_if_new(&self.newest_event, core.events.newest());
        self.tell_accounts(&std::mem::take(&mut core.touched));
        result
    }

    fn watch_account(&self, account: &AccountId) -> watch::Receiver<u64> {
        let mut watched = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        watched.entry(account.clone()).or_default().subscribe()
    }

    fn tell_accounts(&self, changed: &BTreeSet<AccountId>) {
        if changed.is_empty() {
            return;
        }
        let mut watched = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        for account in changed {
            if let Some(sender) = watched.get(account) {
                sender.send_modify(|count| *count = count.wrapping_add(1));
                if sender.receiver_count() == 0 {
                    watched.remove(account);
                }
            }
        }
    }
}

fn set_if_new<T: PartialEq>(sender: &watch::Sender<T>, value: T) {
    sender.send_if_modified(|old| {
        let differs = *old != value;
        if differs {
            *old = value;
        }
        differs
    });
}
