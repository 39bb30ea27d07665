//! [`ClientSession`]: the client's side of one connection, without IO.
//!
//! It greets and secures the connection by itself. Then it sends what
//! [`ClientSession::start`] is given, several commands at once where they do
//! not disturb one another, and asks [`Question::Event`] for each thing the
//! server tells, [`Question::Content`] for octets to send, and
//! [`Question::Next`] when nothing is under way.

mod event;
mod pace;
mod responses;
mod sending;

use std::collections::VecDeque;
use std::convert::Infallible;

use mailcore::time::Monotonic;
use mailcore::wire::{Input, Machine, Step, TlsInfo};

use super::Capabilities;
use super::command::{Command, Kind};
use super::config::ClientConfig;
use super::error::ClientError;
use super::framer::{Framer, SLACK};
use super::name::NameForm;
use super::output::{Outgoing, Sending, Wait};
use super::response::fetch::Octets;
use super::response::{BodyKey, Fetched, Settings, Status};

use pace::Pace;

pub use event::{Answer, Event, Question};

/// Challenges answered in one exchange.
const MAX_CHALLENGES: u32 = 16;

/// Names a command of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(u64);

#[derive(Debug)]
enum State {
    Greeting,
    StartTls,
    Handshake,
    Ready,
    Closed,
}

/// A command whose end is awaited.
#[derive(Debug)]
struct Running {
    id: CommandId,
    name: &'static str,
    kind: Kind,
    /// Of AUTHENTICATE: challenges so far.
    challenges: u32,
    /// The end, when it came before the command was sent to its own.
    ended: Option<Status>,
}

/// A FETCH response that is being handed out.
#[derive(Debug)]
struct Held {
    fetched: Fetched,
    /// Octets that did not come as a literal.
    bodies: std::vec::IntoIter<(BodyKey, Octets)>,
}

/// Where IDLE stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Idle {
    No,
    /// The server has not said yet that it goes.
    Asked,
    /// It is to end as soon as it has begun.
    Ending,
    /// It goes on until then.
    On(Option<Monotonic>),
}

/// The client's side of a connection.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    settings: Settings,
    state: State,
    input: Input,
    ended: bool,
    framer: Framer,
    output: Outgoing,
    /// Until when the server may be silent.
    deadline: Option<Monotonic>,
    pace: Pace,
    /// Octets of the response that was read last, without those of messages.
    weight: usize,
    queue: VecDeque<(CommandId, Command)>,
    sending: Option<Sending>,
    running: Vec<Running>,
    events: VecDeque<Event>,
    held: Option<Held>,
    idle: Idle,
    last_id: u64,
    capabilities: Capabilities,
    /// False when they are from before what changes them.
    fresh: bool,
    logged_in: bool,
    tls: Option<TlsInfo>,
    bye: Option<String>,
    error: Option<ClientError>,
}

impl ClientSession {
    /// A session whose connection is made; the greeting is awaited.
    pub fn new(config: ClientConfig) -> Self {
        let limits = config.limits;
        Self {
            settings: Settings {
                limits,
                names: NameForm::default(),
            },
            state: State::Greeting,
            input: Input::with_limit(limits.response.saturating_add(SLACK)),
            config,
            ended: false,
            framer: Framer::default(),
            output: Outgoing::default(),
            deadline: None,
            pace: Pace::default(),
            weight: 0,
            queue: VecDeque::new(),
            sending: None,
            running: Vec::new(),
            events: VecDeque::new(),
            held: None,
            idle: Idle::No,
            last_id: 0,
            capabilities: Capabilities::default(),
            fresh: false,
            logged_in: false,
            tls: None,
            bye: None,
            error: None,
        }
    }

    /// A session over a connection that was TLS from its first octet.
    pub fn within_tls(config: ClientConfig, info: TlsInfo) -> Self {
        let mut session = Self::new(config);
        session.tls = Some(info);
        session
    }

    /// Sends `command` as soon as the protocol lets it.
    ///
    /// # Errors
    /// When the session is over, or the command can't be written.
    pub fn start(&mut self, command: Command) -> Result<CommandId, ClientError> {
        let command = command.checked()?;
        if matches!(self.state, State::Closed) {
            return Err(self.error.take().unwrap_or(ClientError::Closed));
        }
        self.last_id += 1;
        let id = CommandId(self.last_id);
        self.queue.push_back((id, command));
        Ok(id)
    }

