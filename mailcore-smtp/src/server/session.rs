//! The SMTP server session as a [`Machine`]: reading lines, dispatching
//! commands, keeping limits.
//!
//! What the commands do is in `connection.rs` (greeting, EHLO, STARTTLS),
//! `auth.rs` (AUTH), `transaction.rs` (MAIL to the end of the data) and
//! `chunking.rs` (BDAT). No socket, clock or seam is known here.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use mailcore::sasl::Offer;
use mailcore::seams::{FilterSession, ProofKind};
use mailcore::status::Status;
use mailcore::time::{Monotonic, Timestamp};
use mailcore::transcript::Transcript;
use mailcore::wire::{Input, Line, Machine, Step, Tally, TlsInfo};

use super::config::{Doors, SmtpConfig};
use super::question::{Answer, Question};
use super::state::{AfterLongLine, Counters, Pending, Phase, State};
use super::table::{self, Rule};
use super::wording;
use crate::command::{Command, CommandError, Verb};
use crate::reply::Reply;

/// Octets of input that may wait while commands are read: an AUTH line at its
/// longest, or many pipelined commands.
const COMMAND_INPUT: usize = 16 * 1_024;
/// Octets of a message in one question.
pub(super) const CHUNK: usize = 64 * 1_024;
/// Pending replies are sent once they have so many octets.
const OUTPUT_FLUSH: usize = 4 * 1_024;

/// One SMTP connection, server side.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Arc<SmtpConfig>,
    pub(super) facts: Arc<FilterSession>,
    /// The verb of the greeting, once there was one.
    pub(super) greeted: Option<Verb>,
    pub(super) input: Input,
    output: Vec<u8>,
    /// Replies go out before anything else is done.
    flush: bool,
    pub(super) state: State,
    pub(super) counters: Counters,
    /// When the peer must have sent what is awaited.
    deadline: Option<Monotonic>,
    /// Octets of a message since the deadline was last set.
    progress: u64,
    fate: Fate,
    /// The peer at the other end of the connection, whomever it speaks for.
    pub(super) proxy: Option<SocketAddr>,
    /// The name that a proxy's client gave, which stands for the proxy's own.
    pub(super) told_helo: Option<String>,
    /// A greeting was said before: a proxy need not wait for another.
    pub(super) welcomed_before: bool,
    /// What time it was, and when: for parameters that name a moment.
    times: Option<(Timestamp, Monotonic)>,
    /// When the last step was taken.
    pub(super) now: Monotonic,
    /// What is said, where it is kept.
    pub(super) transcript: Option<Transcript>,
    /// The mechanisms that users log in by.
    pub(super) offer: Offer,
}

#[derive(Debug)]
enum Fate {
    Open,
    /// The peer sends no more.
    PeerGone,
    /// The server ends the session at the next moment between two commands.
    Ending(Reply),
}

/// News from outside the session.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The session is to end, for this reason: a ban, a closed account.
    Disconnect(Status),
}

/// Whether the session goes on by itself or hands a step to its driver.
pub(super) enum Flow {
    Again,
    Out(Step<Question>),
}

impl Session {
    /// A session with the peer that `facts` names. For TLS from the first
    /// octet call [`Machine::tls_established`] before the first step.
    pub fn new(config: Arc<SmtpConfig>, facts: FilterSession) -> Self {
        Self {
            proxy: facts.peer,
            told_helo: None,
            welcomed_before: false,
            times: None,
            now: Monotonic::default(),
            transcript: None,
            offer: Offer::for_proofs(&[ProofKind::Password]),
            config,
            facts: Arc::new(facts),
            greeted: None,
            input: Input::with_limit(COMMAND_INPUT),
            output: Vec::new(),
            flush: false,
            state: State::Connected,
            counters: Counters::default(),
            deadline: None,
            progress: 0,
            fate: Fate::Open,
        }
    }

    /// Tells what time it is `at` a moment of the session's own clock. Without
    /// it nothing that needs the time is offered.
    pub fn set_time(&mut self, time: Timestamp, at: Monotonic) {
        self.times = Some((time, at));
    }

    /// The mechanisms that are offered, in place of those that a password is
    /// enough for.
    pub fn offer(&mut self, offer: Offer) {
        self.offer = offer;
    }

    /// Writes down what is said, but for secrets and content.
    pub fn keep_transcript(&mut self, transcript: Transcript) {
        self.transcript = Some(transcript);
    }

    /// The time, where it is known.
    pub(super) fn time(&self) -> Option<Timestamp> {
        let (time, at) = self.times?;
        Some(time.after(self.now.since(at)))
    }

    /// What is known of the peer so far.
    pub fn facts(&self) -> &FilterSession {
        &self.facts
    }

