//! [`VirtualClock`]: time that stands still until a test moves it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot, watch};

use crate::seams::Clock;
use crate::time::{Monotonic, Timestamp};

/// 2026-01-01 00:00 UTC, where a virtual clock starts unless told otherwise.
const START: Timestamp = Timestamp::from_secs(1_767_225_600);

/// How often [`VirtualClock::run_for`] lets other tasks run between two steps.
const YIELDS: usize = 64;

/// How often in a row [`VirtualClock::rest`] lets other tasks run and hears of
/// none: more steps than a message takes from one task to the next.
const QUIET_YIELDS: usize = 32;

/// How often it lets them run at most.
const MOST_YIELDS: usize = 10_000_000;

/// A clock that only [`advance`](VirtualClock::advance) moves. Sleepers wake in
/// the order of their deadlines. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct VirtualClock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    slept: Notify,
    /// How often wall time was set.
    set: watch::Sender<u64>,
    /// How often the time was asked for: whoever works asks.
    asked: AtomicU64,
}

#[derive(Debug)]
struct State {
    wall: Timestamp,
    steady: Monotonic,
    sleepers: BTreeMap<(Monotonic, u64), oneshot::Sender<()>>,
    last_sleeper: u64,
}

impl VirtualClock {
    /// A clock that shows 2026-01-01 00:00 UTC.
    pub fn new() -> Self {
        Self::at(START)
    }

    /// A clock that shows `wall`.
    pub fn at(wall: Timestamp) -> Self {
        Self {
            inner: Arc::new(Inner {
                state: Mutex::new(State {
                    wall,
                    steady: Monotonic::default(),
                    sleepers: BTreeMap::new(),
                    last_sleeper: 0,
                }),
                slept: Notify::new(),
                set: watch::Sender::new(0),
                asked: AtomicU64::new(0),
            }),
        }
    }

    /// Moves wall and steady time on and wakes those whose time has come.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.wall = state.wall.after(by);
        state.steady = state.steady.after(by);
        state.wake();
    }

    /// Sets wall time alone, as an operator or NTP does, and wakes those who
    /// wait for wall time.
    pub fn set_wall(&self, wall: Timestamp) {
        let mut state = self.state();
        state.wall = wall;
        // Dropping the senders wakes all; who waits for steady time sleeps on.
        state.sleepers.clear();
        self.inner.set.send_modify(|times| *times += 1);
    }

    /// When the first sleeper wants to wake; `None` when nobody sleeps.
    pub fn next_wake(&self) -> Option<Monotonic> {
        self.state().sleepers.keys().next().map(|(at, _)| *at)
    }

    /// Waits, without moving time, until somebody sleeps; the first deadline.
    pub async fn until_someone_sleeps(&self) -> Monotonic {
        loop {
            let slept = self.inner.slept.notified();
            if let Some(at) = self.next_wake() {
                return at;
            }
            slept.await;
        }
    }

    /// Moves on by `by` in steps, from one sleeper's deadline to the next, and
    /// lets the woken tasks run in between, so that who sleeps again within
    /// `by` is woken again. For tasks on the same thread that wait for nothing
    /// but this clock and each other.
    pub async fn run_for(&self, by: Duration) {
        let end = self.monotonic().after(by);
        loop {
            for _ in 0..YIELDS {
                tokio::task::yield_now().await;
            }
            let now = self.monotonic();
            match self.next_wake().filter(|at| *at <= end) {
                Some(at) => self.advance(at.since(now)),
                None => {
                    self.advance(end.since(now));
                    return;
                }
            }
        }
    }

    /// As [`run_for`](Self::run_for), and moves time only once all tasks have
    /// gone quiet, however long they talk to each other. A server asks for the
    /// time with everything that it does, so one that does not ask is at rest.
    pub async fn run_until_quiet_for(&self, by: Duration) {
        let end = self.steady().after(by);
        loop {
            self.rest().await;
            let now = self.steady();
            match self.next_wake().filter(|at| *at <= end) {
                Some(at) => self.advance(at.since(now)),
                None => {
                    self.advance(end.since(now));
                    return self.rest().await;
                }
            }
        }
    }

    /// Moves on to the first sleeper's deadline, once all tasks have gone quiet;
    /// waits for a sleeper where there is none.
    pub(super) async fn step(&self) {
        self.rest().await;
        let at = self.until_someone_sleeps().await;
        self.advance(at.since(self.steady()));
    }

    /// Waits, without moving time, until nobody asks for it any more.
    pub async fn rest(&self) {
        let (mut before, mut quiet) = (self.asked(), 0);
        // Whoever asks on and on without sleeping would never rest.
        for _ in 0..MOST_YIELDS {
            tokio::task::yield_now().await;
            let asked = self.asked();
            quiet = if asked == before { quiet + 1 } else { 0 };
            before = asked;
            if quiet == QUIET_YIELDS {
                return;
            }
        }
    }

    fn asked(&self) -> u64 {
        self.inner.asked.load(Ordering::Relaxed)
    }

    fn note_asked(&self) {
        self.inner.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// Steady time, for who is not at work.
    pub(super) fn steady(&self) -> Monotonic {
        self.state().steady
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until woken: at `until`, or earlier when wall time was set.
    async fn doze(&self, until: Monotonic) {
        let (sender, woken) = oneshot::channel();
        let key = {
            let mut state = self.state();
            state.last_sleeper += 1;
            let key = (until, state.last_sleeper);
            state.sleepers.insert(key, sender);
            key
        };
        let _bed = Bed { clock: self, key };
        self.inner.slept.notify_waiters();
        // An error means that the sender was dropped, which is a wake-up too.
        let _ = woken.await;
    }
}

impl State {
    fn wake(&mut self) {
        while let Some(first) = self.sleepers.first_entry() {
            if first.key().0 > self.steady {
                return;
            }
            // One who stopped waiting needs no waking.
            let _ = first.remove().send(());
        }
    }
}

/// Takes the sleeper off the list when its future is dropped.
struct Bed<'a> {
    clock: &'a VirtualClock,
    key: (Monotonic, u64),
}

