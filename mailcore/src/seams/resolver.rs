//! DNS, as a mail server asks it.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::address::Domain;

/// Looks names up. Answers are in the order DNS gave them.
///
/// A name that is not there ([`DnsError::NotFound`]) and a server that does not
/// answer ([`DnsError::Temporary`]) are different things: the first decides,
/// the second defers.
#[async_trait]
pub trait Resolver: Debug + Send + Sync {
    /// MX records. A null MX (RFC 7505) is one record without a host.
    async fn mx(&self, domain: &Domain) -> Result<Lookup<Mx>, DnsError>;

    /// A and AAAA records.
    async fn addresses(&self, host: &Domain) -> Result<Lookup<IpAddr>, DnsError>;

    /// A records alone: what lists in DNS answer with (RFC 5782 section 2.1).
    /// Unless told otherwise, those among [`Resolver::addresses`].
    async fn ipv4_addresses(&self, name: &Domain) -> Result<Lookup<Ipv4Addr>, DnsError> {
        let found = self.addresses(name).await?;
        let v4 = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        };
        let records: Vec<_> = found.records.into_iter().filter_map(v4).collect();
        if records.is_empty() {
            let dnssec = found.dnssec;
            return Err(DnsError::NotFound { dnssec });
        }
        Ok(Lookup {
            records,
            dnssec: found.dnssec,
            ttl: found.ttl,
            alias: found.alias,
        })
    }

    /// TXT records, each with its strings joined.
    async fn txt(&self, name: &Domain) -> Result<Lookup<Vec<u8>>, DnsError>;

    /// PTR records.
    async fn ptr(&self, ip: IpAddr) -> Result<Lookup<Domain>, DnsError>;

    /// TLSA records of a name such as `_25._tcp.mx.example.com`.
    async fn tlsa(&self, name: &Domain) -> Result<Lookup<Tlsa>, DnsError>;

    /// SRV records of a name such as `_imaps._tcp.example.com` (RFC 2782). A
    /// resolver need not know them: no mail hangs on them.
    async fn srv(&self, name: &Domain) -> Result<Lookup<Srv>, DnsError> {
        let _ = name;
        let why = "this resolver does not look for SRV records";
        Err(DnsError::Temporary(why.to_owned()))
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup<T> {
    /// At least one record.
    pub records: Vec<T>,
    /// How far the answer can be trusted.
    pub dnssec: DnssecStatus,
    /// How long it holds.
    pub ttl: Duration,
    /// Where the name led, when it is an alias.
    pub alias: Option<Alias>,
}

/// A name that CNAME records lead from to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The name at the end of the chain.
    pub target: Domain,
    /// What validation said of the chain's first record alone: the alias may
    /// be signed where what it leads to is not (RFC 7672 section 2.2.2).
    pub dnssec: DnssecStatus,
}

/// What validation said (RFC 4033 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnssecStatus {
    /// Signed and validated, each record of the chain that led to the answer.
    Secure,
    /// Not signed, or not validated here.
    Insecure,
}

impl DnssecStatus {
    /// True when the answer is proven to be the zone's own.
    pub fn is_secure(self) -> bool {
        self == Self::Secure
    }

    /// The status of two answers together: that of the weaker.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self.is_secure() { other } else { self }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DnsError {
    /// There is no such name, or it has no such record.
    #[error("no such record")]
    NotFound {
        /// What validation said of the denial.
        dnssec: DnssecStatus,
    },
    /// No server answered, or answered with SERVFAIL; try later.
    #[error("DNS gives no answer now: {0}")]
    Temporary(String),
    /// Signatures do not fit; treat as temporary, never as insecure.
    #[error("DNSSEC validation failed")]
    Bogus,
}

/// A mail exchanger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// The host; `None` for the null MX.
    pub host: Option<Domain>,
}

/// An SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Srv {
    /// Lower is preferred.
    pub priority: u16,
    /// Share among those of one priority.
    pub weight: u16,
    /// Port of the service.
    pub port: u16,
    /// The host; `None` when the service is not offered.
    pub host: Option<Domain>,
}

impl Srv {
    /// A record.
    pub fn new((priority, weight): (u16, u16), port: u16, host: Option<Domain>) -> Self {
        Self {
            priority,
            weight,
            port,
            host,
        }
    }
}

/// A TLSA record (RFC 6698 section 2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlsa {
    /// Certificate usage.
    pub usage: u8,
    /// Selector.
    pub selector: u8,
    /// Matching type.
    pub matching: u8,
    /// The data to match.
    pub data: Vec<u8>,
}
