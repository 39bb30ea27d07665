//! What a listener's owner sets: [`SmtpConfig`] and its [`Limits`].
//!
//! Only what the session machine needs: addresses, certificates and accounts
//! belong to others.

use std::time::Duration;

use mailcore::address::Domain;
use mailcore::net::Network;
use mailcore::seams::Trust;

/// Which of the three protocols a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Port 25: takes mail for this server's domains from anybody (RFC 5321).
    Mx,
    /// Ports 587 and 465: takes mail to anywhere from its users (RFC 6409).
    Submission,
    /// Takes mail for this server's mailboxes from other servers of its house,
    /// with one answer for each recipient (RFC 2033).
    Lmtp,
}

/// Whether secrets may cross the wire in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthOffer {
    /// AUTH is not offered.
    Never,
    /// AUTH is offered under TLS only.
    UnderTls,
    /// AUTH is offered always: for loopback and tests.
    Always,
}

/// Whether STARTTLS is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartTls {
    /// There is no certificate, or TLS starts with the connection.
    Absent,
    /// It is there for those who want it.
    Offered,
    /// No mail is taken without TLS. Not for a public port 25 (RFC 3207
    /// section 4).
    Required,
}

/// How a session behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpConfig {
    /// The name in greeting, EHLO reply and trace fields.
    pub hostname: Domain,
    /// Which protocol.
    pub kind: Kind,
    /// Whether AUTH is offered.
    pub auth: AuthOffer,
    /// Whether STARTTLS is offered.
    pub start_tls: StartTls,
    /// How long the greeting waits for a peer that talks before it is spoken
    /// to; such a peer is turned away (RFC 5321 section 4.3.1). Seconds are
    /// useful on port 25; the default costs nobody anything.
    pub greeting_delay: Duration,
    /// How long after its proof the answer to a failed AUTH comes at the
    /// earliest.
    pub auth_failure_delay: Duration,
    /// Who is told by VRFY and EXPN who is here.
    pub verify: Verify,
    /// How long a message may be held back at most (RFC 4865); zero for no
    /// FUTURERELEASE.
    pub max_hold: Duration,
    /// The nearest deadline after which a message may be asked to be returned
    /// (RFC 2852, min-by-time); zero for any.
    pub least_deadline: Duration,
    /// Whom the listener is for: [`Trust::Trusted`] makes every peer a host of
    /// the house.
    pub peers: Trust,
    /// The proxies that may say by XCLIENT for whom they speak.
    pub xclient: Vec<Network>,
    /// Whether mail is taken at all.
    pub doors: Doors,
    /// What no session may exceed.
    pub limits: Limits,
}

impl SmtpConfig {
    /// The defaults for a server of this name. AUTH under TLS for users, no
    /// AUTH for LMTP, STARTTLS absent until the listener has a certificate.
    pub fn new(hostname: Domain, kind: Kind) -> Self {
        Self {
            hostname,
            kind,
            auth: if kind == Kind::Lmtp {
                AuthOffer::Never
            } else {
                AuthOffer::UnderTls
            },
            start_tls: StartTls::Absent,
            greeting_delay: Duration::from_millis(2),
            auth_failure_delay: Duration::from_secs(1),
            verify: Verify::Never,
            max_hold: Duration::from_secs(30 * 86_400),
            least_deadline: Duration::ZERO,
            peers: Trust::Stranger,
            xclient: Vec::new(),
            doors: Doors::Open,
            limits: Limits::default(),
        }
    }
}

/// Who is told by VRFY and EXPN who is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Verify {
    /// Nobody: addresses are not to be gathered (RFC 5321 section 7.3).
    #[default]
    Never,
    /// Those who have logged in, and trusted hosts.
    Users,
}

/// Whether a listener takes mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Doors {
    /// It does.
    #[default]
    Open,
    /// It says so with 521 and closes (RFC 7504 section 3).
    Closed,
}

/// What no session may exceed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a command line without CRLF. RFC 5321 section 4.5.3.1.4 asks
    /// for 512 and each extension for more.
    pub command_line: usize,
    /// Octets of an AUTH line (RFC 4954 section 4).
    pub auth_line: usize,
    /// Octets of a message; announced by SIZE (RFC 1870).
    pub message_size: u64,
    /// Octets of a refused message, or of over-long lines, that are read and
    /// dropped before the connection is closed.
    pub discard: u64,
    /// Recipients of one message (RFC 5321 section 4.5.3.1.8: at least 100).
    pub recipients: u32,
    /// Unknown recipients in one session; then it is closed.
    pub unknown_recipients: u32,
    /// Messages in one session; then it is closed.
    pub transactions: u32,
    /// Commands answered with an error in one session; then it is closed.
    pub errors: u32,
    /// Commands without a message between them; then it is closed.
    pub idle_commands: u32,
    /// Failed AUTHs in one session; then it is closed.
    pub auth_failures: u32,
    /// Time for the peer to send one whole command or 64 kB of a message
    /// (RFC 5321 section 4.5.3.2.7: at least five minutes).
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 2_048,
            auth_line: 12_288,
            message_size: 25 * 1_024 * 1_024,
            discard: 256 * 1_024 * 1_024,
            recipients: 1_000,
            unknown_recipients: 20,
            transactions: 10_000,
            errors: 20,
            idle_commands: 100,
            auth_failures: 5,
            idle: Duration::from_secs(300),
        }
    }
}
