//! [`FaultyResolver`]: DNS that fails, keeps silent, or lies.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::FaultPlan;
use super::rules::Rules;
use crate::address::Domain;
use crate::seams::{DnsError, DnssecStatus, Lookup, Mx, Resolver, Tlsa};

/// What can be wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DnsFault {
    /// The name server answers SERVFAIL.
    ServFail,
    /// There is no such name (NXDOMAIN).
    NotFound,
    /// No answer, ever: the caller's patience ends it.
    Silence,
    /// CNAME records lead in a circle.
    CnameLoop,
    /// Signatures do not fit.
    Bogus,
    /// The null MX (RFC 7505); MX questions alone.
    NullMx,
    /// One MX record that names this host: the asking server, for a loop; MX
    /// questions alone.
    MxOf(Domain),
    /// So many mail hosts, `mx1.` to `mxN.` before the name, of preferences that
    /// grow; MX questions alone.
    ManyMx(u16),
    /// Hosts are there and have no address; address questions alone.
    NoAddresses,
    /// These addresses, whatever the truth is; address questions alone.
    Addresses(Vec<IpAddr>),
}

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Mx,
    Addresses,
    Other,
}

impl DnsFault {
    fn fits(&self, question: Question) -> bool {
        match self {
            Self::NullMx | Self::MxOf(_) | Self::ManyMx(_) => question == Question::Mx,
            Self::NoAddresses | Self::Addresses(_) => question == Question::Addresses,
            _ => true,
        }
    }

    /// The error, of those that are one.
    async fn error(&self) -> DnsError {
        let dnssec = DnssecStatus::Insecure;
        match self {
            Self::ServFail => DnsError::Temporary("SERVFAIL".to_owned()),
            Self::CnameLoop => DnsError::Temporary("CNAME records lead in a circle".to_owned()),
            Self::Bogus => DnsError::Bogus,
            Self::Silence => std::future::pending().await,
            _ => DnsError::NotFound { dnssec },
        }
    }
}

/// A [`Resolver`] by a [`FaultPlan`]. Its subjects are the names asked for.
#[derive(Debug)]
pub struct FaultyResolver {
    inner: Arc<dyn Resolver>,
    rules: Rules<DnsFault>,
}

impl FaultyResolver {
    pub(super) fn new(plan: FaultPlan, inner: Arc<dyn Resolver>) -> Self {
        Self {
            inner,
            rules: Rules::new(plan, "dns"),
        }
    }

    /// The `call`-th question, counted from 1, meets this fault, if it can be
    /// an answer to it.
    pub fn at(&self, call: u64, fault: DnsFault) -> &Self {
        self.rules.at(call, fault);
        self
    }

    /// Every question about `name` meets this fault, if it can be an answer to
    /// it, until [`FaultyResolver::heal`].
    pub fn on(&self, name: &str, fault: DnsFault) -> &Self {
        self.rules.on(name.to_owned(), fault);
        self
    }

    /// Questions about `name` are answered again.
    pub fn heal(&self, name: &str) -> &Self {
        self.rules.heal(name);
        self
    }

    /// Once in so many questions meets one of these faults.
    pub fn sometimes(&self, once_in: u64, faults: &[DnsFault]) -> &Self {
        self.rules.sometimes(once_in, faults);
        self
    }

    fn meet(&self, name: &str, question: Question) -> Option<DnsFault> {
        self.rules.meet(name, |fault| fault.fits(question))
    }
}

fn lookup<T>(records: Vec<T>) -> Lookup<T> {
    Lookup {
        records,
        dnssec: DnssecStatus::Insecure,
        ttl: Duration::from_secs(300),
        alias: None,
    }
}

#[async_trait]
impl Resolver for FaultyResolver {
    async fn mx(&self, domain: &Domain) -> Result<Lookup<Mx>, DnsError> {
        let mx = |preference, host| Mx { preference, host };
        match self.meet(domain.as_str(), Question::Mx) {
            None => self.inner.mx(domain).await,
            Some(DnsFault::NullMx) => Ok(lookup(vec![mx(0, None)])),
            Some(DnsFault::MxOf(host)) => Ok(lookup(vec![mx(10, Some(host))])),
            Some(DnsFault::ManyMx(count)) => {
                let host = |n: u16| Domain::parse(&format!("mx{n}.{domain}")).ok();
                Ok(lookup((1..=count).map(|n| mx(n, host(n))).collect()))
            }
            Some(fault) => Err(fault.error().await),
        }
    }

    async fn addresses(&self, host: &Domain) -> Result<Lookup<IpAddr>, DnsError> {
        match self.meet(host.as_str(), Question::Addresses) {
            None => self.inner.addresses(host).await,
            Some(DnsFault::Addresses(addresses)) => Ok(lookup(addresses)),
            Some(fault) => Err(fault.error().await),
        }
    }

    async fn txt(&self, name: &Domain) -> Result<Lookup<Vec<u8>>, DnsError> {
        match self.meet(name.as_str(), Question::Other) {
            None => self.inner.txt(name).await,
            Some(fault) => Err(fault.error().await),
        }
    }

    async fn ptr(&self, ip: IpAddr) -> Result<Lookup<Domain>, DnsError> {
        match self.meet(&ip.to_string(), Question::Other) {
            None => self.inner.ptr(ip).await,
            Some(fault) => Err(fault.error().await),
        }
    }

    async fn tlsa(&self, name: &Domain) -> Result<Lookup<Tlsa>, DnsError> {
        match self.meet(name.as_str(), Question::Other) {
            None => self.inner.tlsa(name).await,
            Some(fault) => Err(fault.error().await),
        }
    }
}
