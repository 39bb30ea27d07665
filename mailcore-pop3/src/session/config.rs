//! [`SessionConfig`]: what a host may set of a session, with defaults.

use std::time::Duration;

use mailcore::address::Domain;

/// How a session behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionConfig {
    /// The name in the greeting.
    pub hostname: Domain,
    /// Where passwords may be sent in clear.
    pub plaintext_login: PlaintextLogin,
    /// From connect to login, however many commands come.
    pub login_timeout: Duration,
    /// Time without a command until the connection is closed. At least 10
    /// minutes (RFC 1939 section 3).
    pub idle_timeout: Duration,
    /// Commands in error, all kinds together, until the connection is closed.
    pub max_errors: u32,
    /// Failed logins until the connection is closed.
    pub max_login_failures: u32,
    /// Between the proof and the answer to a failed login at least, times the
    /// failures so far.
    pub login_failure_delay: Duration,
    /// Time between two logins to one maildrop that is told to clients (RFC
    /// 2449 section 6.5); the host refuses what comes sooner. Zero for none.
    pub login_delay: Duration,
    /// What is told of how long messages stay.
    pub expire: Expire,
    /// What a client without UTF8 gets of UTF-8 in headers.
    pub utf8_header: Utf8Header,
}

impl SessionConfig {
    /// The defaults: passwords within TLS only, 10 minutes to log in and
    /// between commands, 20 errors, 3 failures, 1 second.
    pub fn new(hostname: Domain) -> Self {
        Self {
            hostname,
            plaintext_login: PlaintextLogin::WithinTls,
            login_timeout: Duration::from_secs(600),
            idle_timeout: Duration::from_secs(600),
            max_errors: 20,
            max_login_failures: 3,
            login_failure_delay: Duration::from_secs(1),
            login_delay: Duration::ZERO,
            expire: Expire::Never,
            utf8_header: Utf8Header::Surrogate,
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

/// How long messages stay in a maildrop, as clients are told (RFC 2449 section
/// 6.7). Removing them is the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Expire {
    /// Until somebody deletes them.
    #[default]
    Never,
    /// At least so many days; 0 when they may go once they were read.
    Days(u32),
}

/// What becomes of UTF-8 in a message's header when the client did not say that
/// it takes it (RFC 6856 sections 2.1 and 5). Bodies go out as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Utf8Header {
    /// A header in ASCII takes its place (RFC 6858).
    #[default]
    Surrogate,
    /// The message is refused with the response code UTF8.
    Refuse,
    /// It goes out as it is, against RFC 6856: what servers that know nothing
    /// of it do.
    AsIs,
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
