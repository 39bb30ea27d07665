//! All destinations that work is done for or that were found away:
//! [`Destinations`], and the limits it works within.
//!
//! In memory only: a restart tries every destination afresh. Entries are not
//! held here; one that can't be begun is put off in the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::destination::{Destination, PutOff};
use super::line::{Line, Rank};
use crate::address::Domain;
use crate::queue::RetrySchedule;
use crate::seams::{Clock, Entropy, NextHop};
use crate::status::{Failure, Outcome};
use crate::time::{Monotonic, Timestamp};

/// Where a job goes: the agent's name and the next hop.
pub(super) type HopKey = (Arc<str>, NextHop);

/// At most so many messages in a time, evenly spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least one.
    pub messages: u32,
    /// In what time.
    pub per: Duration,
}

impl Rate {
    /// The time from one message to the next.
    pub(super) fn interval(self) -> Duration {
        self.per / self.messages.max(1)
    }
}

/// How much one destination is given, and how long one is left alone that can't
/// be reached.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DestinationLimits {
    /// Jobs at once to begin with; one more after each that succeeds.
    pub first_jobs: usize,
    /// Jobs at once at most.
    pub max_jobs: usize,
    /// The pause after the first failure to reach it; each one doubles it.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// Messages in a time, unless `rates` has the destination.
    pub rate: Option<Rate>,
    /// Messages in a time by the next hop's name.
    pub rates: HashMap<Domain, Rate>,
    /// Destinations remembered; the ones longest out of use are dropped above.
    pub remembered: usize,
}

impl Default for DestinationLimits {
    fn default() -> Self {
        Self {
            first_jobs: 5,
            max_jobs: 20,
            first_pause: Duration::from_secs(60),
            longest_pause: Duration::from_secs(3_600),
            rate: None,
            rates: HashMap::new(),
            remembered: 20_000,
        }
    }
}

impl DestinationLimits {
    /// With pauses that leave the schedule its say: mail is not held up for a
    /// host longer than it would wait by itself.
    pub(super) fn within(mut self, schedule: &RetrySchedule) -> Self {
        let shortest = schedule.shortest_wait();
        self.first_pause = self.first_pause.min(shortest);
        self.longest_pause = self.longest_pause.min(shortest * 2);
        self
    }

    /// How long a destination is left alone after so many earlier failures.
    pub(super) fn pause(&self, trials: u32) -> Duration {
        let factor = 1u32.checked_shl(trials).unwrap_or(u32::MAX);
        let pause = self.first_pause.saturating_mul(factor.max(1));
        pause.min(self.longest_pause.max(self.first_pause))
    }

    fn rate_of(&self, hop: &NextHop) -> Option<Rate> {
        let domain = domain_of(hop)?;
        self.rates.get(domain).copied().or(self.rate)
    }
}

/// What is known of a destination, for an operator.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DestinationState {
    /// Who delivers there.
    pub agent: Arc<str>,
    /// The destination.
    pub next_hop: NextHop,
    /// Jobs that run or wait for it.
    pub jobs: usize,
    /// Jobs that it may have at once.
    pub width: usize,
    /// When it is tried again, if it can't be reached.
    pub away_until: Option<Timestamp>,
    /// How often in a row it could not be reached.
    pub failures: u32,
    /// What the last failure was.
    pub last_failure: Option<Failure>,
}

/// What a job says about the way there.
#[derive(Debug)]
pub(super) enum Finding {
    /// Somebody answered.
    Reached,
    /// Nobody did.
    Unreachable(Failure),
    /// Neither is known.
    Nothing,
}

impl Finding {
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let mut finding = Self::Nothing;
        for outcome in outcomes {
            match outcome {
                Outcome::Unreachable(failure) => return Self::Unreachable(failure.clone()),
                Outcome::Delivered | Outcome::Relayed { .. } => finding = Self::Reached,
                Outcome::Deferred(failure) | Outcome::Failed(failure)
                    if failure.remote.is_some() =>
                {
                    finding = Self::Reached;
                }
                _ => {}
            }
        }
        finding
    }
}

/// The destinations.
#[derive(Debug)]
pub(super) struct Destinations {
    limits: DestinationLimits,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    known: Mutex<HashMap<HopKey, Known>>,
}

#[derive(Debug)]
struct Known {
    destination: Destination,
    line: Line<Turn>,
}

/// The right to wait for a destination, or to use it.
#[derive(Debug)]
pub(super) struct Claim {
    all: Arc<Destinations>,
    key: HopKey,
    begin: Monotonic,
    turn: Option<Turn>,
}

/// The right to run one job.
#[derive(Debug)]
struct Turn {
    all: Arc<Destinations>,
    key: HopKey,
}

