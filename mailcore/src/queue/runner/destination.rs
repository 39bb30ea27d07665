//! What is known of one destination: whether it is tried now, how many jobs it
//! is given at once, and when those above that have their turn. Pure: times and
//! chance in, decisions out.

use std::time::Duration;

use super::destinations::{DestinationLimits, Rate};
use crate::status::Failure;
use crate::time::Monotonic;

/// How long a trial of a destination that was away may keep others waiting
/// before they ask again.
const TRIAL: Duration = Duration::from_secs(30);
/// The farthest that entries put off for one moment are spread.
const SPREAD: Duration = Duration::from_secs(10 * 60);
/// A turn is never promised farther ahead: what is known is a guess.
const FARTHEST_TURN: Duration = Duration::from_secs(10 * 60);
/// A turn in the line of a rate that is this near is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why no job is begun now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PutOff {
    /// When to ask again.
    pub(super) until: Monotonic,
    /// What the destination said when it was last tried; `None` when it is only
    /// busy.
    pub(super) failure: Option<Failure>,
}

/// One destination.
#[derive(Debug)]
pub(super) struct Destination {
    /// Jobs it may have at once.
    pub(super) width: usize,
    /// Jobs it has.
    pub(super) running: usize,
    /// Jobs that run or wait for it.
    pub(super) claims: usize,
    /// When it was last of use.
    pub(super) touched: Monotonic,
    away: Option<Away>,
    rate: Option<Rate>,
    /// When the rate allows the next message.
    next_message: Monotonic,
    /// How long a job takes, smoothed.
    took: Duration,
    /// The last turn that was promised.
    turn: Monotonic,
}

/// A destination that could not be reached.
#[derive(Debug)]
struct Away {
    /// Trials that failed, one after the other.
    trials: u32,
    /// When the last one failed.
    failed_at: Monotonic,
    pause: Duration,
    failure: Failure,
    /// True once an entry was put off to the very end of the pause: the one
    /// that tries.
    trial_given: bool,
}

impl Destination {
    pub(super) fn new(limits: &DestinationLimits, rate: Option<Rate>, now: Monotonic) -> Self {
        Self {
            width: limits.first_jobs.clamp(1, limits.max_jobs.max(1)),
            running: 0,
            claims: 0,
            touched: now,
            away: None,
            rate,
            next_message: now,
            took: Duration::from_secs(1),
            turn: now,
        }
    }

    /// Asks for a job. `Ok` has the moment at which it may begin; `share` is how
    /// many may wait here.
    pub(super) fn claim(
        &mut self,
        now: Monotonic,
        share: usize,
        chance: u64,
    ) -> Result<Monotonic, PutOff> {
        self.touched = now;
        if let Some(away) = &mut self.away
            && (now < away.until() || self.claims > 0)
        {
            return Err(away.put_off(now, chance));
        }
        if self.claims >= share {
            return Err(self.busy(now, chance));
        }
        let mut begin = now;
        if let Some(rate) = self.rate {
            begin = self.next_message.max(now);
            if begin > now.after(PATIENCE) {
                return Err(self.busy(now, chance));
            }
            self.next_message = begin.after(rate.interval());
        }
        self.claims += 1;
        Ok(begin)
    }

    /// Whether a job that waits may begin: the destination may have been found
    /// away in the meantime.
    pub(super) fn recheck(&mut self, now: Monotonic, chance: u64) -> Result<(), PutOff> {
        match &mut self.away {
            Some(away) if now < away.until() => Err(away.put_off(now, chance)),
            _ => Ok(()),
        }
    }

    /// A job reached it. True when it had been away.
    pub(super) fn reached(&mut self, took: Duration, limits: &DestinationLimits) -> bool {
        self.width = (self.width + 1).min(limits.max_jobs.max(1));
        self.took = (self.took * 3 + took) / 4;
        self.away.take().is_some()
    }

    /// A job that began at `began` could not reach it. Jobs that ran side by
    /// side found the same thing, which counts once.
    pub(super) fn unreachable(
        &mut self,
        began: Monotonic,
        now: Monotonic,
        failure: Failure,
        limits: &DestinationLimits,
    ) {
        let (trials, counted) = match &self.away {
            Some(away) => (away.trials, began < away.failed_at),
            None => (0, false),
        };
        if counted {
            return;
        }
        self.width = (self.width / 2).max(1);
        self.away = Some(Away {
            trials: trials.saturating_add(1),
            failed_at: now,
            pause: limits.pause(trials),
            failure,
            trial_given: false,
        });
    }

    /// Forgets that it was away. True when it was.
    pub(super) fn forgive(&mut self) -> bool {
        self.away.take().is_some()
    }

    /// When it is tried again, after how many failures, and what was said.
    pub(super) fn away(&self) -> Option<(Monotonic, u32, &Failure)> {
        let away = self.away.as_ref()?;
        Some((away.until(), away.trials, &away.failure))
    }

    /// True when forgetting it changes nothing.
    pub(super) fn is_quiet(&self, now: Monotonic, limits: &DestinationLimits) -> bool {
        let narrow = self.width <= limits.first_jobs;
        let fresh = self.away.is_none() && narrow && self.next_message <= now;
        self.claims == 0 && fresh
    }

    /// Those above what it takes come back one after the other, about when it
    /// gets to them.
    fn busy(&mut self, now: Monotonic, chance: u64) -> PutOff {
        let width = u32::try_from(self.width).unwrap_or(u32::MAX).max(1);
        let ahead = u32::try_from(self.claims).unwrap_or(u32::MAX);
        let mut each = self.took / width;
        if let Some(rate) = self.rate {
            each = each.max(rate.interval());
        }
        let first = now.after(each.saturating_mul(ahead).max(Duration::from_secs(1)));
        self.turn = self.turn.max(first).after(each);
        let farthest = now.after(FARTHEST_TURN);
        if self.turn > farthest {
            // Too many for a promise: spread over the second half.
            self.turn = farthest;
            let until = now.after(FARTHEST_TURN / 2 + part_of(FARTHEST_TURN / 2, chance));
            return PutOff {
                until,
                failure: None,
            };
        }
        PutOff {
            until: self.turn,
            failure: None,
        }
    }
}

impl Away {
    fn until(&self) -> Monotonic {
        self.failed_at.after(self.pause)
    }

    /// One comes back when the pause ends and tries; the others once it is
    /// known what came of that, and not all in one second.
    fn put_off(&mut self, now: Monotonic, chance: u64) -> PutOff {
        let spread = part_of((self.pause / 2).min(SPREAD), chance);
        let until = if now >= self.until() {
            now.after(TRIAL + spread)
        } else if std::mem::replace(&mut self.trial_given, true) {
            self.until().after(TRIAL + spread)
        } else {
            self.until()
        };
        PutOff {
            until,
            failure: Some(self.failure.clone()),
        }
    }
}

/// A share of `whole`, by chance.
pub(super) fn part_of(whole: Duration, chance: u64) -> Duration {
    let millis = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(chance % millis.saturating_add(1))
}
