//! How the client behaves: security, time-outs, limits.

use std::time::Duration;

use mailcore::route::mx::AddressOrder;
use mailcore::transcript::Transcript;

/// How a connection is secured. There is no "TLS where it is offered": a
/// password and a whole account are at stake, and whoever can answer for the
/// server can leave STARTTLS out (RFC 8314 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Security {
    /// TLS from the first octet (port 993).
    #[default]
    Implicit,
    /// STARTTLS before anything else is said (port 143), or nothing.
    StartTls,
    /// In clear: for a stream within the process or a network that is trusted.
    Plaintext,
}

impl Security {
    /// The port that goes with it (RFC 9051 section 2.1).
    pub fn port(self) -> u16 {
        match self {
            Self::Implicit => 993,
            Self::StartTls | Self::Plaintext => 143,
        }
    }
}

/// Over which connections a password or a token may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PasswordUse {
    /// Within TLS alone.
    #[default]
    WithinTls,
    /// In clear too: for a network that is trusted.
    EvenInClear,
}

/// How long is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// DNS.
    pub lookup: Duration,
    /// The connection itself.
    pub connect: Duration,
    /// The connection itself, while another address can be tried (RFC 8305).
    pub connect_early: Duration,
    /// The greeting, and where it is asked for the answer to STARTTLS.
    pub greeting: Duration,
    /// The TLS handshake.
    pub handshake: Duration,
    /// While an answer is awaited: how long the server may send nothing at all.
    /// Large mailboxes take minutes to be opened or searched.
    pub silence: Duration,
    /// One command from its beginning to its end, however lively the server is.
    /// Every thousand octets of messages that come or go within it add a second,
    /// and IDLE does not count.
    pub command: Duration,
    /// While octets are sent: until they are taken.
    pub write: Duration,
    /// IDLE, after which it is begun anew: servers close what stays silent for
    /// 30 minutes (RFC 2177 section 3).
    pub idle: Duration,
    /// LOGOUT, whose answer nobody needs.
    pub logout: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            lookup: seconds(60),
            connect: seconds(30),
            connect_early: seconds(5),
            greeting: seconds(60),
            handshake: seconds(60),
            silence: seconds(5 * 60),
            command: seconds(60 * 60),
            write: seconds(3 * 60),
            idle: seconds(28 * 60),
            logout: seconds(5),
        }
    }
}

/// What a server can make the client hold. What goes beyond ends the session,
/// unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of one response, literals that are not message content included.
    /// A SEARCH that finds 500,000 messages takes about 4 MB.
    pub response: usize,
    /// Octets of one literal that is not message content.
    pub literal: usize,
    /// Octets of one literal that is: it streams, so this bounds time, not
    /// memory.
    pub body: u64,
    /// Levels of parentheses; what is deeper is left unread.
    pub nesting: usize,
    /// Entries collected for one command: mailboxes of a LIST, messages of a
    /// FETCH that is not taken one by one.
    pub items: usize,
    /// News kept for the caller until asked for; older ones are dropped first.
    pub news: usize,
    /// Octets of the responses that are collected for one command, and of those
    /// kept as news.
    pub held: usize,
    /// Commands under way at once.
    pub pipeline: usize,
    /// The greatest literal sent without asking first where the server lets us
    /// (LITERAL+, RFC 7888). Greater ones wait, so that a server that has no
    /// room for them can say so before they are sent.
    pub unasked_literal: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            response: 8 << 20,
            literal: 1 << 20,
            body: 4 << 30,
            nesting: 50,
            items: 100_000,
            news: 1_000,
            held: 64 << 20,
            pipeline: 16,
            unasked_literal: 256 << 10,
        }
    }
}

/// How one session behaves.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How it is secured.
    pub security: Security,
    /// Over which connections passwords may go.
    pub password_use: PasswordUse,
    /// Which addresses of a host come first.
    pub address_order: AddressOrder,
    /// How long is waited.
    pub timeouts: Timeouts,
    /// What is held at most.
    pub limits: Limits,
    /// Takes what is said, without secrets and content.
    pub transcript: Option<Transcript>,
}

impl ClientConfig {
    /// TLS from the first octet, and the defaults of everything else.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, secured like this.
    #[must_use]
    pub fn security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// The same, with passwords where `password_use` says.
    #[must_use]
    pub fn password_use(mut self, password_use: PasswordUse) -> Self {
        self.password_use = password_use;
        self
    }
}
