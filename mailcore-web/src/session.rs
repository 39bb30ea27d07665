//! The HTTP/1.1 session: octets in, responses out (RFC 9112).
//!
//! Knows no page and no clock: [`Web`](crate::Web) answers its questions. One
//! request at a time; what a client pipelines waits in the input.

use std::time::Duration;

use bytes::Bytes;
use mailcore::time::Monotonic;
use mailcore::wire::{Input, Machine, Step, Tally, TlsInfo};

use crate::body::Body;
use crate::fields::is_token;
use crate::head::{self, Method, Persistence, Request};
use crate::response::{Content, Envelope, encode};
use crate::{Response, Status};

/// Octets handed over at a time.
const SEND_LIMIT: usize = 64 * 1024;

/// What a session may cost.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Octets of a request's head; 16 kB.
    pub max_head: usize,
    /// Octets of a request's content; 32 kB, so that with its head and what is
    /// read of the next a stranger costs 64 kB.
    pub max_body: usize,
    /// From connect, or from the last response, to a request's first octet.
    pub idle_timeout: Duration,
    /// From there to its last.
    pub request_timeout: Duration,
    /// Requests on one connection.
    pub max_requests: u32,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            max_head: 16 * 1024,
            max_body: 32 * 1024,
            idle_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            max_requests: 100,
        }
    }
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Not at all.
    Plain,
    /// Within TLS.
    Tls,
}

/// What the session asks its host: the response to a request, or to what is
/// none.
#[derive(Debug)]
pub struct Question(pub Result<Request, Status>);

/// The host's answer.
#[derive(Debug)]
pub struct Answer {
    /// What to send.
    pub response: Response,
    /// The time, in the form of RFC 9110 section 5.6.7.
    pub date: String,
}

/// Nothing happens beside a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {}

/// An HTTP server session.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    transport: Transport,
    phase: Phase,
    input: Input,
    /// Octets at the front of the input known to hold no empty line.
    searched: usize,
    output: Bytes,
    question: Option<Question>,
    requests: u32,
    /// Requests that could not be read.
    errors: u32,
    deadline: Option<Deadline>,
    input_ended: bool,
    shutting_down: bool,
}

#[derive(Debug)]
enum Phase {
    Head,
    Body(Box<Request>, Persistence, Body),
    /// The host answers; what the response must be like.
    Asking(Content, Persistence),
    /// Nothing more is read.
    Closing,
}

/// What is waited for.
#[derive(Debug, Clone, Copy)]
enum Deadline {
    First(Monotonic),
    Whole(Monotonic),
}

impl Session {
    /// A session on a new connection.
    pub fn new(config: SessionConfig, transport: Transport) -> Self {
        let mut session = Self {
            input: Input::with_limit(config.max_head),
            config,
            transport,
            phase: Phase::Head,
            searched: 0,
            output: Bytes::new(),
            question: None,
            requests: 0,
            errors: 0,
            deadline: None,
            input_ended: false,
            shutting_down: false,
        };
        session.begin();
        session
    }

    /// The next request may come.
    fn begin(&mut self) {
        self.phase = Phase::Head;
        self.searched = 0;
        self.deadline = None;
    }

    /// True when something changed.
    fn advance(&mut self) -> bool {
        match &mut self.phase {
            Phase::Head => self.head(),
            Phase::Body(request, _, body) => match body.read(&mut self.input) {
                Ok(None) => false,
                Ok(Some(content)) => {
                    self.whole(content);
                    true
                }
                Err(status) => {
                    let method = request.method;
                    self.refuse(status, Some(method));
                    true
                }
            },
            Phase::Asking(..) | Phase::Closing => false,
        }
    }