    fn advance(&mut self, state: State, now: Monotonic) -> Flow {
        match state {
            State::Connected => {
                self.state = State::Ask(Question::Connect(self.facts.clone()), Pending::Connect)
            }
            State::Greeting { until } => return self.greet_when_quiet(until, now),
            State::Command(phase) => return self.read_command(phase, now),
            State::LongLine { dropped, then } => return self.drop_long_line(dropped, then, now),
            State::Ask(question, pending) => {
                self.state = State::Asking(pending);
                return Flow::Out(Step::Ask(question));
            }
            // The contract forbids a step here; waiting is the harmless answer.
            State::Asking(_) | State::Handshake => {
                self.state = state;
                return Flow::Out(Step::Read {
                    until: now.after(self.config.limits.idle),
                });
            }
            State::Authenticating(exchange) => return self.read_auth_response(exchange, now),
            State::Pausing { until, reply } => return self.pause(until, reply, now),
            State::Data(receiving) => return self.receive_data(receiving, now),
            State::Chunk(chunked) => return self.read_chunk(chunked, now),
            State::SkipChunk {
                left,
                replies,
                phase,
            } => return self.drop_chunk(left, replies, phase, now),
            State::StartTls => {
                self.state = State::StartTls;
                if !self.flush_output() {
                    self.state = State::Handshake;
                    return Flow::Out(Step::UpgradeTls);
                }
            }
            State::Closing => {
                self.state = State::Closing;
                if !self.flush_output() {
                    self.state = State::Closed;
                }
            }
            State::Closed => return Flow::Out(Step::Close),
        }
        Flow::Again
    }

    /// Says the greeting once the delay has passed in silence.
    fn greet_when_quiet(&mut self, until: Option<Monotonic>, now: Monotonic) -> Flow {
        let until = until.unwrap_or_else(|| now.after(self.config.greeting_delay));
        self.state = State::Greeting { until: Some(until) };
        if self.config.doors == Doors::Closed {
            self.close_with(&wording::no_mail(&self.config.hostname));
        } else if self.welcomed_before {
            self.say_now(&wording::greeting(&self.config.hostname, self.config.kind));
            self.state = State::Command(Phase::Idle);
        } else if !self.input.is_empty() {
            self.state = self.turn_away(&wording::early_talker());
        } else if now >= until {
            self.say(&wording::greeting(&self.config.hostname, self.config.kind));
            self.state = State::Command(Phase::Idle);
        } else if matches!(self.fate, Fate::PeerGone) {
            self.state = State::Closing;
        } else {
            return Flow::Out(Step::Read { until });
        }
        Flow::Again
    }

    /// Holds back the answer to a guess.
    fn pause(&mut self, until: Monotonic, reply: Reply, now: Monotonic) -> Flow {
        if now >= until {
            self.state = self.fail_auth(&reply);
            return Flow::Again;
        }
        self.state = State::Pausing { until, reply };
        if self.flush_output() {
            Flow::Again
        } else {
            Flow::Out(Step::Wait { until })
        }
    }

    fn read_command(&mut self, phase: Phase, now: Monotonic) -> Flow {
        if let Fate::Ending(reply) = &self.fate {
            let reply = reply.clone();
            self.close_with(&reply);
            return Flow::Again;
        }
        let max = self.line_limit();
        self.state = match self.input.line(max) {
            Line::Complete(line) => {
                self.deadline = None;
                self.dispatch(phase, &line)
            }
            Line::BareLf(_) => self.fail(phase, &wording::bare_lf()),
            Line::TooLong => State::LongLine {
                dropped: 0,
                then: AfterLongLine::Command(phase),
            },
            Line::Incomplete => return self.wait(State::Command(phase), now),
        };
        Flow::Again
    }

    /// AUTH may carry an initial response and is longer than the others.
    fn line_limit(&self) -> usize {
        let limits = &self.config.limits;
        match self.input.as_slice().get(..5) {
            Some(verb) if verb.eq_ignore_ascii_case(b"AUTH ") => {
                limits.auth_line.max(limits.command_line)
            }
            _ => limits.command_line,
        }
    }

    fn drop_long_line(&mut self, dropped: u64, then: AfterLongLine, now: Monotonic) -> Flow {
        let before = self.input.len();
        let ended = self.input.discard_line();
        let dropped = dropped.saturating_add(before.saturating_sub(self.input.len()) as u64);
        if dropped > self.config.limits.discard {
            self.close_with(&wording::too_much_discarded());
            return Flow::Again;
        }
        if !ended {
            return self.wait(State::LongLine { dropped, then }, now);
        }
        self.deadline = None;
        self.state = match then {
            AfterLongLine::Command(phase) => self.fail(phase, &wording::line_too_long()),
            AfterLongLine::AuthFailed => self.fail(Phase::Idle, &wording::auth_line_too_long()),
        };
        Flow::Again
    }

