//! How the client behaves: time-outs, limits, TLS and passwords.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mailcore::account::Secret;
use mailcore::address::Domain;
use mailcore::route::mx::{AddressOrder, OwnNames};
use mailcore::seams::{Entropy, OsEntropy};
use mailcore::transcript::Transcript;

/// How long each answer is awaited (RFC 5321 section 4.5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// DNS: finding the hosts, and what one of them must show.
    pub lookup: Duration,
    /// The connection itself.
    pub connect: Duration,
    /// The connection itself, while another address can be tried: a dead IPv6
    /// route must not hold mail up (RFC 8305).
    pub connect_early: Duration,
    /// The 220 greeting.
    pub greeting: Duration,
    /// EHLO, HELO, STARTTLS, AUTH and RSET.
    pub command: Duration,
    /// The TLS handshake.
    pub handshake: Duration,
    /// MAIL.
    pub mail: Duration,
    /// RCPT.
    pub rcpt: Duration,
    /// The 354 after DATA.
    pub data: Duration,
    /// Each block of content until it is sent.
    pub block: Duration,
    /// The reply to the whole message.
    pub end_of_data: Duration,
    /// QUIT, whose reply nobody needs.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self {
            lookup: minutes(1),
            connect: Duration::from_secs(30),
            connect_early: Duration::from_secs(5),
            greeting: minutes(5),
            command: minutes(5),
            handshake: minutes(1),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            block: minutes(3),
            end_of_data: minutes(10),
            quit: Duration::from_secs(5),
        }
    }
}

/// How a connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TlsPolicy {
    /// In clear, whatever is offered.
    Never,
    /// STARTTLS where it is offered, any certificate; in clear where it is not
    /// or fails (RFC 7435): better than nothing against who only listens.
    #[default]
    Opportunistic,
    /// STARTTLS with any certificate, or nothing.
    Encrypted,
    /// STARTTLS with a certificate that the host's TLSA records name (RFC
    /// 7672), or nothing. Chosen where there are such records, not by
    /// configuration.
    Dane,
    /// STARTTLS with a certificate that is valid for the host, or nothing.
    Verified,
    /// TLS from the first octet with a valid certificate, or nothing (RFC 8314
    /// section 3.3, port 465).
    Implicit,
}

impl TlsPolicy {
    /// True when nothing is sent without a verified certificate.
    pub fn is_verified(self) -> bool {
        matches!(self, Self::Dane | Self::Verified | Self::Implicit)
    }
}

/// Name and password for a host that wants them.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The login name.
    pub login: String,
    /// The password.
    pub password: Secret,
    /// Over which connections it may go.
    pub password_use: PasswordUse,
}

/// Over which connections a password may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PasswordUse {
    /// Within TLS alone.
    #[default]
    WithinTls,
    /// In clear too: for a host on a network that is trusted.
    EvenInClear,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Protocol {
    /// SMTP (RFC 5321).
    #[default]
    Smtp,
    /// LMTP: a reply for each recipient after the data (RFC 2033).
    Lmtp,
}

/// When content goes in chunks (RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Chunking {
    /// Wherever the host offers it.
    #[default]
    WhereOffered,
    /// Only for what DATA can't carry.
    ForBinary,
}

/// How one session behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionConfig {
    /// The name for EHLO.
    pub hostname: Domain,
    /// What is spoken.
    pub protocol: Protocol,
    /// When content goes in chunks.
    pub chunking: Chunking,
    /// How it is secured.
    pub tls: TlsPolicy,
    /// Who to log in as.
    pub credentials: Option<Credentials>,
    /// Where a login's nonces come from.
    pub entropy: Arc<dyn Entropy>,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Takes what is said.
    pub transcript: Option<Transcript>,
}

impl SessionConfig {
    /// SMTP, opportunistic TLS, no login, the RFC's time-outs.
    pub fn new(hostname: Domain) -> Self {
        Self {
            hostname,
            protocol: Protocol::default(),
            chunking: Chunking::default(),
            tls: TlsPolicy::default(),
            credentials: None,
            entropy: Arc::new(OsEntropy),
            timeouts: Timeouts::default(),
            transcript: None,
        }
    }
}