    /// Ends IDLE.
    pub fn done(&mut self) {
        self.idle = match self.idle {
            Idle::On(_) => {
                self.output.put(b"DONE\r\n");
                Idle::No
            }
            Idle::Asked => Idle::Ending,
            other => other,
        };
    }

    /// What the server offers.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// In which form mailbox names travel.
    pub fn names(&self) -> NameForm {
        self.settings.names
    }

    /// The TLS in use.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_ref()
    }

    /// True once a login succeeded, or the server greeted with PREAUTH.
    pub fn is_logged_in(&self) -> bool {
        self.logged_in
    }

    /// True when the session is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Why the session is over, once.
    pub fn take_error(&mut self) -> Option<ClientError> {
        self.error.take()
    }

    /// Octets of the response that the last event came from.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// How the session behaves.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Ends the session: the runner's side of it failed.
    pub fn fail(&mut self, error: ClientError) {
        self.state = State::Closed;
        self.output.clear();
        self.queue.clear();
        self.sending = None;
        self.error.get_or_insert(error);
    }

    /// What is awaited, for messages.
    fn during(&self) -> &'static str {
        match &self.state {
            State::Greeting => "the connection",
            State::StartTls | State::Handshake => "STARTTLS",
            _ => self.running.first().map_or("nothing", |it| it.name),
        }
    }

    fn step_ready(&mut self, now: Monotonic) -> Option<Step<Question>> {
        let content = self
            .sending
            .as_ref()
            .and_then(|sending| match sending.wait {
                Wait::Content(left) if !self.ended => Some((sending.id, left)),
                _ => None,
            });
        // What the server says before the end of a message is a refusal: it is
        // heard first.
        let silent = content.is_some() && self.input.is_empty();
        if !silent && self.next_piece() {
            return None;
        }
        if let Some((id, left)) = content {
            if now >= self.pace.until(now, self.allowed().1) {
                self.fail_late();
                return None;
            }
            return Some(Step::Ask(Question::Content(id, left)));
        }
        self.begin();
        if !self.output.is_empty() {
            return None;
        }
        if self.running.is_empty() && self.queue.is_empty() && !self.ended && self.bye.is_none() {
            self.deadline = None;
            self.pace.rest();
            return Some(Step::Ask(Question::Next));
        }
        self.await_octets(now)
    }
}

impl Machine for ClientSession {
    type Question = Question;
    type Answer = Answer;
    type Notice = Infallible;

    fn input(&mut self) -> &mut Input {
        &mut self.input
    }

    fn receive(&mut self, octets: &[u8]) {
        // Whatever comes, the server is not silent.
        self.deadline = None;
        self.input.extend(octets);
    }

    fn end_of_input(&mut self) {
        self.ended = true;
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Go => {}
            Answer::Octets(octets) => {
                let Some(sending) = &mut self.sending else {
                    return;
                };
                if sending.content(&octets, &mut self.output) {
                    self.pace.moved(octets.len());
                    self.go_on();
                } else {
                    let text = "it has not the size it was said to have";
                    self.fail(ClientError::Source(std::io::Error::other(text)));
                }
            }
            Answer::Unreadable(error) => self.fail(ClientError::Source(error)),
        }
    }

    fn notify(&mut self, notice: Infallible) {
        match notice {}
    }

    fn shutdown(&mut self) {
        self.fail(ClientError::Closed);
    }

    fn tls_established(&mut self, info: TlsInfo) {
        self.input.clear();
        self.framer = Framer::default();
        self.capabilities = Capabilities::default();
        self.fresh = false;
        self.events.clear();
        self.tls = Some(info);
        self.pace.rest();
        self.state = State::Ready;
    }

    fn step(&mut self, now: Monotonic) -> Step<Question> {
        loop {
            if let Some(octets) = self.output.take() {
                self.deadline = None;
                return Step::Send(octets);
            }
            if let Some(event) = self.events.pop_front() {
                return Step::Ask(Question::Event(event));
            }
            if self.next_held() {
                continue;
            }
            let step = match &self.state {
                State::Closed => return Step::Close,
                State::Handshake => return Step::UpgradeTls,
                State::Greeting | State::StartTls => match self.next_piece() {
                    true => None,
                    false => self.await_octets(now),
                },
                State::Ready => self.step_ready(now),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }
}
