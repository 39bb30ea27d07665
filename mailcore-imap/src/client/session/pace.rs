//! How long a server is waited for: [`Pace`] is how long a command may take in all.
//! Silence alone would let a server that says a little now and then hold its client
//! for ever.

use std::time::Duration;

use mailcore::time::Monotonic;
use mailcore::wire::Step;

use super::{ClientSession, Idle, Question, State};
use crate::client::command::Kind;
use crate::client::error::ClientError;

/// What an octet of a message adds.
const OCTET: Duration = Duration::from_millis(1);

/// Since when the oldest command is under way, and what it moved.
#[derive(Debug, Default)]
pub(super) struct Pace {
    began: Option<Monotonic>,
    added: Duration,
}

impl Pace {
    /// The next command begins, or none.
    pub(super) fn rest(&mut self) {
        *self = Self::default();
    }

    /// Octets of a message came or went.
    pub(super) fn moved(&mut self, octets: usize) {
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        self.added = self.added.saturating_add(OCTET.saturating_mul(octets));
    }

    /// Until when what takes `whole` must be over.
    pub(super) fn until(&mut self, now: Monotonic, whole: Duration) -> Monotonic {
        let began = *self.began.get_or_insert(now);
        began.after(whole.saturating_add(self.added))
    }
}

impl ClientSession {
    /// How long the server may be silent, and how long it may take in all.
    pub(super) fn allowed(&self) -> (Duration, Duration) {
        let timeouts = self.config.timeouts;
        let mut running = self.running.iter();
        match (&self.state, &self.bye) {
            (State::Greeting | State::StartTls, _) => (timeouts.greeting, timeouts.greeting),
            _ if running.any(|it| matches!(it.kind, Kind::Logout)) => {
                (timeouts.logout, timeouts.logout)
            }
            (_, Some(_)) => (timeouts.logout, timeouts.command),
            _ => (timeouts.silence, timeouts.command),
        }
    }

    /// Until when octets are awaited, and what becomes of their absence.
    pub(super) fn await_octets(&mut self, now: Monotonic) -> Option<Step<Question>> {
        if self.ended {
            let lost = ClientError::Lost(self.during());
            let error = self.bye.take().map_or(lost, ClientError::Bye);
            self.fail(error);
            return None;
        }
        if let Idle::On(until) = &mut self.idle {
            let until = *until.get_or_insert(now.after(self.config.timeouts.idle));
            self.pace.rest();
            if now < until {
                return Some(Step::Read { until });
            }
            self.done();
            self.deadline = None;
            return None;
        }
        let (wait, whole) = self.allowed();
        let silent = *self.deadline.get_or_insert(now.after(wait));
        let until = silent.min(self.pace.until(now, whole));
        if now < until {
            return Some(Step::Read { until });
        }
        self.fail_late();
        None
    }

    pub(super) fn fail_late(&mut self) {
        let late = ClientError::TimedOut(self.during());
        let error = self.bye.take().map_or(late, ClientError::Bye);
        self.fail(error);
    }
}

#[cfg(test)]
mod tests {
    use mailcore::wire::Machine;

    use super::*;
    use crate::client::{ClientConfig, Security};

    #[test]
    fn a_greeting_that_comes_octet_by_octet_comes_too_late() {
        let config = ClientConfig::new().security(Security::Plaintext);
        let mut session = ClientSession::new(config);
        let mut now = Monotonic::default();
        let mut heard = 0;
        while let Step::Read { .. } = session.step(now) {
            session.receive(b"*");
            now = now.after(Duration::from_secs(20));
            heard += 1;
        }
        assert_eq!(heard, 3);
        let error = session.take_error().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("the connection")));
    }

    #[test]
    fn octets_of_messages_add_to_what_a_command_may_take() {
        let (mut pace, start) = (Pace::default(), Monotonic::default());
        let whole = Duration::from_secs(60);
        assert_eq!(pace.until(start, whole), start.after(whole));
        pace.moved(30_000);
        let later = start.after(whole);
        assert_eq!(pace.until(later, whole), start.after(whole * 3 / 2));
        pace.rest();
        assert_eq!(pace.until(later, whole), later.after(whole));
    }
}
