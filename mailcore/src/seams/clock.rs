//! Time. Nothing else in mailcore reads a clock or sleeps, so that a week of
//! retries runs in a test in less than a second.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::time::{Monotonic, Timestamp};

/// How often wall time is compared with steady time where the clock itself
/// does not tell when it was set.
pub(crate) const COMPARED: Duration = Duration::from_secs(60);

/// Wall time, steady time, and waiting.
#[async_trait]
pub trait Clock: Debug + Send + Sync {
    /// Wall time. May jump.
    fn now(&self) -> Timestamp;

    /// Steady time, for time-outs. Never goes back.
    fn monotonic(&self) -> Monotonic;

    /// Waits until then; returns at once when it is past. Cancel-safe.
    async fn sleep_until(&self, until: Monotonic);

    /// Waits until wall time reaches `until`. A clock that jumps is noticed
    /// within a minute.
    async fn sleep_until_wall(&self, until: Timestamp) {
        loop {
            let left = until.since(self.now());
            if left.is_zero() {
                return;
            }
            self.sleep_until(self.monotonic().after(left.min(COMPARED)))
                .await;
        }
    }

    /// Changes whenever wall time was set, from a clock that can tell; `None`
    /// from the computer's, which has to be looked at once a minute.
    fn settings(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}

/// The computer's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    origin: Instant,
}

#[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
impl SystemClock {
    /// A clock whose steady time starts now.
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => millis(after),
            Err(before) => -millis(before.duration()),
        })
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic::from_origin(self.origin.elapsed())
    }

    async fn sleep_until(&self, until: Monotonic) {
        tokio::time::sleep_until((self.origin + until.since_origin()).into()).await;
    }
}
