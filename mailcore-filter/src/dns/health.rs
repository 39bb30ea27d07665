//! [`Health`]: whether a list works, from tests and from what it answers.
//!
//! Lists die: their domain is sold and every name in it gets an address, they
//! list the whole world to be rid of those who still ask, or they answer nobody
//! who asks through a public resolver. RFC 5782 section 5 has entries to tell by.

use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mailcore::time::Monotonic;
use thiserror::Error;

use super::{DnsListLimits, Kind};

/// What is wrong with a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ZoneFault {
    /// It gives no answers.
    #[error("it gives no answers; see that the resolver reaches it")]
    Silent,
    /// Its test entry is not there.
    #[error(
        "it does not list its test entry (RFC 5782 section 5); it may be dead, or serve only customers"
    )]
    NoTestEntry,
    /// It lists what no list may.
    #[error(
        "it lists what no list may (RFC 5782 section 5), as lists do that were closed; remove it"
    )]
    ListsEverything,
    /// It answers with an error.
    #[error(
        "it answers {0}, which is no listing: it does not serve this resolver; use a resolver of your own, or the list's service for customers"
    )]
    Refuses(Ipv4Addr),
}

/// A list was turned off, or on again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZoneChange {
    /// The list, as it is shown.
    pub zone: String,
    /// For which subjects.
    pub kind: Kind,
    /// Why it counts no longer; `None` when it counts again.
    pub fault: Option<ZoneFault>,
}

/// Is told what becomes of lists, once for each change. The log says it, too.
pub trait ListWatch: Debug + Send + Sync {
    /// A list has changed. Must not block.
    fn changed(&self, change: &ZoneChange);
}

/// What became of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It counts no longer.
    Off(ZoneFault),
    /// It counts again.
    On,
}

/// How a list stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is known of it: test it before it counts.
    Untested,
    /// It works.
    Good,
    /// It worked, and it is time for a test.
    GoodUntilTested,
    /// It does not count.
    Off,
    /// It does not count, and it is time for a test.
    OffUntilTested,
}

/// One list, for one kind of subjects.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: Mutex<State>,
    /// Held by the one who tests.
    pub(super) testing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Untested,
    Good {
        test_at: Monotonic,
        /// Questions without an answer, one after the other.
        unanswered: u32,
    },
    Off {
        fault: ZoneFault,
        test_at: Monotonic,
        /// How long it was until this test.
        pause: Duration,
    },
}

impl Health {
    pub(super) fn standing(&self, now: Monotonic) -> Standing {
        match *self.lock() {
            State::Untested => Standing::Untested,
            State::Good { test_at, .. } if test_at <= now => Standing::GoodUntilTested,
            State::Good { .. } => Standing::Good,
            State::Off { test_at, .. } if test_at <= now => Standing::OffUntilTested,
            State::Off { .. } => Standing::Off,
        }
    }

    /// A test has ended.
    pub(super) fn tested(
        &self,
        result: Result<(), ZoneFault>,
        now: Monotonic,
        limits: &DnsListLimits,
    ) -> Option<Change> {
        let mut state = self.lock();
        match result {
            Ok(()) => {
                let was_off = matches!(*state, State::Off { .. });
                *state = State::Good {
                    test_at: now.after(limits.test_every),
                    unanswered: 0,
                };
                was_off.then_some(Change::On)
            }
            Err(fault) => state.turn_off(fault, now, limits),
        }
    }

    /// It answered a question with an error.
    pub(super) fn refused(
        &self,
        answer: Ipv4Addr,
        now: Monotonic,
        limits: &DnsListLimits,
    ) -> Option<Change> {
        self.lock()
            .turn_off(ZoneFault::Refuses(answer), now, limits)
    }

    /// It answered a question.
    pub(super) fn answered(&self) {
        if let State::Good { unanswered, .. } = &mut *self.lock() {
            *unanswered = 0;
        }
    }

