//! [`Session`]: the client's side of one connection, without IO.
//!
//! It asks [`Question::Next`] whenever it is ready for a transaction, and
//! [`Question::Content`] for each piece of the message. What a transaction came to
//! is in [`Session::take_result`] when it asks or closes next; why it closed,
//! in [`Session::error`].

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use mailcore::time::Monotonic;
use mailcore::transcript::Transcript;
use mailcore::wire::{Input, Machine, Step, TlsInfo};

use super::config::{Protocol, SessionConfig, TlsPolicy};
use super::error::{SessionError, TlsFault};
use super::login::Login;
use super::output::Output;
use super::running::{Piece, Progress, Purpose, Running};
use super::transaction::{Transaction, TransactionResult};
use crate::command::Command;
use crate::extension::{Extension, Extensions};
use crate::reply::{Reply, ReplyCode, ReplyParser};

/// Octets of replies that wait to be read.
const MAX_INPUT: usize = 64 * 1024;

/// What only the host can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The session is ready: what now?
    Next,
    /// The next octets of the message, about
    /// [`READ_CHUNK`](mailcore::message::READ_CHUNK) of them.
    Content,
}

/// The host's answer.
#[derive(Debug)]
pub enum Answer {
    /// Send this.
    Transaction(Box<Transaction>),
    /// Ask for this one's recipients, and send no content: MAIL, RCPT, RSET.
    Check(Box<Transaction>),
    /// Say goodbye.
    Quit,
    /// The next octets of the message; more come.
    Octets(Bytes),
    /// The last octets of the message, or none when it is over already.
    LastOctets(Bytes),
    /// The message cannot be read.
    Unreadable,
}

/// What is awaited.
#[derive(Debug)]
pub(super) enum State {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Handshake,
    Auth(Login),
    Ready,
    Running(Box<Running>),
    Quit,
    Closed,
}

/// The client's side of a connection.
#[derive(Debug)]
pub struct Session {
    pub(super) config: SessionConfig,
    pub(super) state: State,
    input: Input,
    ended: bool,
    going_down: bool,
    parser: ReplyParser,
    pub(super) output: Output,
    deadline: Option<Monotonic>,
    pub(super) extensions: Extensions,
    pub(super) tls: Option<TlsInfo>,
    result: Option<TransactionResult>,
    error: Option<SessionError>,
}

impl Session {
    /// A session whose connection is made; the greeting is awaited.
    pub fn new(config: SessionConfig) -> Self {
        let mut output = Output::default();
        if let Some(transcript) = &config.transcript {
            output.record(transcript.clone());
        }
        Self {
            config,
            state: State::Greeting,
            input: Input::with_limit(MAX_INPUT),
            ended: false,
            going_down: false,
            parser: ReplyParser::default(),
            output,
            deadline: None,
            extensions: Extensions::default(),
            tls: None,
            result: None,
            error: None,
        }
    }

    /// A session over a connection that was TLS from its first octet.
    pub fn within_tls(config: SessionConfig, info: TlsInfo) -> Self {
        let mut session = Self::new(config);
        session.output.secured(&info);
        session.tls = Some(info);
        session
    }

    /// Writes what is said from here on into `transcript`.
    pub fn record(&mut self, transcript: Transcript) {
        self.output.record(transcript);
    }

    /// What became of the last transaction, once.
    pub fn take_result(&mut self) -> Option<TransactionResult> {
        self.result.take()
    }

    /// Why the session closed, when it was not told to.
    pub fn error(&self) -> Option<&SessionError> {
        self.error.as_ref()
    }

