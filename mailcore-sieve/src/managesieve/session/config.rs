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
    /// Time without a command, once someone has logged in, until the connection
    /// is closed. At least 30 minutes (RFC 5804 section 1.2).
    pub idle_timeout: Duration,
    /// Commands in error, all kinds together, until the connection is closed.
    pub max_errors: u32,
    /// Failed logins until the connection is closed.
    pub max_login_failures: u32,
    /// Between the proof and the answer to a failed login at least, times the
    /// failures so far.
    pub login_failure_delay: Duration,
    /// Octets of a script that is taken in.
    pub max_script: usize,
    /// The extensions that scripts may require.
    pub extensions: Vec<String>,
    /// How often a script may redirect, where that is told.
    pub max_redirects: Option<usize>,
}

impl SessionConfig {
    /// The defaults: passwords within TLS only, 10 minutes to log in, 30 between
    /// commands, 20 errors, 3 failures, 1 second, scripts of 1 MiB without
    /// extensions.
    pub fn new(hostname: Domain) -> Self {
        Self {
            hostname,
            plaintext_login: PlaintextLogin::WithinTls,
            login_timeout: Duration::from_secs(600),
            idle_timeout: Duration::from_secs(1800),
            max_errors: 20,
            max_login_failures: 3,
            login_failure_delay: Duration::from_secs(1),
            max_script: 1 << 20,
            extensions: Vec::new(),
            max_redirects: None,
        }
    }
}

/// Where passwords may be sent in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlaintextLogin {
    /// Within TLS only.
    #[default]
    WithinTls,
    /// Anywhere: for tests and trusted networks.
    Anywhere,
}

/// What the connection is, as far as TLS goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In clear, and it stays so.
    Plain,
    /// In clear; STARTTLS may change that.
    Starttls,
    /// Within TLS.
    Tls,
}