    /// It did not.
    pub(super) fn unanswered(&self, now: Monotonic, limits: &DnsListLimits) -> Option<Change> {
        let mut state = self.lock();
        let State::Good { unanswered, .. } = &mut *state else {
            return None;
        };
        *unanswered = unanswered.saturating_add(1);
        if *unanswered < limits.unanswered {
            return None;
        }
        state.turn_off(ZoneFault::Silent, now, limits)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The change, unless it was off for that already: nobody is told twice.
    fn turn_off(
        &mut self,
        fault: ZoneFault,
        now: Monotonic,
        limits: &DnsListLimits,
    ) -> Option<Change> {
        // What is silent may be back in a moment; what is dead stays so.
        let (pause, told) = match (*self, fault) {
            (
                Self::Off {
                    fault: was, pause, ..
                },
                ZoneFault::Silent,
            ) => (pause.saturating_mul(2), was == fault),
            (_, ZoneFault::Silent) => (limits.retest, false),
            (Self::Off { fault: was, .. }, _) => (limits.test_every, was == fault),
            _ => (limits.test_every, false),
        };
        let pause = pause.min(limits.test_every);
        *self = Self::Off {
            fault,
            test_at: now.after(pause),
            pause,
        };
        (!told).then_some(Change::Off(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn a_list_that_works_is_tested_every_hour() {
        let (health, limits) = (Health::default(), DnsListLimits::default());
        assert_eq!(health.standing(at(0)), Standing::Untested);
        assert_eq!(health.tested(Ok(()), at(0), &limits), None);
        assert_eq!(health.standing(at(3_599)), Standing::Good);
        assert_eq!(health.standing(at(3_600)), Standing::GoodUntilTested);
        let fault = ZoneFault::ListsEverything;
        let off = health.tested(Err(fault), at(3_600), &limits);
        assert_eq!(off, Some(Change::Off(fault)));
        assert_eq!(health.standing(at(7_199)), Standing::Off);
        assert_eq!(health.standing(at(7_200)), Standing::OffUntilTested);
        assert_eq!(health.tested(Err(fault), at(7_200), &limits), None);
        let on = health.tested(Ok(()), at(10_800), &limits);
        assert_eq!(on, Some(Change::On));
    }

    #[test]
    fn a_silent_list_is_tested_soon_and_then_ever_later() {
        let (health, limits) = (Health::default(), DnsListLimits::default());
        let silent = Err(ZoneFault::Silent);
        assert!(health.tested(silent, at(0), &limits).is_some());
        let mut now = 0;
        for pause in [60, 120, 240, 480, 960, 1_920, 3_600, 3_600] {
            assert_eq!(health.standing(at(now + pause - 1)), Standing::Off);
            now += pause;
            assert_eq!(health.standing(at(now)), Standing::OffUntilTested);
            assert_eq!(health.tested(silent, at(now), &limits), None);
        }
    }

    #[test]
    fn a_run_of_unanswered_questions_turns_a_list_off() {
        let (health, limits) = (Health::default(), DnsListLimits::default());
        health.tested(Ok(()), at(0), &limits);
        for _ in 0..20 {
            for _ in 1..limits.unanswered {
                assert_eq!(health.unanswered(at(1), &limits), None);
            }
            health.answered();
        }
        for _ in 1..limits.unanswered {
            assert_eq!(health.unanswered(at(1), &limits), None);
        }
        let off = health.unanswered(at(1), &limits);
        assert_eq!(off, Some(Change::Off(ZoneFault::Silent)));
        assert_eq!(health.unanswered(at(2), &limits), None);
    }

    #[test]
    fn an_error_for_an_answer_turns_a_list_off_at_once() {
        let (health, limits) = (Health::default(), DnsListLimits::default());
        health.tested(Ok(()), at(0), &limits);
        let answer = Ipv4Addr::new(127, 255, 255, 254);
        let off = Some(Change::Off(ZoneFault::Refuses(answer)));
        assert_eq!(health.refused(answer, at(1), &limits), off);
        assert_eq!(health.refused(answer, at(1), &limits), None);
        assert_eq!(health.standing(at(2)), Standing::Off);
    }
}