    fn head(&mut self) -> bool {
        // RFC 9112 section 2.2: an empty line before the request is no request.
        while self.input.as_slice().starts_with(b"\r\n") {
            self.input.take(2);
        }
        let octets = self.input.as_slice();
        // Another protocol, such as TLS, need not be waited for.
        let is_request = |first: &u8| is_token(*first) || *first == b'\r';
        if !octets.first().is_none_or(is_request) {
            self.refuse(Status::BAD_REQUEST, None);
            return true;
        }
        let unseen = octets.get(self.searched..).unwrap_or_default();
        let Some(end) = memchr::memmem::find(unseen, b"\r\n\r\n") else {
            if octets.len() >= self.config.max_head {
                self.refuse(Status::FIELDS_TOO_LARGE, None);
                return true;
            }
            self.searched = octets.len().saturating_sub(3);
            return false;
        };
        let head = self.input.take(self.searched + end + 4);
        let head = head.get(..head.len() - 4).unwrap_or_default();
        match head::parse(head) {
            Err(error) => self.refuse(error.status(), None),
            Ok(head) => match Body::new(head.framing, self.config.max_body) {
                Err(status) => self.refuse(status, Some(head.request.method)),
                Ok(body) => {
                    if head.expects_continue {
                        self.output = Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n");
                    }
                    self.phase = Phase::Body(Box::new(head.request), head.persistence, body);
                }
            },
        }
        true
    }

    fn whole(&mut self, content: Bytes) {
        let before = std::mem::replace(&mut self.phase, Phase::Closing);
        let Phase::Body(mut request, persistence, _) = before else {
            return;
        };
        request.body = content;
        self.requests += 1;
        let last = self.requests >= self.config.max_requests || self.shutting_down;
        let persistence = match last {
            true => Persistence::Close,
            false => persistence,
        };
        self.phase = Phase::Asking(content_of(Some(request.method)), persistence);
        self.question = Some(Question(Ok(*request)));
    }

    /// Where the next request would begin is not known any more.
    fn refuse(&mut self, status: Status, method: Option<Method>) {
        self.errors += 1;
        self.phase = Phase::Asking(content_of(method), Persistence::Close);
        self.question = Some(Question(Err(status)));
    }

    fn starved(&mut self, now: Monotonic) -> Step<Question> {
        let between = matches!(self.phase, Phase::Head) && self.input.is_empty();
        if self.input_ended || (between && self.shutting_down) {
            self.phase = Phase::Closing;
        }
        if matches!(self.phase, Phase::Closing) {
            return Step::Close;
        }
        let deadline = match (self.deadline, between) {
            // From the first octet on, be it of an empty line.
            (Some(deadline @ Deadline::Whole(_)), _) => deadline,
            (Some(deadline @ Deadline::First(_)), true) => deadline,
            (None, true) => Deadline::First(now.after(self.config.idle_timeout)),
            (_, false) => Deadline::Whole(now.after(self.config.request_timeout)),
        };
        self.deadline = Some(deadline);
        match deadline {
            Deadline::First(until) if now >= until => Step::Close,
            Deadline::Whole(until) if now >= until => {
                let method = match &self.phase {
                    Phase::Body(request, ..) => Some(request.method),
                    _ => None,
                };
                self.refuse(Status::REQUEST_TIMEOUT, method);
                self.step(now)
            }
            Deadline::First(until) | Deadline::Whole(until) => Step::Read { until },
        }
    }
}

/// RFC 9110 section 9.3.2.
fn content_of(method: Option<Method>) -> Content {
    match method {
        Some(Method::Head) => Content::Told,
        _ => Content::Sent,
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
        let Phase::Asking(content, persistence) = self.phase else {
            return;
        };
        let closes = persistence == Persistence::Close;
        let envelope = Envelope {
            date: &answer.date,
            content,
            closes,
            secure: self.transport == Transport::Tls,
        };
        self.output = encode(&answer.response, envelope);
        match closes {
            true => self.phase = Phase::Closing,
            false => self.begin(),
        }
    }

    fn notify(&mut self, notice: Notice) {
        match notice {}
    }

    fn shutdown(&mut self) {
        self.shutting_down = true;
    }

    fn tally(&self) -> Tally {
        let (read, errors) = (u64::from(self.requests), u64::from(self.errors));
        Tally::new(read + errors, errors)
    }

    fn tls_established(&mut self, _info: TlsInfo) {
        self.input.clear();
        self.transport = Transport::Tls;
        self.begin();
    }

    fn step(&mut self, now: Monotonic) -> Step<Question> {
        loop {
            if !self.output.is_empty() {
                let count = self.output.len().min(SEND_LIMIT);
                return Step::Send(self.output.split_to(count));
            }
            if let Some(question) = self.question.take() {
                return Step::Ask(question);
            }
            if !self.advance() {
                return self.starved(now);
            }
        }
    }
}
