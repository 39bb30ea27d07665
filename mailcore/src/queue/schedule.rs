//! When a deferred message is tried again, and when it is given up. Pure: times
//! in, times out.

use std::time::Duration;

use thiserror::Error;

use crate::time::Timestamp;

const HOUR: Duration = Duration::from_secs(3_600);

/// Waits between attempts. The last one repeats until the message expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule {
    waits: Vec<Duration>,
    expire_after: Duration,
    delay_notice_after: Option<Duration>,
}

/// Why a schedule can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// No wait given.
    #[error("a retry schedule needs at least one wait")]
    Empty,
    /// A wait under a second would hammer the peer.
    #[error("a wait between attempts must be at least 1 second")]
    TooShort,
}

/// 30 minutes, 1, 2 and 3 hours, then every 4 hours; given up after 168 hours.
/// The sender is told of the delay after 4 hours.
impl Default for RetrySchedule {
    fn default() -> Self {
        Self {
            waits: vec![HOUR / 2, HOUR, HOUR * 2, HOUR * 3, HOUR * 4],
            expire_after: HOUR * 168,
            delay_notice_after: Some(HOUR * 4),
        }
    }
}

impl RetrySchedule {
    /// A schedule from its waits and life time.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub fn new(waits: Vec<Duration>, expire_after: Duration) -> Result<Self, ScheduleError> {
        match waits.iter().min() {
            None => Err(ScheduleError::Empty),
            Some(shortest) if *shortest < Duration::from_secs(1) => Err(ScheduleError::TooShort),
            Some(_) => Ok(Self {
                waits,
                expire_after,
                ..Self::default()
            }),
        }
    }

    /// When the sender is told that the message waits; `None` for never.
    #[must_use]
    pub fn with_delay_notice(mut self, after: Option<Duration>) -> Self {
        self.delay_notice_after = after;
        self
    }

    /// The shortest wait between two attempts.
    pub fn shortest_wait(&self) -> Duration {
        self.waits.iter().min().copied().unwrap_or(HOUR)
    }

    /// The longest wait between two attempts.
    pub fn longest_wait(&self) -> Duration {
        self.waits.iter().max().copied().unwrap_or(HOUR)
    }

    /// When a message received at `received_at` is given up.
    pub fn expires_at(&self, received_at: Timestamp) -> Timestamp {
        received_at.after(self.expire_after)
    }

    /// When the sender of a message received at `received_at` is told.
    pub fn delay_notice_at(&self, received_at: Timestamp) -> Option<Timestamp> {
        self.delay_notice_after.map(|wait| received_at.after(wait))
    }

    /// When to try again after `attempts` failed attempts, the last one at
    /// `now`. The attempt at `expires_at` itself is the last one: a wait that
    /// would pass it ends there.
    pub fn next_attempt(&self, now: Timestamp, attempts: u32, expires_at: Timestamp) -> Timestamp {
        let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self
            .waits
            .get(index)
            .or(self.waits.last())
            .copied()
            .unwrap_or(HOUR);
        now.after(wait).min(expires_at.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_default_schedule_tries_46_times_within_168_hours() {
        let schedule = RetrySchedule::default();
        let expires_at = schedule.expires_at(Timestamp::EPOCH);
        let (mut now, mut attempts, mut hours) = (Timestamp::EPOCH, 0, Vec::new());
        while now < expires_at {
            attempts += 1;
            hours.push(now.millis() as f64 / 3_600_000.0);
            now = schedule.next_attempt(now, attempts, expires_at);
        }
        assert_eq!(
            hours.get(..7).unwrap(),
            [0.0, 0.5, 1.5, 3.5, 6.5, 10.5, 14.5]
        );
        assert_eq!(now, expires_at);
        assert_eq!(attempts, 45);
    }

    proptest! {
        #[test]
        fn the_next_attempt_is_later_and_never_past_expiry(
            waits in proptest::collection::vec(1u64..1_000_000, 1..8),
            attempts: u32,
            now in 0i64..1_000_000_000,
            life in 1u64..10_000_000,
        ) {
            let schedule = RetrySchedule::new(waits.into_iter().map(Duration::from_secs).collect(), Duration::from_secs(life)).unwrap();
            let now = Timestamp::from_secs(now);
            let expires_at = schedule.expires_at(now);
            let next = schedule.next_attempt(now, attempts, expires_at);
            prop_assert!(next > now && next <= expires_at);
        }
    }
}
