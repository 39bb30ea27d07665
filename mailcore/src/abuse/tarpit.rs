//! [`Tarpit`]: who names many recipients is answered more and more slowly.

use std::time::Duration;

/// How answers to RCPT are held back. Whoever waits costs a timer and nothing
/// else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tarpit {
    /// Recipients of one session that are answered at once.
    pub free: u32,
    /// How long the answer to the next one is held back.
    pub delay: Duration,
    /// By what, in percent, each further delay is the last one's: 100 for always
    /// the same.
    pub growth: u32,
    /// How long an answer is held back at most. A sender waits five minutes
    /// (RFC 5321 section 4.5.3.2.3).
    pub longest: Duration,
    /// How long the answer to HELO and EHLO is held back.
    pub greeting: Duration,
}

impl Default for Tarpit {
    /// Five recipients at once, then 10 seconds each.
    fn default() -> Self {
        Self {
            free: 5,
            delay: Duration::from_secs(10),
            growth: 100,
            longest: Duration::from_secs(120),
            greeting: Duration::ZERO,
        }
    }
}

impl Tarpit {
    /// How long the answer to the `nth` recipient of a session is held back,
    /// counted from 1.
    pub fn wait(&self, nth: u32) -> Duration {
        let Some(over) = nth.checked_sub(self.free).filter(|over| *over > 0) else {
            return Duration::ZERO;
        };
        let mut delay = self.delay.min(self.longest);
        for _ in 1..over {
            let next = delay.saturating_mul(self.growth) / 100;
            let next = next.min(self.longest);
            // It changes no more, however many there are.
            if next == delay {
                break;
            }
            delay = next;
        }
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_recipient_waits_and_each_further_one_longer() {
        let mut tarpit = Tarpit::default();
        let seconds = |tarpit: &Tarpit, nth| tarpit.wait(nth).as_secs();
        assert_eq!(
            [4, 5, 6, 7, u32::MAX].map(|nth| seconds(&tarpit, nth)),
            [0, 0, 10, 10, 10]
        );
        tarpit.growth = 200;
        assert_eq!(
            [6, 7, 8, 9, 10, 11].map(|nth| seconds(&tarpit, nth)),
            [10, 20, 40, 80, 120, 120]
        );
        assert_eq!(seconds(&tarpit, u32::MAX), 120);
        tarpit.growth = 0;
        assert_eq!(seconds(&tarpit, 1_000_000), 0);
    }
}