    /// What the peer offers.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The TLS in use.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_ref()
    }

    /// How long the runner may take to write what one step sends.
    pub fn write_timeout(&self) -> Duration {
        self.config.timeouts.block
    }

    /// How long the runner may take for the handshake.
    pub fn handshake_timeout(&self) -> Duration {
        self.config.timeouts.handshake
    }

    /// Ends the session: the runner's side of it failed.
    pub fn fail(&mut self, error: SessionError) {
        if let State::Running(running) = std::mem::replace(&mut self.state, State::Closed) {
            self.result = Some(running.broken(&error));
        }
        self.output.octets.clear();
        self.error.get_or_insert(error);
    }

    pub(super) fn send(&mut self, command: &Command) {
        self.output.command(command);
    }

    fn receive_reply(&mut self) -> Result<Option<Reply>, SessionError> {
        let mut rest = self.input.as_slice();
        let before = rest.len();
        let reply = self.parser.receive(&mut rest);
        let used = before - rest.len();
        self.input.take(used);
        let reply = reply?;
        reply.iter().for_each(|reply| self.output.heard(reply));
        Ok(reply)
    }

    fn on_reply(&mut self, reply: Reply) {
        if reply.code() == ReplyCode::UNAVAILABLE && !matches!(self.state, State::Quit) {
            // 421 may come in answer to anything; the peer closes (RFC 5321
            // section 3.8).
            let during = self.during();
            return self.fail(SessionError::Refused { during, reply });
        }
        let old = self.may_say_helo(&reply);
        match &mut self.state {
            State::Greeting if reply.is_completed() => self.greet(),
            State::Ehlo if reply.is_completed() => {
                self.extensions = Extensions::parse(&reply);
                self.after_ehlo();
            }
            State::Ehlo if old => {
                self.send(&Command::Helo(self.config.hostname.clone()));
                self.state = State::Helo;
            }
            State::Helo if reply.is_completed() => self.after_ehlo(),
            State::StartTls => self.on_starttls(reply),
            State::Auth(login) => {
                let step = login.on_reply(&reply);
                self.after_login(step, reply);
            }
            State::Running(running) => {
                let progress = running.on_reply(reply, &mut self.output);
                self.after(progress);
            }
            State::Quit => self.state = State::Closed,
            _ => {
                let during = self.during();
                self.fail(SessionError::Refused { during, reply });
            }
        }
    }

    /// A host from before RFC 1869; LMTP is none (RFC 2033 section 4.1).
    fn may_say_helo(&self, reply: &Reply) -> bool {
        let old = reply.code().number() >= 500 && self.config.protocol == Protocol::Smtp;
        old && self.tls.is_none()
    }

    fn greet(&mut self) {
        let name = self.config.hostname.clone();
        self.send(&match self.config.protocol {
            Protocol::Smtp => Command::Ehlo(name),
            Protocol::Lmtp => Command::Lhlo(name),
        });
        self.state = State::Ehlo;
    }

    fn after_ehlo(&mut self) {
        let offered = self.extensions.offers(&Extension::StartTls);
        match self.config.tls {
            _ if self.tls.is_some() => self.authenticate(),
            TlsPolicy::Never => self.authenticate(),
            _ if offered => {
                self.send(&Command::StartTls);
                self.state = State::StartTls;
            }
            TlsPolicy::Opportunistic => self.authenticate(),
            _ => self.fail(SessionError::TlsNotOffered),
        }
    }

    fn on_starttls(&mut self, reply: Reply) {
        if reply.code() != ReplyCode::READY {
            match self.config.tls {
                TlsPolicy::Opportunistic => self.authenticate(),
                // What asks for TLS waits for it, whatever is said in clear.
                _ if reply.code().number() >= 500 => {
                    let text = format!("STARTTLS was refused: {reply}");
                    self.fail(SessionError::TlsFailed(TlsFault::handshake(text)));
                }
                _ => self.fail(SessionError::Refused {
                    during: "STARTTLS",
                    reply,
                }),
            }
        } else if !self.input.is_empty() {
            self.fail(SessionError::Injected);
        } else {
            self.state = State::Handshake;
        }
    }

    fn start(&mut self, transaction: Transaction, purpose: Purpose) {
        if !self.input.is_empty() || !self.parser.is_idle() {
            // Replies would no longer stand for the commands they answer.
            let error = SessionError::NotSmtp("a reply came that answers nothing".to_owned());
            self.result = Some(transaction.all_unsent(&error.failure().status));
            return self.fail(error);
        }
        let verified = self.tls.is_some() && self.config.tls.is_verified();
        if let Some(refusal) = transaction.unfit(&self.extensions, verified) {
            self.result = Some(transaction.all_unsent(&refusal));
            self.state = State::Ready;
            return;
        }
        let running = Running::start(
            transaction,
            purpose,
            &self.config,
            &self.extensions,
            &mut self.output,
        );
        self.state = State::Running(Box::new(running));
    }

    fn after(&mut self, progress: Progress) {
        match progress {
            Progress::Going => {}
            Progress::Done => {
                if let State::Running(running) = std::mem::replace(&mut self.state, State::Ready) {
                    self.result = Some(running.into_result());
                }
            }
            Progress::Broken(error) => self.fail(error),
        }
    }

    /// What the awaited reply answers.
    fn during(&self) -> &'static str {
        match &self.state {
            State::Greeting => "the connection",
            State::Ehlo => "EHLO",
            State::Helo => "HELO",
            State::StartTls | State::Handshake => "STARTTLS",
            State::Auth(_) => "AUTH",
            State::Ready => "the wait for the next message",
            State::Running(running) => running.during(),
            State::Quit | State::Closed => "QUIT",
        }
    }

    fn reply_timeout(&self) -> Duration {
        let timeouts = &self.config.timeouts;
        match &self.state {
            State::Greeting => timeouts.greeting,
            State::Running(running) => running.reply_timeout(timeouts),
            State::Quit => timeouts.quit,
            _ => timeouts.command,
        }
    }

    fn await_reply(&mut self, now: Monotonic) -> Option<Step<Question>> {
        match self.receive_reply() {
            Ok(Some(reply)) => {
                self.deadline = None;
                self.on_reply(reply);
                return None;
            }
            Err(error) => {
                self.fail(error);
                return None;
            }
            Ok(None) => {}
        }
        let wait = self.reply_timeout();
        let until = *self.deadline.get_or_insert(now.after(wait));
        if self.ended {
            self.fail(SessionError::Lost(self.during()));
        } else if now >= until {
            self.fail(SessionError::TimedOut(self.during()));
        } else {
            return Some(Step::Read { until });
        }
        None
    }
}