    /// Waits in `state` for octets, after all replies are out.
    pub(super) fn wait(&mut self, state: State, now: Monotonic) -> Flow {
        self.state = state;
        if self.flush_output() {
            return Flow::Again;
        }
        match &self.fate {
            Fate::PeerGone => {
                self.state = State::Closing;
                return Flow::Again;
            }
            // A message on its way is finished first.
            Fate::Ending(reply) if !matches!(self.state, State::Data(_) | State::Chunk(_)) => {
                let reply = reply.clone();
                self.close_with(&reply);
                return Flow::Again;
            }
            Fate::Ending(_) | Fate::Open => {}
        }
        let until = *self
            .deadline
            .get_or_insert_with(|| now.after(self.config.limits.idle));
        if now >= until {
            let reply = wording::timed_out(&self.config.hostname);
            self.close_with(&reply);
            return Flow::Again;
        }
        Flow::Out(Step::Read { until })
    }

    fn dispatch(&mut self, phase: Phase, line: &[u8]) -> State {
        self.counters.commands += 1;
        let parsed = Command::parse(line);
        self.note_line(&phase, line, parsed.as_ref());
        let command = match parsed {
            Ok(command) => command,
            Err(CommandError::Http) => {
                self.close_with(&wording::not_smtp());
                return State::Closing;
            }
            Err(error) => return self.misread(phase, line, &error),
        };
        let verb = command.verb();
        let rule = table::rule(verb, phase.stage(self.greeted), self.config.kind);
        let refusal = wording::rule(rule, self.config.kind).or_else(|| self.policy(verb));
        if let Some(refusal) = refusal {
            // After a refused DATA a client that did not wait would have its
            // message taken for commands (RFC 2920 section 3.1).
            if verb == Verb::Data && !self.input.is_empty() {
                self.say(&refusal);
                return self.turn_away(&wording::pipelined_past(verb));
            }
            if let Command::Bdat { size, .. } = command {
                return self.skip_chunk(size, vec![refusal], phase);
            }
            return self.fail(phase, &refusal);
        }
        if self.idles_too_long(verb) {
            return self.turn_away(&wording::too_many_idle_commands());
        }
        self.run(phase, command)
    }

    /// A line that is no command. After a BDAT that can't be read nothing can be
    /// told from the chunk, so that the session ends.
    fn misread(&mut self, phase: Phase, line: &[u8], error: &CommandError) -> State {
        let reply = wording::command_error(error);
        let is_bdat = line
            .get(..4)
            .is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"));
        if is_bdat && *error != CommandError::UnknownVerb {
            self.close_with(&reply);
            return State::Closing;
        }
        self.fail(phase, &reply)
    }

    /// Counts commands that lead to no message; one that is accepted sets the
    /// count back.
    fn idles_too_long(&mut self, verb: Verb) -> bool {
        if !matches!(verb, Verb::Rcpt | Verb::Data | Verb::Bdat | Verb::Quit) {
            self.counters.idle_commands += 1;
        }
        self.counters.idle_commands > self.config.limits.idle_commands
    }

    fn run(&mut self, phase: Phase, command: Command) -> State {
        match (command, phase) {
            (Command::Helo(name), _) => self.greet(Verb::Helo, name),
            (Command::Ehlo(name), _) => self.greet(Verb::Ehlo, name),
            (Command::Lhlo(name), _) => self.greet(Verb::Lhlo, name),
            (Command::StartTls, _) => self.start_tls(),
            (Command::Auth(auth), _) => self.begin_auth(&auth),
            (Command::Mail(mail), _) => self.mail(mail),
            (Command::Rcpt(rcpt), Phase::Transaction(transaction)) => self.rcpt(transaction, rcpt),
            (Command::Data, Phase::Transaction(transaction)) => self.data(transaction),
            (Command::Bdat { size, last }, phase) => self.begin_chunk(phase, size, last),
            (Command::Rset, Phase::Transaction(_) | Phase::Chunks(_)) => {
                self.abort(None, vec![wording::reset()], State::Command(Phase::Idle))
            }
            (Command::Rset, Phase::Idle) => self.reply(Phase::Idle, &wording::reset()),
            (Command::Noop, phase) => self.reply_now(phase, &wording::noop()),
            (Command::Help(topic), phase) => self.help(phase, topic.as_deref()),
            (Command::Vrfy(text), phase) => self.vrfy(phase, text),
            (Command::Expn(text), phase) => self.expn(phase, text),
            (Command::Etrn(node), _) => self.etrn(node),
            (Command::Xclient(asked), _) => self.xclient(asked),
            (Command::Quit, _) => {
                let reply = wording::closing(&self.config.hostname);
                self.close_with(&reply);
                State::Closing
            }
            // The table lets none of these come here.
            (_, phase) => match wording::rule(Rule::NotImplemented, self.config.kind) {
                Some(reply) => self.fail(phase, &reply),
                None => State::Command(phase),
            },
        }
    }

