//! Whether a guess may be checked now, and what its outcome leads to.

use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use super::guesses::{Chance, Fingerprint};
use super::keep::login_count;
use super::logins::{Guess, Tried};
use super::{BanScope, Counted, Limiter, Screening, Sender};
use crate::account::Secret;
use crate::seams::AuthError;

/// How long a guess waits for others of its address.
const PATIENCE: Duration = Duration::from_secs(10);

impl Limiter {
    /// Known again, and nothing else: whoever reads this memory learns no
    /// password.
    pub(super) fn fingerprint(&self, login: &str, password: &Secret) -> Fingerprint {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.key);
        hasher.write(login.as_bytes());
        hasher.write(&[0]);
        hasher.write(password.expose());
        // 0 stands for none.
        hasher.finish().max(1)
    }

    /// Lets a guess be checked, after others of its address when these may be
    /// the last ones.
    pub(super) async fn guess<'a>(
        &'a self,
        peer: IpAddr,
        fingerprint: Option<Fingerprint>,
        tried: Tried<'a>,
    ) -> Result<Guess<'a>, AuthError> {
        let mut guess = Guess {
            limiter: self,
            peer: None,
            fingerprint,
            tried,
        };
        if self.config().logins.screening == Screening::Off || self.is_exempt(peer) {
            return Ok(guess);
        }
        if self.failed_enough(peer, &tried.from(peer)) {
            return Err(AuthError::Throttled);
        }
        let clock = &self.seams.clock;
        let until = clock.monotonic().after(PATIENCE);
        let mut place = None;
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            let chance = self.guesses().begin(peer, fingerprint, clock.monotonic());
            match chance {
                Chance::Try if !self.is_banned(peer) => {
                    guess.peer = Some(peer);
                    return Ok(guess);
                }
                // Asked last: a ban forgets the guesses that led to it.
                Chance::Try => {
                    self.guess_untold(peer);
                    return Err(AuthError::Throttled);
                }
                Chance::No => return Err(AuthError::Throttled),
                Chance::Wait => {}
            }
            if place.is_none() {
                let free = self.waiting.try_acquire();
                place = Some(free.map_err(|_| AuthError::Throttled)?);
            }
            tokio::select! {
                biased;
                () = settled => {}
                () = clock.sleep_until(until) => return Err(AuthError::Throttled),
            }
        }
    }

    /// Whether a rule keeps logins out, which it does not from where somebody
    /// has logged in: strangers are not to lock owners out.
    fn failed_enough(&self, peer: IpAddr, sender: &Sender<'_>) -> bool {
        let now = self.seams.clock.monotonic();
        let reached = self
            .counts()
            .is_reached(Counted::LoginFailures, sender, now);
        reached && !self.guesses().knows(peer, now)
    }

    pub(super) fn challenged(&self, peer: IpAddr) {
        self.guesses()
            .challenged(peer, self.seams.clock.monotonic());
    }

    /// The answer to a challenge, to be settled as a guess is.
    pub(super) fn answered<'a>(&'a self, peer: IpAddr, tried: Tried<'a>) -> Guess<'a> {
        let counted = self.config().logins.screening == Screening::On && !self.is_exempt(peer);
        if counted {
            self.guesses().answered(peer, self.seams.clock.monotonic());
        }
        Guess {
            limiter: self,
            peer: counted.then_some(peer),
            fingerprint: None,
            tried,
        }
    }

    pub(super) fn guessed_right(&self, peer: IpAddr) {
        self.guesses().right(peer, self.seams.clock.monotonic());
        self.settled.notify_waiters();
    }

    pub(super) fn guess_untold(&self, peer: IpAddr) {
        self.guesses().untold(peer, self.seams.clock.monotonic());
        self.settled.notify_waiters();
    }

    /// Counts a wrong guess, and bans after the last one; how long the answer is
    /// to be held back.
    pub(super) fn guessed_wrong(
        &self,
        peer: IpAddr,
        fingerprint: Option<Fingerprint>,
        sender: &Sender<'_>,
    ) -> Duration {
        let now = self.seams.clock.monotonic();
        let wrong = self.guesses().wrong(peer, fingerprint, now);
        if wrong.last {
            let most = self.config().logins.failures.most;
            let reason = format!("{most} wrong passwords");
            self.ban_for_rule(peer, BanScope::Logins, &reason);
        } else if let Some(level) = wrong.level {
            let within = self.config().logins.failures.within;
            self.write_count(&login_count(peer), level, within);
        }
        if wrong.fresh {
            self.add(Counted::LoginFailures, sender, 1);
        }
        self.settled.notify_waiters();
        wrong.delay
    }

    pub(super) async fn pause(&self, delay: Duration) {
        if !delay.is_zero() {
            let clock = &self.seams.clock;
            clock.sleep_until(clock.monotonic().after(delay)).await;
        }
    }
}
