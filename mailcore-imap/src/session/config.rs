//! [`Config`]: what a host may set of the IMAP service, with defaults.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use mailcore::mailbox::{Annotation, EntryName};

/// Settings shared by every session of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The name in the greeting.
    pub hostname: Arc<str>,
    /// Where passwords may be sent.
    pub plaintext_login: PlaintextLogin,
    /// From connect to login, however many octets trickle in.
    pub login_timeout: Duration,
    /// From one command to the next; RFC 9051 section 5.4 asks for 30 minutes
    /// at least.
    pub idle_timeout: Duration,
    /// Between two pieces of an APPEND.
    pub append_timeout: Duration,
    /// Between the proof and the answer to a failed login at least, and again
    /// as much for each one before it.
    pub failed_login_delay: Duration,
    /// Failed logins before the connection is closed.
    pub max_failed_logins: u32,
    /// BAD responses before the connection is closed.
    pub max_errors: u32,
    /// Octets of a message that APPEND takes.
    pub append_limit: u64,
    /// Messages that one APPEND brings (RFC 3502).
    pub max_append_messages: usize,
    /// Mailboxes whose counters NOTIFY looks at after each change in the account
    /// (RFC 5465 section 5.8).
    pub max_notify_mailboxes: usize,
    /// Messages that one command works on (RFC 9738); `None` for no limit.
    pub message_limit: Option<NonZeroU32>,
    /// Between two words of a long command that it goes on (RFC 9585).
    pub progress_interval: Duration,
    /// Ranges of UIDs kept of a search's result for `$` (RFC 5182); one of more
    /// is not kept.
    pub max_saved_ranges: usize,
    /// Octets of an annotation (RFC 5464 section 4.1 asks for 1024 at least).
    pub annotation_size: usize,
    /// Annotations of a mailbox, and of an account beside its mailboxes.
    pub max_annotations: usize,
    /// How the administrator is reached, as a URI, for `/shared/admin`.
    pub admin: Option<Arc<str>>,
    /// What `/shared/comment` says of the server.
    pub comment: Option<Arc<str>>,
    /// Where users keep the scripts of their mailboxes (RFC 6785 section 2.1), as
    /// `sieve://host`; nothing is announced without.
    pub script_server: Option<Arc<str>>,
    /// Which literals need not wait for leave.
    pub literals: Literals,
    /// Whether COMPRESS=DEFLATE is offered.
    pub compression: Compression,
    /// Octets that one compressed octet of a client may become, over a
    /// connection; a connection that sends more is closed.
    pub max_inflate_ratio: u64,
}

/// Where passwords may be sent (RFC 8314 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PlaintextLogin {
    /// Within TLS, and within the process.
    #[default]
    WithinTls,
    /// Anywhere: for tests and trusted networks.
    Anywhere,
}

/// Which literals a client may send without waiting for leave (RFC 7888).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Literals {
    /// LITERAL+: of any size. A message comes a round trip sooner; one that is
    /// over a limit comes all the same, to be read over.
    #[default]
    Plus,
    /// LITERAL-: of at most 4096 octets, so that no message comes unasked for.
    Minus,
}

/// Whether a client may have the connection compressed (RFC 4978).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// It may, where the crate was built with its `compress` feature.
    #[default]
    Offered,
    /// It may not: what is compressed with a secret beside it tells of the secret
    /// by its length.
    Off,
}

impl Config {
    /// The defaults, for a server called `hostname`.
    pub fn new(hostname: &str) -> Self {
        Self {
            hostname: hostname.into(),
            plaintext_login: PlaintextLogin::WithinTls,
            login_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30 * 60),
            append_timeout: Duration::from_secs(5 * 60),
            failed_login_delay: Duration::from_secs(1),
            max_failed_logins: 5,
            max_errors: 20,
            append_limit: 64 * 1024 * 1024,
            max_append_messages: 1_000,
            max_notify_mailboxes: 500,
            message_limit: None,
            progress_interval: Duration::from_secs(10),
            max_saved_ranges: 50_000,
            annotation_size: 8 * 1024,
            max_annotations: 64,
            admin: None,
            comment: None,
            script_server: None,
            literals: Literals::Plus,
            compression: Compression::Offered,
            max_inflate_ratio: 1_000,
        }
    }

    /// The annotations of the server that the host sets (RFC 5464 section
    /// 3.2.1.1).
    pub(crate) fn server_annotations(&self) -> Vec<Annotation> {
        let values = [
            (&b"/shared/admin"[..], &self.admin),
            (b"/shared/comment", &self.comment),
        ];
        let annotation = |(entry, value): (&[u8], &Option<Arc<str>>)| {
            Some(Annotation {
                entry: EntryName::parse(entry)?,
                value: value.as_ref()?.as_bytes().to_vec(),
            })
        };
        values.into_iter().filter_map(annotation).collect()
    }
}