    /// Adds a reply to those that wait.
    pub(super) fn say(&mut self, reply: &Reply) {
        self.note_reply(reply);
        reply.encode(&mut self.output);
        self.flush |= self.output.len() >= OUTPUT_FLUSH;
    }

    /// Adds a reply that may not be held back.
    pub(super) fn say_now(&mut self, reply: &Reply) {
        self.say(reply);
        self.flush = true;
    }

    /// Replies and awaits the next command.
    pub(super) fn reply(&mut self, phase: Phase, reply: &Reply) -> State {
        self.say(reply);
        State::Command(phase)
    }

    /// The same for replies that may not be held back (RFC 2920 section 3.2).
    pub(super) fn reply_now(&mut self, phase: Phase, reply: &Reply) -> State {
        self.say_now(reply);
        State::Command(phase)
    }

    /// Replies with an error, which is counted; the last one allowed is a 421.
    pub(super) fn fail(&mut self, phase: Phase, reply: &Reply) -> State {
        self.fail_with(phase, std::slice::from_ref(reply))
    }

    /// The same with a reply for each recipient.
    pub(super) fn fail_with(&mut self, phase: Phase, replies: &[Reply]) -> State {
        self.deadline = None;
        self.counters.errors += 1;
        if self.counters.errors >= self.config.limits.errors {
            return self.turn_away(&wording::too_many_errors());
        }
        replies.iter().for_each(|reply| self.say_now(reply));
        State::Command(phase)
    }

    /// Says `reply` and closes.
    pub(super) fn close_with(&mut self, reply: &Reply) {
        self.say(reply);
        self.state = State::Closing;
    }

    /// As [`Self::close_with`], and the log is told of it.
    pub(super) fn turn_away(&mut self, reply: &Reply) -> State {
        self.say(reply);
        self.abort(Some(reply.to_status()), Vec::new(), State::Closing)
    }

    /// Drops the transaction on the host's side, then replies. With a status
    /// the message was refused for what came of it.
    pub(super) fn abort(
        &mut self,
        refused: Option<Status>,
        replies: Vec<Reply>,
        then: State,
    ) -> State {
        State::Ask(
            Question::Abort(refused),
            Pending::Abort {
                replies,
                then: Box::new(then),
            },
        )
    }

    /// What was awaited came: the peer has its whole time again.
    pub(super) fn extend_deadline(&mut self) {
        self.deadline = None;
        self.progress = 0;
    }

    /// Part of a message came. Only a fair amount extends the peer's time, so
    /// that none holds the session with an octet now and then.
    pub(super) fn progress(&mut self, octets: u64) {
        self.progress = self.progress.saturating_add(octets);
        if self.progress >= CHUNK as u64 {
            self.extend_deadline();
        }
    }

    /// True when there is something to send first.
    fn flush_output(&mut self) -> bool {
        self.flush = !self.output.is_empty();
        self.flush
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
        self.fate = Fate::PeerGone;
    }

    fn answer(&mut self, answer: Answer) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Asking(pending) => self.state = self.resolve(pending, answer),
            other => self.state = other,
        }
    }

    fn notify(&mut self, notice: Notice) {
        if let Fate::Open = self.fate {
            let Notice::Disconnect(status) = notice;
            self.fate = Fate::Ending(wording::disconnect(&status));
        }
    }

    fn shutdown(&mut self) {
        if let Fate::Open = self.fate {
            self.fate = Fate::Ending(wording::shutting_down(&self.config.hostname));
        }
    }

    fn dismiss(&mut self) {
        if let Fate::Open = self.fate {
            self.fate = Fate::Ending(wording::too_much());
        }
    }

    fn tally(&self) -> Tally {
        let Counters {
            commands, errors, ..
        } = self.counters;
        Tally::new(commands, u64::from(errors))
    }

    fn tls_established(&mut self, info: TlsInfo) {
        self.input.clear();
        self.output.clear();
        self.deadline = None;
        self.forget_plaintext(info);
        if let State::Handshake = self.state {
            self.state = State::Command(Phase::Idle);
        }
    }

    fn step(&mut self, now: Monotonic) -> Step<Question> {
        self.now = now;
        loop {
            if self.flush && !self.output.is_empty() {
                return Step::Send(Bytes::from(std::mem::take(&mut self.output)));
            }
            self.flush = false;
            let state = std::mem::replace(&mut self.state, State::Closed);
            let limit = match state {
                State::Data(_) | State::Chunk(_) | State::SkipChunk { .. } => CHUNK + 16,
                _ => COMMAND_INPUT,
            };
            self.input.set_limit(limit);
            if let Flow::Out(step) = self.advance(state, now) {
                return step;
            }
        }
    }
}
