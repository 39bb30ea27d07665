//! The POP3 session: octets in, replies and questions out (RFC 1939, with RFC
//! 2449, RFC 2595, RFC 3206, RFC 5034 and RFC 6856).
//!
//! Knows no socket, store or clock: [`Pop3`](crate::Pop3) answers its
//! questions. What each command does is said in `commands/`.

mod config;
mod listing;
mod machine;
mod question;
mod transfer;

use std::fmt::{Display, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use mailcore::account::Identity;
use mailcore::sasl::{Exchange, Finding, Inquiry, Mechanism, Offer, Privacy, Surroundings};
use mailcore::seams::{AuthError, ProofKind};
use mailcore::time::Monotonic;
use mailcore::wire::{Input, TlsInfo};

use crate::commands::auth;
use crate::maildrop::{Maildrop, MessageNumber, NoSuchMessage};
use crate::multiline::Multiline;
use crate::reply::Reply;
use crate::wording;

pub use config::{Expire, PlaintextLogin, SessionConfig, Transport, Utf8Header};
pub(crate) use listing::Listing;
pub use question::{Answer, LoginRefusal, Notice, Question, ReadFailure, UpdateOutcome};
use transfer::Transfer;

/// Input buffered ahead of the session: pipelined commands.
const INPUT_LIMIT: usize = 4 * 1024;

/// Octets of a line of a SASL exchange: room for the longest name and password
/// in base64 (RFC 4954 section 4 asks for as much).
const MAX_SASL_LINE: usize = 12_288;

/// A POP3 server session.
#[derive(Debug)]
pub struct Session {
    pub(crate) config: Arc<SessionConfig>,
    pub(crate) transport: Transport,
    pub(crate) phase: Phase,
    /// The mechanisms that users log in by.
    offer: Offer,
    peer: Option<IpAddr>,
    tls: Option<TlsInfo>,
    /// Whose timestamp the greeting shows.
    #[cfg(feature = "sasl")]
    pub(crate) apop: Option<mailcore::sasl::Apop>,
    pub(crate) input: Input,
    pub(crate) utf8: Utf8Mode,
    output: BytesMut,
    /// In a line that was too long, up to its end.
    discarding: bool,
    input_ended: bool,
    /// What is said when the server wants the session to end.
    leaving: Option<Reply>,
    commands: u64,
    errors: u32,
    login_failures: u32,
    /// How long the answer to a failed login is held back.
    penalty: Option<Duration>,
    /// When the host was asked last about the line that came last: from then on
    /// it is, so that a check that takes longer for some users than for others
    /// shows nothing of them.
    asked: Option<Monotonic>,
    /// To be asked as soon as the output is on its way.
    pub(crate) question: Option<Question>,
    /// When the wait for the next command ends.
    deadline: Option<Monotonic>,
    /// When the time to log in ends, however many commands come.
    login_deadline: Option<Monotonic>,
}

/// Whether the client takes UTF-8 in headers (RFC 6856 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Utf8Mode {
    Off,
    On,
}

/// Where the session stands (RFC 1939 section 3).
#[derive(Debug)]
pub(crate) enum Phase {
    Greeting,
    Authorization(Authorization),
    Transaction(Open),
    /// QUIT was given; the host removes and unlocks.
    Update,
    /// STLS was accepted; the handshake is next.
    StartTls,
    /// Nothing more is read.
    Closing,
}

#[derive(Debug)]
pub(crate) enum Authorization {
    /// No user named.
    Start,
    /// USER was given; PASS is next.
    Named(String),
    /// AUTH waits for a response.
    Exchange(Exchange),
    /// The authenticator is asked: by an exchange, or for a password.
    Checking(Option<Exchange>),
    /// The maildrop is being opened.
    Opening,
}

/// The TRANSACTION state.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) maildrop: Maildrop,
    activity: Activity,
    /// What becomes of UTF-8 in headers.
    header: Utf8Header,
}

/// What is being sent in the TRANSACTION state.
#[derive(Debug)]
enum Activity {
    /// Nothing: the next command may come.
    Ready,
    Listing(Listing),
    Transfer(Transfer),
}

impl Open {
    fn new(maildrop: Maildrop, header: Utf8Header) -> Self {
        Self {
            maildrop,
            activity: Activity::Ready,
            header,
        }
    }

    /// The line of one message.
    pub(crate) fn line(
        &self,
        listing: Listing,
        number: MessageNumber,
    ) -> Result<String, NoSuchMessage> {
        let entry = self.maildrop.entry(number)?;
        Ok(listing.line(&self.maildrop, number, entry))
    }

    /// Begins to send the lines of all messages.
    pub(crate) fn list(&mut self, listing: Listing) {
        self.activity = Activity::Listing(listing);
    }

    /// Begins to send a message.
    pub(crate) fn transfer(
        &mut self,
        number: MessageNumber,
        head: Reply,
        lines: Multiline,
    ) -> Result<(), NoSuchMessage> {
        let entry = self.maildrop.entry(number)?;
        self.activity = Activity::Transfer(Transfer::new(entry, head, lines, self.header));
        Ok(())
    }
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
            #[cfg(feature = "sasl")]
            apop: None,
            input: Input::with_limit(INPUT_LIMIT),
            utf8: Utf8Mode::Off,
            output: BytesMut::new(),
            discarding: false,
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