impl Machine for Session {
    type Question = Question;
    type Answer = Answer;
    type Notice = Infallible;

    fn input(&mut self) -> &mut Input {
        &mut self.input
    }

    fn end_of_input(&mut self) {
        self.ended = true;
    }

    fn answer(&mut self, answer: Answer) {
        match (&mut self.state, answer) {
            (State::Ready, Answer::Transaction(transaction)) => {
                self.start(*transaction, Purpose::Delivery);
            }
            (State::Ready, Answer::Check(transaction)) => {
                self.start(*transaction, Purpose::Check);
            }
            (State::Running(running), Answer::Octets(octets)) => {
                let progress = running.on_content(&octets, Piece::Middle, &mut self.output);
                self.after(progress);
            }
            (State::Running(running), Answer::LastOctets(octets)) => {
                let progress = running.on_content(&octets, Piece::Last, &mut self.output);
                self.after(progress);
            }
            (State::Running(running), _) => {
                let error = running.unreadable();
                self.fail(error);
            }
            (State::Closed, _) => {}
            _ => {
                self.send(&Command::Quit);
                self.state = State::Quit;
            }
        }
    }

    fn notify(&mut self, notice: Infallible) {
        match notice {}
    }

    fn shutdown(&mut self) {
        self.going_down = true;
    }

    fn tls_established(&mut self, info: TlsInfo) {
        self.input.clear();
        self.parser = ReplyParser::default();
        self.extensions = Extensions::default();
        self.output.secured(&info);
        self.tls = Some(info);
        self.greet();
    }

    fn step(&mut self, now: Monotonic) -> Step<Question> {
        loop {
            if !self.output.octets.is_empty() {
                self.deadline = None;
                return Step::Send(std::mem::take(&mut self.output.octets).into());
            }
            match &self.state {
                State::Closed => return Step::Close,
                State::Handshake => return Step::UpgradeTls,
                State::Ready if self.going_down => self.answer(Answer::Quit),
                State::Ready if self.ended => self.fail(SessionError::Lost(self.during())),
                State::Ready => return Step::Ask(Question::Next),
                State::Running(running) => {
                    // A reply before the end of the data is a refusal: do not
                    // read on.
                    if running.wants_content() && self.input.is_empty() && !self.ended {
                        return Step::Ask(Question::Content);
                    }
                    if let Some(step) = self.await_reply(now) {
                        return step;
                    }
                }
                _ => {
                    if let Some(step) = self.await_reply(now) {
                        return step;
                    }
                }
            }
        }
    }
}