impl Drop for Bed<'_> {
    fn drop(&mut self) {
        self.clock.state().sleepers.remove(&self.key);
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.note_asked();
        self.state().wall
    }

    fn monotonic(&self) -> Monotonic {
        self.note_asked();
        self.steady()
    }

    async fn sleep_until(&self, until: Monotonic) {
        while self.monotonic() < until {
            self.doze(until).await;
        }
    }

    fn settings(&self) -> Option<watch::Receiver<u64>> {
        Some(self.inner.set.subscribe())
    }

    async fn sleep_until_wall(&self, until: Timestamp) {
        loop {
            let left = until.since(self.now());
            if left.is_zero() {
                return;
            }
            self.doze(self.monotonic().after(left)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_in_order_and_only_when_their_time_has_come() {
        let clock = VirtualClock::new();
        let (sender, mut woken) = tokio::sync::mpsc::unbounded_channel();
        for seconds in [30u64, 10, 20] {
            let (clock, sender) = (clock.clone(), sender.clone());
            tokio::spawn(async move {
                clock
                    .sleep_until(Monotonic::from_origin(Duration::from_secs(seconds)))
                    .await;
                sender.send((seconds, clock.monotonic())).unwrap();
            });
        }
        clock.until_someone_sleeps().await;
        clock.run_for(Duration::from_secs(25)).await;
        let at = |seconds| {
            (
                seconds,
                Monotonic::from_origin(Duration::from_secs(seconds)),
            )
        };
        assert_eq!(woken.try_recv().unwrap(), at(10));
        assert_eq!(woken.try_recv().unwrap(), at(20));
        assert!(woken.try_recv().is_err());
        assert_eq!(clock.now(), START.after(Duration::from_secs(25)));
    }

    #[tokio::test]
    async fn setting_wall_time_wakes_those_who_wait_for_it_alone() {
        let clock = VirtualClock::new();
        let waiting = clock.clone();
        let wall = tokio::spawn(async move {
            waiting
                .sleep_until_wall(START.after(Duration::from_secs(3600)))
                .await;
        });
        let waiting = clock.clone();
        let steady = tokio::spawn(async move {
            waiting
                .sleep_until(Monotonic::from_origin(Duration::from_secs(60)))
                .await;
        });
        clock.run_for(Duration::ZERO).await;
        clock.set_wall(START.after(Duration::from_secs(7200)));
        wall.await.unwrap();
        assert!(!steady.is_finished());
        clock.advance(Duration::from_secs(60));
        steady.await.unwrap();
    }
}
