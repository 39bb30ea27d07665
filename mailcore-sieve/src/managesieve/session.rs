//! The ManageSieve session: octets in, responses and questions out (RFC 5804).
//!
//! Knows no socket, store or clock, and nothing of Sieve:
//! [`ManageSieve`](super::ManageSieve) answers its questions. What each command
//! does is said in `commands/`.

mod config;
mod machine;
mod question;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use mailcore::account::Identity;
use mailcore::sasl::{Exchange, Finding, Inquiry, Mechanism, Offer, Privacy, Surroundings};
use mailcore::seams::{AuthError, ProofKind};
use mailcore::time::Monotonic;
use mailcore::wire::{Input, TlsInfo};

use super::commands::{authenticate, capability};
use super::incoming::{Incoming, MAX_LINE, Room};
use super::response::{Response, write_string};
use super::wording;

pub use config::{PlaintextLogin, SessionConfig, Transport};
pub use question::{Answer, Failure, Outcome, Question, Request};

/// What is kept of a command before someone has logged in: a SASL response.
const NOT_AUTHENTICATED: Room = Room {
    kept: MAX_LINE,
    passed: 64 * 1024,
};

/// Room for names beside a script.
const BESIDE_SCRIPT: usize = 8 * 1024;

/// Octets of a literal that is read over after login.
const PASSED: u32 = 64 << 20;

/// A ManageSieve server session.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Arc<SessionConfig>,
    pub(super) transport: Transport,
    pub(super) phase: Phase,
    /// The mechanisms that users log in by.
    offer: Offer,
    peer: Option<IpAddr>,
    tls: Option<TlsInfo>,
    pub(super) input: Input,
    incoming: Incoming,
    output: BytesMut,
    input_ended: bool,
    /// What is said when the server wants the session to end.
    leaving: Option<Response>,
    commands: u64,
    errors: u32,
    login_failures: u32,
    /// How long the answer to a failed login is held back.
    penalty: Option<Duration>,
    /// When the host was asked last: a check that takes longer for some users
    /// than for others shows nothing of them.
    asked: Option<Monotonic>,
    /// To be asked as soon as the output is on its way.
    question: Option<Question>,
    /// When the wait for the next command ends.
    deadline: Option<Monotonic>,
    /// When the time to log in ends, however many commands come.
    pub(super) login_deadline: Option<Monotonic>,
}

/// Where the session stands (RFC 5804 section 2).
#[derive(Debug)]
pub(super) enum Phase {
    /// The capabilities are due: at the start, and once TLS is there.
    Greeting,
    NotAuthenticated(Login),
    Authenticated(Identity),
    /// STARTTLS was accepted; the handshake is next.
    StartTls,
    /// Nothing more is read.
    Closing,
}

#[derive(Debug)]
pub(super) enum Login {
    /// No login is under way.
    None,
    /// AUTHENTICATE waits for a response.
    Exchange(Exchange),
    /// The authenticator is asked.
    Checking(Exchange),
}

impl Session {
    /// A session on a new connection.
    pub fn new(config: impl Into<Arc<SessionConfig>>, transport: Transport) -> Self {
        Self {
            config: config.into(),
            transport,
            phase: Phase::Greeting,
            offer: Offer::for_proofs(&[ProofKind::Password]),
            peer: None,
            tls: None,
            input: Input::with_limit(MAX_LINE + 2),
            incoming: Incoming::default(),
            output: BytesMut::new(),
            input_ended: false,
            leaving: None,
            commands: 0,
            errors: 0,
            login_failures: 0,
            penalty: None,
            asked: None,
            question: None,
            deadline: None,
            login_deadline: None,
        }
    }

    /// With these mechanisms, in place of those that a password is enough for,
    /// for a client at this address, within this TLS from the first octet.
    #[must_use]
    pub fn offering(mut self, offer: Offer, peer: Option<IpAddr>, tls: Option<TlsInfo>) -> Self {
        self.offer = offer;
        self.peer = peer;
        self.tls = tls;
        self
    }

    pub(super) fn respond(&mut self, response: &Response) {
        response.write(&mut self.output);
    }

