//! [`Pulse`]: whether the queue is worked on.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::seams::Clock;
use crate::time::Monotonic;

/// So long after a beat something is wrong. On the computer's clock the queue is
/// looked at once a minute, whatever happens.
const LOST_AFTER: Duration = Duration::from_secs(3 * 60);

/// When the queue was last looked at with success, or woke to do so.
#[derive(Debug)]
pub(super) struct Pulse(Mutex<Beat>);

#[derive(Debug, Clone, Copy)]
enum Beat {
    /// It is at work since then.
    At(Monotonic),
    /// It waits for work, and no minute's look is due: time is a test's.
    Rests,
}

impl Pulse {
    pub(super) fn new(now: Monotonic) -> Self {
        Self(Mutex::new(Beat::At(now)))
    }

    pub(super) fn beat(&self, now: Monotonic) {
        self.set(Beat::At(now));
    }

    /// Begins to look: only one that rested counts from here, so that a store
    /// that fails each time is noticed.
    pub(super) fn wake(&self, now: Monotonic) {
        let mut beat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Beat::Rests = *beat {
            *beat = Beat::At(now);
        }
    }

    /// Waits for work, on a clock that tells when it is set.
    pub(super) fn rest(&self) {
        self.set(Beat::Rests);
    }

    pub(super) fn is_felt(&self, now: Monotonic) -> bool {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Beat::At(last) => now < last.after(LOST_AFTER),
            Beat::Rests => true,
        }
    }

    fn set(&self, beat: Beat) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = beat;
    }
}

/// Has a pulse end with the task that it is the pulse of.
pub(super) struct Ends<'a>(pub(super) &'a Pulse, pub(super) &'a dyn Clock);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.wake(self.1.monotonic());
    }
}
