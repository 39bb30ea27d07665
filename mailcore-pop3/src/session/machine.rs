//! The session as a [`Machine`]: which line is read when, what goes out before
//! what, and how long is waited.

use bytes::Bytes;
use mailcore::time::Monotonic;
use mailcore::wire::{Input, Line, Machine, Step, Tally, TlsInfo};

use super::{
    Activity, Answer, Authorization, MAX_SASL_LINE, Notice, Phase, Question, Session, Transport,
    UpdateOutcome, Utf8Mode,
};
use crate::arguments::MAX_COMMAND;
use crate::reply::Reply;
use crate::wording;

/// Output is handed over when it reaches this many octets.
const OUTPUT_CHUNK: usize = 32 * 1024;
/// At most so many octets are handed over at a time.
const SEND_LIMIT: usize = 64 * 1024;

/// The command that may bring an initial response.
const AUTH: &[u8] = b"AUTH ";

/// What [`Session::advance`] leads to.
enum Progress {
    /// Go on: state, output or question changed.
    Made,
    /// Nothing to do without more input.
    Starved,
}

impl Session {
    fn advance(&mut self) -> Progress {
        match &mut self.phase {
            Phase::Greeting => {
                #[cfg(feature = "sasl")]
                let timestamp = self.apop.as_ref().map(mailcore::sasl::Apop::timestamp);
                #[cfg(not(feature = "sasl"))]
                let timestamp = None;
                let greeting = wording::greeting(self.config.hostname.as_str(), timestamp);
                self.reply(&greeting);
                self.phase = Phase::Authorization(Authorization::Start);
                Progress::Made
            }
            Phase::Transaction(open) => match &mut open.activity {
                Activity::Ready => self.next_line(MAX_COMMAND),
                Activity::Listing(listing) => {
                    if listing.write(&open.maildrop, &mut self.output, OUTPUT_CHUNK) {
                        self.ready();
                    }
                    Progress::Made
                }
                Activity::Transfer(transfer) => {
                    self.question = Some(transfer.question());
                    Progress::Made
                }
            },
            Phase::Authorization(Authorization::Checking(_) | Authorization::Opening)
            | Phase::Update
            | Phase::StartTls
            | Phase::Closing => Progress::Starved,
            Phase::Authorization(Authorization::Exchange(_)) => self.next_line(MAX_SASL_LINE),
            Phase::Authorization(_) => {
                let max = self.longest_command();
                self.next_line(max)
            }
        }
    }

    /// Octets that the command which begins may have before someone has logged
    /// in. RFC 5034 section 4 wants a client to hold back an initial response
    /// that does not fit in 255; mpop sends a whole access token with AUTH.
    fn longest_command(&mut self) -> usize {
        let start = self.input.as_slice().get(..AUTH.len());
        if !start.is_some_and(|it| it.eq_ignore_ascii_case(AUTH)) {
            return MAX_COMMAND;
        }
        self.input.set_limit(MAX_SASL_LINE + 2);
        MAX_SASL_LINE
    }

    fn next_line(&mut self, max: usize) -> Progress {
        if self.discarding {
            if !self.input.discard_line() {
                return Progress::Starved;
            }
            self.discarding = false;
        }
        let line = match self.input.line(max) {
            Line::Incomplete => return Progress::Starved,
            Line::Complete(line) => Ok(line),
            Line::BareLf(_) => Err(wording::BARE_LF),
            Line::TooLong => {
                self.discarding = true;
                Err(wording::LINE_TOO_LONG)
            }
        };
        (self.deadline, self.asked) = (None, None);
        self.commands += 1;
        match line {
            Ok(line) => self.line(&line),
            Err(text) => {
                self.abandon_login();
                self.refuse(&Reply::err(text));
            }
        }
        Progress::Made
    }

    /// The reply in hand is complete: the next command may come.
    pub(super) fn ready(&mut self) {
        self.deadline = None;
        if let Phase::Transaction(open) = &mut self.phase {
            open.activity = Activity::Ready;
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
            self.phase = Phase::Closing;
            self.reply(&last_word);
            return Step::Send(self.take_output());
        }
        let until = self.until(now);
        // RFC 1939 section 3: no reply, and nothing is removed.
        if now >= until {
            return Step::Close;
        }
        Step::Read { until }
    }

    /// When the connection is given up.
    fn until(&mut self, now: Monotonic) -> Monotonic {
        let config = &self.config;
        let idle = *self
            .deadline
            .get_or_insert_with(|| now.after(config.idle_timeout));
        if !matches!(self.phase, Phase::Authorization(_)) {
            return idle;
        }
        let login = *self
            .login_deadline
            .get_or_insert_with(|| now.after(config.login_timeout));
        idle.min(login)
    }
}

impl Machine for Session {
    type Question = Question;
    type Answer = Answer;
    type Notice = Notice;

    fn input(&mut self) -> &mut Input {
        &mut self.input
    }

    fn end_of_input(&mut self) {
        self.input_ended = true;
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Found(found) => self.found(found),
            Answer::Opened(opened) => self.opened(opened),
            Answer::Read(answer) => self.read_answered(answer),
            Answer::Update(outcome) => {
                let reply = match outcome {
                    UpdateOutcome::Removed => wording::goodbye(self.config.hostname.as_str()),
                    UpdateOutcome::Incomplete => wording::not_removed(),
                };
                self.reply(&reply);
                self.phase = Phase::Closing;
            }
        }
    }

    fn notify(&mut self, notice: Notice) {
        match notice {
            Notice::AccountClosed => self.leaving = Some(wording::account_closed()),
        }
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
        self.discarding = false;
        self.transport = Transport::Tls;
        self.tls = Some(info);
        self.utf8 = Utf8Mode::Off;
        self.deadline = None;
        self.authorization(Authorization::Start);
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
