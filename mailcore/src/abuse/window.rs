//! [`Rate`] and [`Window`]: how often something happened lately, in a few
//! octets however often it did.

use std::time::Duration;

use crate::time::Monotonic;

/// So many of something within some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rate {
    /// How many are let pass.
    pub most: u64,
    /// Within which time.
    pub within: Duration,
}

impl Rate {
    /// `most` within `within`. Within no time at all counts as within a second.
    pub fn new(most: u64, within: Duration) -> Self {
        Self {
            most,
            within: within.max(Duration::from_secs(1)),
        }
    }
}

/// A count that slides: what happened in this stretch of time, and of the
/// stretch before it the part that a window ending now still covers, as if it
/// had been spread evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Window {
    began: Monotonic,
    before: u64,
    now: u64,
}

impl Window {
    /// A window that was written down before this process began, as if all of
    /// it had happened at once.
    pub(super) fn with(count: u64, at: Monotonic) -> Self {
        Self {
            began: at,
            before: 0,
            now: count,
        }
    }

    /// How many there were lately.
    pub(super) fn level(&mut self, rate: Rate, at: Monotonic) -> u64 {
        self.turn(rate, at);
        let left = rate.within.saturating_sub(at.since(self.began));
        self.now
            .saturating_add(share(self.before, left, rate.within))
    }

    /// Counts `more`; how many there are then.
    pub(super) fn add(&mut self, more: u64, rate: Rate, at: Monotonic) -> u64 {
        let level = self.level(rate, at);
        self.now = self.now.saturating_add(more);
        level.saturating_add(more)
    }

    /// Takes back what was counted and did not happen.
    pub(super) fn forgive(&mut self, fewer: u64) {
        let left = fewer.saturating_sub(self.now);
        self.now = self.now.saturating_sub(fewer);
        self.before = self.before.saturating_sub(left);
    }

    /// When `more` will pass; `None` when they never do.
    pub(super) fn opens(&mut self, more: u64, rate: Rate, at: Monotonic) -> Option<Monotonic> {
        let room = rate.most.checked_sub(more)?;
        if self.level(rate, at) <= room {
            return Some(at);
        }
        // In this stretch what came before goes away, in the next one this.
        let (count, room, stretch) = match room.checked_sub(self.now) {
            Some(room) => (self.before, room, self.began),
            None => (self.now, room, self.began.after(rate.within)),
        };
        let kept = u128::from(room) * rate.within.as_millis() / u128::from(count.max(1));
        let kept = Duration::from_millis(u64::try_from(kept).unwrap_or(u64::MAX));
        let opens = stretch.after(rate.within.saturating_sub(kept));
        Some(opens.max(at.after(Duration::from_millis(1))))
    }

    fn turn(&mut self, rate: Rate, at: Monotonic) {
        let gone = at.since(self.began);
        if gone < rate.within {
            return;
        }
        let next = self.began.after(rate.within);
        *self = match gone < rate.within.saturating_mul(2) {
            true if self.now > 0 => Self {
                began: next,
                before: self.now,
                now: 0,
            },
            // A stretch begins with the first thing in it.
            _ => Self {
                began: at,
                before: 0,
                now: 0,
            },
        };
    }
}

/// The part of `count` that `left` is of `whole`, rounded up.
fn share(count: u64, left: Duration, whole: Duration) -> u64 {
    let whole = whole.as_millis().max(1);
    let part = u128::from(count) * left.as_millis();
    u64::try_from(part.div_ceil(whole)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Monotonic {
        Monotonic::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn what_happened_goes_away_bit_by_bit() {
        let rate = Rate::new(10, Duration::from_secs(10));
        let mut window = Window::default();
        assert_eq!(window.add(10, rate, at(100_000)), 10);
        assert_eq!(window.level(rate, at(109_999)), 10);
        assert_eq!(window.level(rate, at(115_000)), 5);
        assert_eq!(window.level(rate, at(119_000)), 1);
        assert_eq!(window.level(rate, at(120_000)), 0);
    }

    proptest! {
        #[test]
        fn no_stretch_of_the_window_sees_twice_the_rate(steps: Vec<u16>) {
            let rate = Rate::new(10, Duration::from_secs(10));
            let (mut window, mut now) = (Window::default(), 50_000);
            let mut passed = Vec::new();
            for step in steps {
                now += u64::from(step % 3_000);
                if window.level(rate, at(now)) < rate.most {
                    window.add(1, rate, at(now));
                    passed.push(now);
                }
            }
            for from in &passed {
                let here = passed.iter().filter(|it| (*from..from + 10_000).contains(it));
                prop_assert!(here.count() < 20);
            }
        }

        #[test]
        fn it_opens_when_it_says_and_not_before(steps: Vec<u16>, more in 1u64..11) {
            let rate = Rate::new(10, Duration::from_secs(10));
            let (mut window, mut now) = (Window::default(), 50_000);
            for step in steps {
                now += u64::from(step % 3_000);
                window.add(1, rate, at(now));
            }
            let opens = window.opens(more, rate, at(now)).unwrap();
            let level = window.level(rate, opens.after(Duration::from_millis(1)));
            prop_assert!(level + more <= rate.most, "{} then", level);
        }
    }
}
