//! How many retries begin beside mail that comes for the first time:
//! [`RetryShare`]. Pure: times in, counts out.

use std::time::Duration;

use crate::time::Monotonic;

/// First attempts in a second from which on retries are counted out to leave
/// room for them.
const BUSY: usize = 200;
/// The time in which first attempts are counted.
const WINDOW: Duration = Duration::from_secs(1);
/// Retries a second, however much fresh mail there is: they never starve.
const AT_LEAST: u32 = 50;
/// One more retry for so many first attempts.
const FIRST_FOR_ONE: usize = 100;
/// They begin so many at a time: those due together lie together in a store, and
/// what becomes of them is written down together.
const AT_ONCE: usize = 64;
/// Retries that may be saved up.
const SAVED: usize = 128;

/// The share of the work that goes to mail tried before. A server that fresh
/// mail keeps busy gives it a few of a hundred parts; one that has nothing
/// else to do, all.
#[derive(Debug)]
pub(super) struct RetryShare {
    window: Monotonic,
    /// First attempts begun in this window, and in the one before.
    first: [usize; 2],
    counted: Monotonic,
    saved: usize,
    /// First attempts since the last retry was earned by them.
    earned: usize,
}

impl RetryShare {
    pub(super) fn new(now: Monotonic) -> Self {
        Self {
            window: now,
            first: [0; 2],
            counted: now,
            saved: SAVED,
            earned: 0,
        }
    }

    /// How many retries may begin now; `None` for as many as there are.
    pub(super) fn most(&mut self, now: Monotonic) -> Option<usize> {
        let since = now.since(self.window);
        if since >= WINDOW {
            let [this, _] = self.first;
            let before = if since < WINDOW * 2 { this } else { 0 };
            self.first = [0, before];
            self.window = now;
        }
        let each = Duration::from_secs(1) / AT_LEAST;
        let gained = now.since(self.counted).as_nanos() / each.as_nanos();
        let gained = u32::try_from(gained).unwrap_or(u32::MAX);
        self.counted = match usize::try_from(gained) {
            Ok(gained) if gained < SAVED => {
                self.save(gained);
                self.counted
                    .after(each * u32::try_from(gained).unwrap_or(0))
            }
            _ => {
                self.saved = SAVED;
                now
            }
        };
        let [this, before] = self.first;
        let in_turn = if self.saved < AT_ONCE { 0 } else { self.saved };
        (this.max(before) >= BUSY).then_some(in_turn)
    }

    /// Counts what began.
    pub(super) fn begun(&mut self, first: usize, retries: usize) {
        let [this, _] = &mut self.first;
        *this += first;
        self.saved = self.saved.saturating_sub(retries);
        self.earned += first;
        self.save(self.earned / FIRST_FOR_ONE);
        self.earned %= FIRST_FOR_ONE;
    }

    fn save(&mut self, more: usize) {
        self.saved = (self.saved + more).min(SAVED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Retries that begin in so many seconds beside so much fresh mail a second.
    fn retries(seconds: u32, first: usize) -> usize {
        let mut now = Monotonic::default();
        let mut share = RetryShare::new(now);
        let mut all = 0;
        for at in 0..(seconds + 1) * 100 {
            now = now.after(Duration::from_millis(10));
            let retries = share.most(now).unwrap_or(10);
            share.begun(first / 100, retries);
            // The first second only shows how much fresh mail there is.
            all += if at < 100 { 0 } else { retries };
        }
        all
    }

    #[test]
    fn fresh_mail_leaves_retries_a_small_share_and_never_none() {
        assert_eq!(retries(10, 0), 10_000, "all they ask for");
        let beside_some = retries(10, 300);
        assert!((500..700).contains(&beside_some), "{beside_some}");
        let beside_much = retries(10, 10_000);
        assert!((1_400..1_700).contains(&beside_much), "{beside_much}");
    }

    #[test]
    fn retries_have_all_again_when_no_fresh_mail_comes() {
        let mut share = RetryShare::new(Monotonic::default());
        share.begun(1_000, 0);
        assert!(share.most(Monotonic::default()).is_some());
        let later = Monotonic::default().after(WINDOW * 2);
        assert_eq!(share.most(later), None);
    }
}
