//! The configuration: what the file says ([`mod@file`]), what it means
//! ([`resolve`]), and all that is wrong with it at once ([`problems`]).
//!
//! Domains, accounts and aliases are not here: they live in the directory.

mod abuse;
mod acme;
mod auth;
mod callout;
mod destinations;
mod dns;
mod events;
mod file;
mod filter;
mod forwarding;
mod imap;
mod journal;
mod managesieve;
mod notices;
mod oauth;
mod outgoing;
mod outgoing_tls;
mod pop3;
mod problems;
mod queue;
mod resolve;
mod schedule;
mod shield;
mod sieve;
mod sieve_events;
mod smtp;
mod tls;
mod web;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mailcore::abuse::AbuseConfig;
use mailcore::account::Secret;
use mailcore::address::Domain;
use mailcore::intake::CalloutConfig;
use mailcore::limits::Limits;
use mailcore::queue::{RetrySchedule, RunnerConfig};
use mailcore_imap::server::Imap;
use mailcore_pop3::Pop3;
use mailcore_sieve::managesieve::ManageSieve;
use mailcore_smtp::client::TlsPolicy;
use mailcore_store::embedded::Migration;
use thiserror::Error;

use crate::housekeeping::Schedule;

pub(crate) use acme::{AcmeChallenge, AcmeSettings};
pub(crate) use auth::AuthConfig;
pub(crate) use dns::{DnsConfig, Dnssec};
pub(crate) use events::{EventsConfig, NOTICE, WebhookSettings};
pub(crate) use file::{parse_duration, parse_size};
pub(crate) use filter::{AskFrom, Bimi, Fields, FilterConfig, QuarantineConfig, read_rules};
pub(crate) use forwarding::{ForwardedSender, ForwardingConfig};
pub(crate) use journal::{JournalConfig, JournalMode};
pub(crate) use notices::{CrashReports, NoticesConfig};
pub(crate) use outgoing::{OutgoingConfig, OutgoingRoute, RoutePlace, host};
pub(crate) use outgoing_tls::{MtaStsUse, OutgoingTls};
pub(crate) use problems::Problems;
pub(crate) use shield::ShieldConfig;
pub(crate) use sieve::SieveConfig;
pub(crate) use smtp::{Peers, SmtpSettings};
pub(crate) use tls::{ClientCertificateUse, TlsFiles, TlsSettings};
pub(crate) use web::WebConfig;

/// Looked for in the working directory when no `--config` is given.
pub(crate) const DEFAULT_FILE: &str = "mailserver.toml";

/// A configuration with every default filled in and every value checked.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where it came from; `None` when there was no file.
    pub(crate) file: Option<PathBuf>,
    pub(crate) hostname: Domain,
    pub(crate) name_check: NameCheck,
    /// Holds the store, the directory, the control socket and the self-made
    /// certificate.
    pub(crate) data: PathBuf,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) ports: Ports,
    pub(crate) tls: TlsSettings,
    /// `None` where no authority is asked for certificates.
    pub(crate) acme: Option<AcmeSettings>,
    pub(crate) store: StoreKind,
    /// Octets of disk space below which new mail is refused; `None` for what
    /// suits the largest message.
    pub(crate) low_space: Option<u64>,
    /// How long removed messages can be brought back; zero for not at all.
    pub(crate) undelete_for: Option<Duration>,
    /// What becomes of a store in an older format.
    pub(crate) migration: Migration,
    pub(crate) schedule: RetrySchedule,
    /// How long copies of delivered mail are kept; `None` for not at all.
    pub(crate) keep_delivered: Option<Duration>,
    /// The rest of how the queue works.
    pub(crate) runner: RunnerConfig,
    /// Where all mail for others goes; `None` for their MX hosts.
    pub(crate) smart_host: Option<SmartHost>,
    pub(crate) outgoing: OutgoingConfig,
    pub(crate) forwarding: ForwardingConfig,
    pub(crate) dns: DnsConfig,
    pub(crate) outgoing_tls: OutgoingTls,
    pub(crate) limits: Limits,
    /// What is too often.
    pub(crate) abuse: AbuseConfig,
    pub(crate) auth: AuthConfig,
    pub(crate) smtp: SmtpSettings,
    /// Senders' domains and where their mail comes from.
    pub(crate) shields: Vec<ShieldConfig>,
    /// What every IMAP listener serves, but for its own keys.
    pub(crate) imap: Imap,
    /// The same of POP3.
    pub(crate) pop3: Pop3,
    /// The same of ManageSieve.
    pub(crate) managesieve: ManageSieve,
    pub(crate) web: WebConfig,
    /// How hosts are asked for recipients, where a domain's rules say so.
    pub(crate) callout: CalloutConfig,
    /// What is asked of mail on its way in.
    pub(crate) filter: FilterConfig,
    /// When the server's own work is done.
    pub(crate) housekeeping: Schedule,
    /// What of it removes mail.
    pub(crate) retention: Retention,
    pub(crate) journal: JournalConfig,
    /// What is told of events, and to whom.
    pub(crate) events: EventsConfig,
    pub(crate) notices: NoticesConfig,
    /// What mail goes by once it is filed.
    pub(crate) sieve: SieveConfig,
    /// A filter for tracing-subscriber.
    pub(crate) log: String,
}

