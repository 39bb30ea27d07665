//! The session as a [`Machine`]: what is read when, what goes out before what,
//! and how long is waited.

use bytes::Bytes;
use mailcore::time::Monotonic;
use mailcore::wire::{Input, Machine, Step, Tally, TlsInfo};

use super::{Answer, Login, Phase, Question, Session, Transport};
use crate::managesieve::incoming::{Incoming, Read};
use crate::managesieve::response::Response;
use crate::managesieve::wording;

/// Output is handed over when it reaches this many octets.
const OUTPUT_CHUNK: usize = 32 * 1024;
/// At most so many octets are handed over at a time.
const SEND_LIMIT: usize = 64 * 1024;

/// What [`Session::advance`] leads to.
enum Progress {
    /// Go on: state, output or question changed.
    Made,
    /// Nothing to do without more input.
    Starved,
}

impl Session {
    fn advance(&mut self) -> Progress {
        match &self.phase {
            Phase::Greeting => {
                self.greet();
                Progress::Made
            }
            Phase::NotAuthenticated(Login::Checking(_)) | Phase::StartTls | Phase::Closing => {
                Progress::Starved
            }
            Phase::NotAuthenticated(_) | Phase::Authenticated(_) => self.next_command(),
        }
    }

    fn next_command(&mut self) -> Progress {
        let room = self.room();
        let read = match self.incoming.read(&mut self.input, room) {
            Read::Starved => return Progress::Starved,
            read => read,
        };
        (self.deadline, self.asked) = (None, None);
        self.commands += 1;
        match read {
            Read::Starved => {}
            Read::Command(items) => self.command(items),
            Read::Wrong(fault) => {
                self.abandon_login();
                self.refuse(&Response::no(fault.to_string()));
            }
            Read::Lost(fault) => {
                self.errors += 1;
                self.leave(&Response::bye(fault.to_string()));
            }
        }
        Progress::Made
    }

    /// A line that can't be read is no response.
    fn abandon_login(&mut self) {
        if let Phase::NotAuthenticated(login) = &mut self.phase {
            *login = Login::None;
        }
    }

    fn take_output(&mut self) -> Bytes {
        if self.output.len() <= SEND_LIMIT {
            return std::mem::take(&mut self.output).freeze();
        }
        self.output.split_to(SEND_LIMIT).freeze()
    }

    /// What is left to do when nothing can go on.
    fn starved(&mut self, now: Monotonic) -> Step<Question> {
        if matches!(self.phase, Phase::Closing) || self.input_ended {
            return Step::Close;
        }
        if matches!(self.phase, Phase::StartTls) {
            return Step::UpgradeTls;
        }
        if let Some(last_word) = self.leaving.take() {
            self.leave(&last_word);
            return Step::Send(self.take_output());
        }
        let until = self.until(now);
        if now >= until {
            self.leave(&wording::idle());
            return Step::Send(self.take_output());
        }
        Step::Read { until }
    }

    /// When the connection is given up.
    fn until(&mut self, now: Monotonic) -> Monotonic {
        let config = &self.config;
        match self.phase {
            Phase::Authenticated(_) => *self
                .deadline
                .get_or_insert_with(|| now.after(config.idle_timeout)),
            _ => *self
                .login_deadline
                .get_or_insert_with(|| now.after(config.login_timeout)),
        }
    }
}

impl Machine for Session {
    type Question = Question;
    type Answer = Answer;
    type Notice = std::convert::Infallible;

    fn input(&mut self) -> &mut Input {
        &mut self.input
    }

    fn end_of_input(&mut self) {
        self.input_ended = true;
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Found(found) => self.found(found),
            Answer::Scripts(answer) => self.scripts_answered(answer),
        }
    }

    fn notify(&mut self, notice: Self::Notice) {
        match notice {}
    }

    fn shutdown(&mut self) {
        self.leaving.get_or_insert_with(wording::going_down);
    }

    fn dismiss(&mut self) {
        self.leaving = Some(wording::too_much());
    }

    fn tally(&self) -> Tally {
        Tally::new(self.commands, u64::from(self.errors))
    }

    fn tls_established(&mut self, info: TlsInfo) {
        self.input.clear();
        self.incoming = Incoming::default();
        self.transport = Transport::Tls;
        self.tls = Some(info);
        // RFC 5804 section 2.2: the capabilities are told again.
        self.phase = Phase::Greeting;
    }

    fn step(&mut self, now: Monotonic) -> Step<Question> {
        loop {
            if let Some(delay) = self.penalty.take() {
                let until = self.asked.unwrap_or(now).after(delay);
                return Step::Wait { until };
            }
            if self.output.len() >= OUTPUT_CHUNK {
                return Step::Send(self.take_output());
            }
            if self.question.is_none() && matches!(self.advance(), Progress::Made) {
                continue;
            }
            // What is ready goes out before anything that takes time.
            if !self.output.is_empty() {
                return Step::Send(self.take_output());
            }
            return match self.question.take() {
                Some(question) => {
                    self.asked = Some(now);
                    Step::Ask(question)
                }
                None => self.starved(now),
            };
        }
    }
}