impl Destinations {
    pub(super) fn new(
        limits: DestinationLimits,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits,
            clock,
            entropy,
            known: Mutex::default(),
        })
    }

    /// Asks for a job to `key`, of which at most `share` may wait.
    pub(super) fn claim(self: &Arc<Self>, key: &HopKey, share: usize) -> Result<Claim, PutOff> {
        let (now, chance) = (self.clock.monotonic(), self.entropy.random_u64());
        // Local stands for every mailbox here: no host is behind it that could
        // have too much of it.
        let share = match key.1 {
            NextHop::Local => usize::MAX,
            _ => share,
        };
        let mut known = self.known();
        if known.len() >= self.limits.remembered && !known.contains_key(key) {
            self.drop_oldest(&mut known, now);
        }
        let fresh = || Known {
            destination: Destination::new(&self.limits, self.limits.rate_of(&key.1), now),
            line: Line::default(),
        };
        let it = known.entry(key.clone()).or_insert_with(fresh);
        let begin = it.destination.claim(now, share, chance)?;
        Ok(Claim {
            all: Arc::clone(self),
            key: key.clone(),
            begin,
            turn: None,
        })
    }

    /// Forgets what is held against the destinations of this name.
    pub(super) fn forgive(&self, name: &Domain) -> usize {
        let mut known = self.known();
        let mut forgiven = 0;
        for (key, it) in known.iter_mut() {
            if domain_of(&key.1) == Some(name) && it.destination.forgive() {
                forgiven += 1;
            }
        }
        forgiven
    }

    /// What is known, those that are away or busy.
    pub(super) fn states(&self) -> Vec<DestinationState> {
        let (now, wall) = (self.clock.monotonic(), self.clock.now());
        let known = self.known();
        let states = known.iter().map(|((agent, next_hop), it)| {
            let away = it.destination.away();
            DestinationState {
                agent: Arc::clone(agent),
                next_hop: next_hop.clone(),
                jobs: it.destination.claims,
                width: it.destination.width,
                away_until: away.map(|(until, ..)| wall.after(until.since(now))),
                failures: away.map_or(0, |(_, failures, _)| failures),
                last_failure: away.map(|(.., failure)| failure.clone()),
            }
        });
        states.collect()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<HopKey, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room: first what nothing is lost with, then a quarter of those
    /// that nobody works for, the ones longest out of use.
    fn drop_oldest(&self, known: &mut HashMap<HopKey, Known>, now: Monotonic) {
        known.retain(|_, it| !it.destination.is_quiet(now, &self.limits));
        let keep = self.limits.remembered * 3 / 4;
        if known.len() <= keep {
            return;
        }
        let idle = known.values().filter(|it| it.destination.claims == 0);
        let mut times: Vec<Monotonic> = idle.map(|it| it.destination.touched).collect();
        times.sort_unstable();
        let above = known.len() - keep;
        let Some(&newest) = times.get(above.min(times.len()).saturating_sub(1)) else {
            return;
        };
        known.retain(|_, it| it.destination.claims > 0 || it.destination.touched > newest);
    }

    /// Lets those begin who may.
    fn hand_out(self: &Arc<Self>, key: &HopKey) {
        loop {
            let mut known = self.known();
            let Some(it) = known.get_mut(key) else { return };
            let bounded = key.1 != NextHop::Local;
            if bounded && it.destination.running >= it.destination.width {
                return;
            }
            let Some(wake) = it.line.next() else { return };
            it.destination.running += 1;
            drop(known);
            // Sent with no lock held: a turn that nobody takes comes back.
            drop(wake.send(Turn {
                all: Arc::clone(self),
                key: key.clone(),
            }));
        }
    }

    fn change<T>(&self, key: &HopKey, change: impl FnOnce(&mut Known) -> T) -> Option<T> {
        self.known().get_mut(key).map(change)
    }
}

impl Claim {
    /// Waits for the destination. What it said is an error when it was found
    /// away meanwhile.
    pub(super) async fn enter(&mut self, rank: Rank) -> Result<(), PutOff> {
        let all = Arc::clone(&self.all);
        all.clock.sleep_until(self.begin).await;
        let woken = all.change(&self.key, |it| it.line.join(rank));
        all.hand_out(&self.key);
        if let Some(woken) = woken {
            self.turn = woken.await.ok();
        }
        self.recheck()
    }

    /// Whether the job may begin still, after a wait.
    pub(super) fn recheck(&self) -> Result<(), PutOff> {
        let (now, chance) = (self.all.clock.monotonic(), self.all.entropy.random_u64());
        let recheck = |it: &mut Known| it.destination.recheck(now, chance);
        self.all.change(&self.key, recheck).unwrap_or(Ok(()))
    }

    /// What a job that began at `began` found.
    pub(super) fn report(&self, began: Monotonic, finding: Finding) {
        let all = &self.all;
        let now = all.clock.monotonic();
        all.change(&self.key, |it| match finding {
            Finding::Reached => {
                if it.destination.reached(now.since(began), &all.limits) {
                    tracing::info!(agent = %self.key.0, hop = ?self.key.1, "a destination is back");
                }
            }
            Finding::Unreachable(failure) => {
                it.destination.unreachable(began, now, failure, &all.limits);
                // They ask again and are put off.
                it.line.clear();
            }
            Finding::Nothing => {}
        });
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        drop(self.turn.take());
        let all = &self.all;
        let now = all.clock.monotonic();
        let mut known = all.known();
        let Some(it) = known.get_mut(&self.key) else {
            return;
        };
        it.destination.claims = it.destination.claims.saturating_sub(1);
        if it.line.is_empty() && it.destination.is_quiet(now, &all.limits) {
            known.remove(&self.key);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let leave = |it: &mut Known| {
            it.destination.running = it.destination.running.saturating_sub(1);
        };
        self.all.change(&self.key, leave);
        self.all.hand_out(&self.key);
    }
}

fn domain_of(hop: &NextHop) -> Option<&Domain> {
    match hop {
        NextHop::Mx(domain) => Some(domain),
        NextHop::Host { host, .. } => Some(host),
        NextHop::Local => None,
    }
}

/// A next hop in words, for an event.
pub(super) fn name_of(hop: &NextHop) -> String {
    match hop {
        NextHop::Mx(domain) => domain.to_string(),
        NextHop::Host { host, port } => format!("{host}:{port}"),
        NextHop::Local => "local".to_owned(),
    }
}