/// Whether DNS is asked after a start about the server's own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum NameCheck {
    #[default]
    On,
    Off,
}

/// How long mail stays in some mailboxes; `None` for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Retention {
    pub(crate) junk: Option<Duration>,
    pub(crate) trash: Option<Duration>,
}

/// What listens where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) protocol: Protocol,
    pub(crate) address: SocketAddr,
    pub(crate) tls: TlsMode,
    pub(crate) login: PlaintextLogin,
    pub(crate) peers: Peers,
    pub(crate) clients: ClientCertificateUse,
}

/// Which ports listeners take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ports {
    #[default]
    Configured,
    /// Any that are free.
    Free,
}

/// Where passwords may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PlaintextLogin {
    /// Within TLS only.
    #[default]
    WithinTls,
    /// In clear, too: for tests and networks of one's own.
    Anywhere,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Smtp,
    Submission,
    Lmtp,
    Imap,
    Pop3,
    ManageSieve,
    Http,
}

/// How a listener uses TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsMode {
    None,
    Starttls,
    Implicit,
}

/// Where mail is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// In the data directory.
    Embedded,
    /// In memory: gone when the server ends. For tests.
    Memory,
}

/// The one host that takes all mail for others.
#[derive(Debug, Clone)]
pub(crate) struct SmartHost {
    pub(crate) host: Domain,
    pub(crate) port: u16,
    pub(crate) tls: TlsPolicy,
    pub(crate) login: Option<(String, Secret)>,
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    #[error("can't read {path}: {source}", path = path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{0}")]
    Wrong(Problems),
}

impl Retention {
    /// True when any mail is ever removed.
    pub(crate) fn is_some(&self) -> bool {
        self.junk.is_some() || self.trash.is_some()
    }
}

impl Protocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Lmtp => "lmtp",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::ManageSieve => "managesieve",
            Self::Http => "http",
        }
    }
}

impl TlsMode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Starttls => "starttls",
            Self::Implicit => "implicit",
        }
    }
}

impl Config {
    /// The configuration of the file, or of no file: then everything is on
    /// 127.0.0.1.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let default = Path::new(DEFAULT_FILE);
        let path = match path {
            Some(path) => path,
            None if default.exists() => default,
            None => return Ok(Self::without_file()),
        };
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        resolve::resolve(path, &text).map_err(ConfigError::Wrong)
    }

    /// What holds without a file.
    pub(crate) fn without_file() -> Self {
        resolve::defaults()
    }

    /// With everything of `other` that can't change while a server runs.
    #[must_use]
    pub(crate) fn keeping(self, other: &Self) -> Self {
        let other = other.clone();
        let mut kept = Self {
            file: other.file,
            hostname: other.hostname,
            name_check: other.name_check,
            data: other.data,
            store: other.store,
            low_space: other.low_space,
            undelete_for: other.undelete_for,
            migration: other.migration,
            schedule: other.schedule,
            keep_delivered: other.keep_delivered,
            runner: other.runner,
            housekeeping: other.housekeeping,
            retention: other.retention,
            journal: other.journal,
            events: EventsConfig {
                keep: other.events.keep,
                most: other.events.most,
                ..self.events.clone()
            },
            log: other.log,
            ..self
        };
        if other.ports == Ports::Free {
            kept.take_free_ports();
        }
        kept
    }

    /// The address that each listener is to take a free port on.
    pub(crate) fn take_free_ports(&mut self) {
        self.ports = Ports::Free;
        for listener in &mut self.listeners {
            listener.address.set_port(0);
        }
    }
}
