//! [`Pulse`]: whether the queue is worked on.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::time::Monotonic;

/// So long after a beat something is wrong. The queue is looked at once a
/// minute, whatever happens.
const LOST_AFTER: Duration = Duration::from_secs(3 * 60);

/// When the queue was last looked at with success.
#[derive(Debug)]
pub(super) struct Pulse(Mutex<Monotonic>);

impl Pulse {
    pub(super) fn new(now: Monotonic) -> Self {
        Self(Mutex::new(now))
    }

    pub(super) fn beat(&self, now: Monotonic) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    pub(super) fn is_felt(&self, now: Monotonic) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now < last.after(LOST_AFTER)
    }
}
