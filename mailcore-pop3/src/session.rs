//! The POP3 session: octets in, replies and questions out (RFC 1939, with RFC
//! 2449, RFC 2595, RFC 3206 and RFC 5034).
//!
//! Knows no socket, store or clock: [`Pop3`](crate::Pop3) answers its questions.

mod commands;
mod transfer;

use bytes::{Bytes, BytesMut};
use std::time::Duration;

use mailcore::address::Domain;
use mailcore::mailbox::{Uid, UidSet};
use mailcore::sasl::{Claim, Exchange};
use mailcore::time::Monotonic;
use mailcore::wire::{Input, Line, Machine, Step, TlsInfo};

use crate::command::MAX_COMMAND;
use crate::maildrop::Maildrop;
use crate::reply::Reply;
use crate::wording;
use transfer::{Listing, Transfer};

/// Input buffered ahead of the session: pipelined commands.
const INPUT_LIMIT: usize = 4 * 1024;
/// Output is handed over when it reaches this many octets.
const OUTPUT_CHUNK: usize = 32 * 1024;

/// Octets of a line of a SASL exchange: room for the longest name and password
/// in base64 (RFC 4954 section 4 asks for as much).
const MAX_SASL_LINE: usize = 12_288;
/// At most so many octets are handed over at a time.
const SEND_LIMIT: usize = 64 * 1024;

/// How a session behaves.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The name in the greeting.
    pub hostname: Domain,
    /// Where passwords may be sent in clear.
    pub plaintext_login: PlaintextLogin,
    /// Time without a command until the connection is closed. At least 10
    /// minutes (RFC 1939 section 3).
    pub idle_timeout: Duration,
    /// Commands in error, all kinds together, until the connection is closed.
    pub max_errors: u32,
    /// Failed logins until the connection is closed.
    pub max_login_failures: u32,
    /// Wait after a failed login, times the failures so far.
    pub login_failure_delay: Duration,
}

impl SessionConfig {
    /// The defaults: passwords within TLS only, 10 minutes, 20 errors, 3
    /// failures, 1 second.
    pub fn new(hostname: Domain) -> Self {
        Self {
            hostname,
            plaintext_login: PlaintextLogin::WithinTls,
            idle_timeout: Duration::from_secs(600),
            max_errors: 20,
            max_login_failures: 3,
            login_failure_delay: Duration::from_secs(1),
        }
    }
}

/// Where passwords may be sent in clear (RFC 2595 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlaintextLogin {
    /// Within TLS only.
    #[default]
    WithinTls,
    /// Anywhere: for tests and trusted networks.
    Anywhere,
}

/// How the connection stands to TLS when the session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In clear, and stays so.
    Plain,
    /// In clear; STLS is offered.
    Starttls,
    /// Within TLS already, or within the process: nobody else listens.
    Tls,
}

/// What the session asks its host.
#[derive(Debug, Clone)]
pub enum Question {
    /// Check the proof, lock the maildrop and list it.
    Login(Claim),
    /// Up to 64 kB of a message.
    Read {
        /// Which.
        uid: Uid,
        /// From this octet on.
        from: u64,
    },
    /// Remove these messages, and no others, and unlock the maildrop.
    Update {
        /// Which; may be none.
        deleted: UidSet,
    },
}

/// What the host answers, each to its question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Login`].
    Login(Result<Maildrop, LoginRefusal>),
    /// To [`Question::Read`]: octets, none at the message's end.
    Read(Result<Bytes, ReadFailure>),
    /// To [`Question::Update`].
    Update(UpdateOutcome),
}

/// Why a login failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginRefusal {
    /// Unknown user or wrong password.
    Invalid,
    /// Right password, but the account may not log in.
    Disabled,
    /// Too many failures.
    Throttled,
    /// Right password, but another session holds the maildrop.
    InUse,
    /// It could not be checked, or the maildrop not opened.
    Unavailable,
}

/// Why a message can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFailure {
    /// Expunged by another session.
    Gone,
    /// Its octets are damaged.
    Damaged,
    /// The store failed.
    Unavailable,
}

/// What became of the messages marked as deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// All are gone.
    Removed,
    /// Some may still be there.
    Incomplete,
}

/// What may happen beside the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The account was closed: end the session without removing anything.
    AccountClosed,
}

/// A POP3 server session.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    transport: Transport,
    phase: Phase,
    input: Input,
    output: BytesMut,
    /// In a line that was too long, up to its end.
    discarding: bool,
    input_ended: bool,
    shutting_down: bool,
    errors: u32,
    login_failures: u32,
    /// How long to wait before the next step: the price of a failed login.
    penalty: Option<Duration>,
    /// To be asked as soon as the output is on its way.
    question: Option<Question>,
    /// When the wait for the next command ends.
    deadline: Option<Monotonic>,
}

/// Where the session stands (RFC 1939 section 3).
#[derive(Debug)]
enum Phase {
    Greeting,
    Authorization(Authorization),
    Transaction(Maildrop, Activity),
    /// QUIT was given; the host removes and unlocks.
    Update,
    /// STLS was accepted; the handshake is next.
    StartTls,
    /// Nothing more is read.
    Closing,
}