    /// With APOP (RFC 1939 section 7).
    #[cfg(feature = "sasl")]
    #[must_use]
    pub fn apop(mut self, apop: mailcore::sasl::Apop) -> Self {
        self.apop = Some(apop);
        self
    }

    /// Writes a line with its CRLF.
    pub(crate) fn push_line(&mut self, line: &dyn Display) {
        push_line(&mut self.output, line);
    }

    pub(crate) fn reply(&mut self, reply: &Reply) {
        self.push_line(reply);
    }

    /// Replies with an error, and closes when there were too many.
    pub(crate) fn refuse(&mut self, reply: &Reply) {
        self.reply(reply);
        self.errors += 1;
        if self.errors >= self.config.max_errors {
            self.reply(&Reply::err(wording::TOO_MANY_ERRORS));
            self.phase = Phase::Closing;
        }
    }

    pub(crate) fn may_send_password(&self) -> bool {
        self.offer.takes_passwords(self.surroundings())
    }

    /// The mechanisms that may be used on this connection.
    pub(crate) fn mechanisms(&self) -> impl Iterator<Item = Mechanism> {
        self.offer.announced(self.surroundings())
    }

    /// A run of a mechanism, where it is offered.
    pub(crate) fn exchange(&self, name: &str) -> Result<Exchange, Reply> {
        let begun = self.offer.begin(name, self.surroundings());
        begun.map_err(wording::not_offered)
    }

    /// What an exchange sees of this connection.
    pub(crate) fn surroundings(&self) -> Surroundings<'_> {
        let in_clear = self.config.plaintext_login == PlaintextLogin::Anywhere;
        Surroundings {
            peer: self.peer,
            protocol: "pop3",
            tls: self.tls.as_ref(),
            privacy: match self.transport {
                Transport::Tls => Privacy::Private,
                _ if in_clear => Privacy::Private,
                _ => Privacy::Exposed,
            },
        }
    }

    /// The refusal of a password that others could read.
    pub(crate) fn permit_password(&self) -> Result<(), Reply> {
        match self.may_send_password() {
            true => Ok(()),
            false => Err(Reply::err(wording::TLS_REQUIRED)),
        }
    }

    /// Asks the authenticator; what it finds is the exchange's, where there is
    /// one.
    pub(crate) fn ask(&mut self, exchange: Option<Exchange>, inquiry: Inquiry) {
        self.authorization(Authorization::Checking(exchange));
        self.question = Some(Question::Ask(inquiry));
    }

    fn found(&mut self, found: Result<Finding, AuthError>) {
        let before = std::mem::replace(&mut self.phase, Phase::Closing);
        self.authorization(Authorization::Start);
        match (before, found) {
            (Phase::Authorization(Authorization::Checking(Some(mut exchange))), found) => {
                let progress = exchange.answer(found);
                auth::go_on(self, exchange, progress);
            }
            (_, Ok(Finding::Identity(identity))) => self.open(identity),
            (_, Ok(_)) => self.login_failed(LoginRefusal::Unavailable),
            (_, Err(error)) => self.login_failed(LoginRefusal::from(&error)),
        }
    }

    /// The login is right: its maildrop is next.
    pub(crate) fn open(&mut self, identity: Identity) {
        self.authorization(Authorization::Opening);
        self.question = Some(Question::Open(identity));
    }

    /// A command between USER and PASS ends what USER began, and a line that
    /// can't be read is no response.
    pub(crate) fn abandon_login(&mut self) {
        if matches!(self.phase, Phase::Authorization(_)) {
            self.authorization(Authorization::Start);
        }
    }

    pub(crate) fn authorization(&mut self, state: Authorization) {
        self.input.set_limit(match state {
            Authorization::Exchange(_) => MAX_SASL_LINE + 2,
            _ => INPUT_LIMIT,
        });
        self.phase = Phase::Authorization(state);
    }

    fn opened(&mut self, answer: Result<Maildrop, LoginRefusal>) {
        match answer {
            Ok(maildrop) => {
                self.reply(&wording::opened(&maildrop));
                self.login_failures = 0;
                let header = match self.utf8 {
                    Utf8Mode::On => Utf8Header::AsIs,
                    Utf8Mode::Off => self.config.utf8_header,
                };
                self.phase = Phase::Transaction(Open::new(maildrop, header));
            }
            Err(refusal) => self.login_failed(refusal),
        }
    }

    pub(crate) fn login_failed(&mut self, refusal: LoginRefusal) {
        self.authorization(Authorization::Start);
        self.reply(&wording::refused(refusal));
        if !refusal.is_guess() {
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
}

fn push_line(out: &mut BytesMut, line: &dyn Display) {
    // Writing to memory does not fail.
    let _ = write!(out, "{line}\r\n");
}