    /// Writes strings as one line.
    pub(super) fn push_strings<'a>(&mut self, strings: impl IntoIterator<Item = &'a [u8]>) {
        for (at, string) in strings.into_iter().enumerate() {
            if at > 0 {
                self.push(b" ");
            }
            write_string(string, &mut self.output);
        }
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        self.output.extend_from_slice(octets);
    }

    /// Answers a mistake, and closes when there were too many.
    pub(super) fn refuse(&mut self, response: &Response) {
        self.respond(response);
        self.errors += 1;
        if self.errors >= self.config.max_errors {
            self.leave(&wording::too_many_errors());
        }
    }

    /// Says a last word.
    pub(super) fn leave(&mut self, last_word: &Response) {
        self.respond(last_word);
        self.phase = Phase::Closing;
    }

    /// What the state lets a client send.
    fn room(&self) -> Room {
        match self.phase {
            Phase::Authenticated(_) => Room {
                kept: self.config.max_script.saturating_add(BESIDE_SCRIPT),
                passed: PASSED,
            },
            _ => NOT_AUTHENTICATED,
        }
    }

    /// The mechanisms that may be used on this connection.
    pub(super) fn mechanisms(&self) -> impl Iterator<Item = Mechanism> {
        self.offer.announced(self.surroundings())
    }

    /// A run of a mechanism, where it is offered.
    pub(super) fn exchange(&self, name: &str) -> Result<Exchange, Response> {
        let begun = self.offer.begin(name, self.surroundings());
        begun.map_err(wording::not_offered)
    }

    /// What an exchange sees of this connection.
    fn surroundings(&self) -> Surroundings<'_> {
        let in_clear = self.config.plaintext_login == PlaintextLogin::Anywhere;
        Surroundings {
            peer: self.peer,
            protocol: "managesieve",
            tls: self.tls.as_ref(),
            privacy: match self.transport {
                Transport::Tls => Privacy::Private,
                _ if in_clear => Privacy::Private,
                _ => Privacy::Exposed,
            },
        }
    }

    /// Asks the authenticator; what it finds is the exchange's.
    pub(super) fn ask(&mut self, exchange: Exchange, inquiry: Inquiry) {
        self.phase = Phase::NotAuthenticated(Login::Checking(exchange));
        self.question = Some(Question::Ask(inquiry));
    }

    /// Asks for something to be done to the scripts of who is logged in.
    pub(super) fn ask_scripts(&mut self, request: Request) {
        if let Phase::Authenticated(identity) = &self.phase {
            self.question = Some(Question::Scripts {
                account: identity.account.clone(),
                request,
            });
        }
    }

    fn found(&mut self, found: Result<Finding, AuthError>) {
        let before = std::mem::replace(&mut self.phase, Phase::NotAuthenticated(Login::None));
        if let Phase::NotAuthenticated(Login::Checking(mut exchange)) = before {
            let progress = exchange.answer(found);
            authenticate::go_on(self, exchange, progress);
        }
    }

    /// The login is right.
    pub(super) fn log_in(&mut self, identity: Identity) {
        self.login_failures = 0;
        self.respond(&Response::ok("logged in"));
        self.phase = Phase::Authenticated(identity);
    }

    pub(super) fn login_failed(&mut self, error: &AuthError) {
        let is_guess = matches!(
            error,
            AuthError::Invalid | AuthError::Disabled | AuthError::Throttled
        );
        if is_guess {
            self.login_failures += 1;
            let delay = self.config.login_failure_delay;
            self.penalty = Some(delay.saturating_mul(self.login_failures));
            if self.login_failures >= self.config.max_login_failures {
                return self.leave(&wording::too_many_failures());
            }
        }
        self.respond(&wording::refused(error));
    }

    fn scripts_answered(&mut self, answer: Result<Outcome, Failure>) {
        match answer {
            Ok(Outcome::Done) => self.respond(&Response::ok("done")),
            Ok(Outcome::Warnings(warnings)) if warnings.is_empty() => {
                self.respond(&Response::ok("the script is right"));
            }
            Ok(Outcome::Warnings(warnings)) => self.respond(&wording::warnings(&warnings)),
            Ok(Outcome::Entries(entries)) => {
                for entry in entries {
                    self.push_strings([entry.name.as_bytes()]);
                    if entry.is_active {
                        self.push(b" ACTIVE");
                    }
                    self.push(b"\r\n");
                }
                self.respond(&Response::ok("listed"));
            }
            Ok(Outcome::Text(text)) => {
                self.push_strings([text.as_bytes()]);
                self.push(b"\r\n");
                self.respond(&Response::ok("sent"));
            }
            Err(failure) => self.respond(&wording::failed(failure)),
        }
    }

    /// Writes what this connection offers now, and that this was all.
    fn greet(&mut self) {
        capability::tell(self);
        let text = format!("{} ManageSieve ready", self.config.hostname.as_str());
        self.respond(&Response::ok(text));
        self.phase = Phase::NotAuthenticated(Login::None);
    }
}