#[derive(Debug)]
enum Authorization {
    /// No user named.
    Start,
    /// USER was given; PASS is next.
    Named(String),
    /// AUTH waits for a response.
    Exchange(Exchange),
    /// The host checks.
    Checking,
}

/// What is being sent in the TRANSACTION state.
#[derive(Debug)]
enum Activity {
    /// Nothing: the next command may come.
    Ready,
    Listing(Listing),
    Transfer(Transfer),
}

/// What [`Session::advance`] leads to.
enum Progress {
    /// Go on: state, output or question changed.
    Made,
    /// Nothing to do without more input.
    Starved,
}

impl Session {
    /// A session on a new connection.
    pub fn new(config: SessionConfig, transport: Transport) -> Self {
        Self {
            config,
            transport,
            phase: Phase::Greeting,
            input: Input::with_limit(INPUT_LIMIT),
            output: BytesMut::new(),
            discarding: false,
            input_ended: false,
            shutting_down: false,
            errors: 0,
            login_failures: 0,
            penalty: None,
            question: None,
            deadline: None,
        }
    }

    fn reply(&mut self, reply: &Reply) {
        transfer::push_line(&mut self.output, reply);
    }

    /// Replies with an error, and closes when there were too many.
    fn refuse(&mut self, reply: &Reply) {
        self.reply(reply);
        self.errors += 1;
        if self.errors >= self.config.max_errors {
            self.reply(&Reply::err(wording::TOO_MANY_ERRORS));
            self.phase = Phase::Closing;
        }
    }

    fn advance(&mut self) -> Progress {
        match &mut self.phase {
            Phase::Greeting => {
                let greeting = wording::greeting(self.config.hostname.as_str());
                self.reply(&greeting);
                self.phase = Phase::Authorization(Authorization::Start);
                Progress::Made
            }
            Phase::Transaction(maildrop, Activity::Listing(listing)) => {
                if listing.write(maildrop, &mut self.output, OUTPUT_CHUNK) {
                    self.ready();
                }
                Progress::Made
            }
            Phase::Transaction(_, Activity::Transfer(transfer)) => {
                self.question = Some(transfer.question());
                Progress::Made
            }
            Phase::Authorization(Authorization::Checking)
            | Phase::Update
            | Phase::StartTls
            | Phase::Closing => Progress::Starved,
            Phase::Authorization(Authorization::Exchange(_)) => self.next_line(MAX_SASL_LINE),
            _ => self.next_line(MAX_COMMAND),
        }
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
        self.deadline = None;
        match line {
            Ok(line) => self.line(&line),
            Err(text) => {
                self.abandon_login();
                self.refuse(&Reply::err(text));
            }
        }
        Progress::Made
    }

    /// A line that can't be read is no response, nor a password.
    fn abandon_login(&mut self) {
        if matches!(self.phase, Phase::Authorization(_)) {
            self.authorization(Authorization::Start);
        }
    }

    fn authorization(&mut self, state: Authorization) {
        self.input.set_limit(match state {
            Authorization::Exchange(_) => MAX_SASL_LINE + 2,
            _ => INPUT_LIMIT,
        });
        self.phase = Phase::Authorization(state);
    }

    /// The reply in hand is complete: the next command may come.
    fn ready(&mut self) {
        self.deadline = None;
        if let Phase::Transaction(_, activity) = &mut self.phase {
            *activity = Activity::Ready;
        }
    }

    fn login_answered(&mut self, answer: Result<Maildrop, LoginRefusal>) {
        match answer {
            Ok(maildrop) => {
                self.reply(&wording::opened(&maildrop));
                self.login_failures = 0;
                self.phase = Phase::Transaction(maildrop, Activity::Ready);
            }
            Err(refusal) => self.login_failed(refusal),
        }
    }

    fn login_failed(&mut self, refusal: LoginRefusal) {
        self.authorization(Authorization::Start);
        self.reply(&wording::refused(refusal));
        if matches!(refusal, LoginRefusal::InUse | LoginRefusal::Unavailable) {
            return;
        }
        self.login_failures += 1;
        self.penalty = Some(
            self.config
                .login_failure_delay
                .saturating_mul(self.login_failures),
        );
        if self.login_failures >= self.config.max_login_failures {
            self.phase = Phase::Closing;
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
        if self.shutting_down {
            self.phase = Phase::Closing;
            self.reply(&wording::going_down());
            return Step::Send(self.take_output());
        }
        let until = *self
            .deadline
            .get_or_insert_with(|| now.after(self.config.idle_timeout));
        // RFC 1939 section 3: no reply, and nothing is removed.
        if now >= until {
            return Step::Close;
        }
        Step::Read { until }
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
            Answer::Login(answer) => self.login_answered(answer),
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
            Notice::AccountClosed => self.shutting_down = true,
        }
    }

    fn shutdown(&mut self) {
        self.shutting_down = true;
    }

    fn tls_established(&mut self, _info: TlsInfo) {
        self.input.clear();
        self.discarding = false;
        self.transport = Transport::Tls;
        self.deadline = None;
        self.authorization(Authorization::Start);
    }

    fn step(&mut self, now: Monotonic) -> Step<Question> {
        loop {
            if let Some(delay) = self.penalty.take() {
                return Step::Wait {
                    until: now.after(delay),
                };
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
                Some(question) => Step::Ask(question),
                None => self.starved(now),
            };
        }
    }
}