/// A host that is treated differently from those that MX records name: a smart
/// host, an internal server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HostSettings {
    /// Its name or address literal, as the route says it.
    pub host: Domain,
    /// Its port.
    pub port: u16,
    /// What is spoken there.
    pub protocol: Protocol,
    /// How it is secured.
    pub tls: TlsPolicy,
    /// Who to log in as.
    pub credentials: Option<Credentials>,
}

impl HostSettings {
    /// SMTP with opportunistic TLS and no login.
    pub fn new(host: Domain, port: u16) -> Self {
        Self {
            host,
            port,
            protocol: Protocol::default(),
            tls: TlsPolicy::default(),
            credentials: None,
        }
    }

    /// Secured like this.
    #[must_use]
    pub fn tls(mut self, policy: TlsPolicy) -> Self {
        self.tls = policy;
        self
    }

    /// Logs in, within TLS alone.
    #[must_use]
    pub fn login(mut self, login: impl Into<String>, password: Secret) -> Self {
        self.credentials = Some(Credentials {
            login: login.into(),
            password,
            password_use: PasswordUse::WithinTls,
        });
        self
    }
}

/// An address to call from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceAddress {
    /// The address.
    pub ip: IpAddr,
    /// What EHLO says there; `None` for the agent's own name.
    pub name: Option<Domain>,
}

/// Where the mail of one route goes, in place of where its next hop leads: see
/// [`RemoteAgentBuilder::route`](super::RemoteAgentBuilder::route).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RouteSettings {
    /// Hosts, the first one that serves being taken. None for the next hop.
    pub hosts: Vec<HostSettings>,
    /// Addresses to call from; none for the agent's.
    pub sources: Vec<SourceAddress>,
}

impl RouteSettings {
    /// By these hosts, whatever the next hop is.
    pub fn by(hosts: impl IntoIterator<Item = HostSettings>) -> Self {
        Self {
            hosts: hosts.into_iter().collect(),
            sources: Vec::new(),
        }
    }
}

/// How many connections are kept open for the next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolLimits {
    /// To all hops together.
    pub max_idle: usize,
    /// To one hop.
    pub max_idle_per_hop: usize,
    /// How long one waits for the next message.
    pub idle_for: Duration,
    /// Messages sent over one connection.
    pub max_messages: u32,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            max_idle: 100,
            max_idle_per_hop: 5,
            idle_for: Duration::from_secs(15),
            max_messages: 100,
        }
    }
}

/// Whether hosts that a domain's DNS records place on this machine are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoopbackHosts {
    /// They are this server: a stranger's records must not lead it to call
    /// itself, from an address that it trusts. Hosts that a route names are
    /// called nevertheless.
    #[default]
    Refused,
    /// They are other hosts: for tests.
    Allowed,
}

/// How the remote agent behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RemoteConfig {
    /// The port of hosts that MX records name.
    pub port: u16,
    /// How these are secured.
    pub tls: TlsPolicy,
    /// Which addresses of a host come first.
    pub address_order: AddressOrder,
    /// This server's names and addresses, so that it does not send to itself.
    pub own: OwnNames,
    /// Whether a domain's hosts may be on this machine.
    pub loopback: LoopbackHosts,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Connections kept open.
    pub pool: PoolLimits,
    /// When content goes in chunks.
    pub chunking: Chunking,
    /// Addresses to call from, the first of the called address's family being
    /// taken; none for the system's choice.
    pub sources: Vec<SourceAddress>,
    /// Recipients in one transaction; more go in the next one (RFC 5321 section
    /// 4.5.3.1.8 has every host take 100).
    pub max_recipients: usize,
    /// Hosts that greeted and then refused for now, after which the attempt
    /// ends.
    pub max_sessions: usize,
    /// Addresses tried in one attempt.
    pub max_addresses: usize,
    /// How long a hop to which no connection could be made is not called
    /// again: a queue full of mail for a dead host must not dial for each.
    pub suspend_for: Duration,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self {
            port: 25,
            tls: TlsPolicy::default(),
            address_order: AddressOrder::default(),
            own: OwnNames::default(),
            loopback: LoopbackHosts::default(),
            timeouts: Timeouts::default(),
            pool: PoolLimits::default(),
            chunking: Chunking::default(),
            sources: Vec::new(),
            max_recipients: 100,
            max_sessions: 2,
            max_addresses: 10,
            suspend_for: Duration::from_secs(60),
        }
    }
}
