//! [`HickoryResolver`]: the [`Resolver`] over hickory-resolver.
//!
//! Answers are cached as long as their records say. Signatures are not
//! validated: every answer is [`DnssecStatus::Insecure`].

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as HickoryError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use thiserror::Error;

use crate::address::Domain;
use crate::seams::{DnsError, DnssecStatus, Lookup, Mx, Resolver, Tlsa};

/// How long one server has for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Times a question is repeated.
const ATTEMPTS: usize = 2;
/// Questions under way on one connection to a name server.
const MAX_ACTIVE: usize = 1_024;
/// Records kept of one answer.
const MAX_RECORDS: usize = 1_000;

/// Asks name servers, and keeps what they say for its time.
#[derive(Debug)]
pub struct HickoryResolver {
    resolver: TokioResolver,
}

/// Why there is no resolver.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResolverError {
    /// The system names no usable servers.
    #[error("the system's DNS settings can't be used: {0}; name the servers in the configuration")]
    System(String),
    /// No server was given.
    #[error("no name server is given; give at least one")]
    NoServers,
    /// The resolver refused the settings.
    #[error("these name servers can't be used: {0}")]
    Settings(String),
}

impl HickoryResolver {
    /// Asks the servers that the system is set up with (`/etc/resolv.conf`).
    /// Its search list is not used: names in mail are complete.
    ///
    /// # Errors
    /// [`ResolverError::System`].
    pub fn from_system() -> Result<Self, ResolverError> {
        let system = |error: NetError| ResolverError::System(error.to_string());
        let mut builder = TokioResolver::builder_tokio().map_err(system)?;
        bound(builder.options_mut());
        let resolver = builder.build().map_err(system)?;
        Ok(Self { resolver })
    }

    /// Asks these servers, by UDP and, for long answers, by TCP.
    ///
    /// # Errors
    /// [`ResolverError::NoServers`], [`ResolverError::Settings`].
    pub fn with_servers(servers: &[SocketAddr]) -> Result<Self, ResolverError> {
        if servers.is_empty() {
            return Err(ResolverError::NoServers);
        }
        let server = |address: &SocketAddr| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut server.connections {
                connection.port = address.port();
            }
            server
        };
        let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        bound(builder.options_mut());
        let settings = |error: NetError| ResolverError::Settings(error.to_string());
        let resolver = builder.build().map_err(settings)?;
        Ok(Self { resolver })
    }

    async fn records<T>(
        &self,
        name: Name,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Result<Lookup<T>, DnsError> {
        let answer = self.resolver.lookup(name, kind).await.map_err(error)?;
        let (mut records, mut ttl) = (Vec::new(), u32::MAX);
        for Record { data, ttl: own, .. } in answer.answers() {
            ttl = ttl.min(*own);
            if records.len() < MAX_RECORDS {
                records.extend(pick(data));
            }
        }
        if records.is_empty() {
            return Err(not_found());
        }
        Ok(Lookup {
            records,
            dnssec: DnssecStatus::Insecure,
            ttl: Duration::from_secs(ttl.into()),
        })
    }
}

fn bound(options: &mut ResolverOpts) {
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    options.max_active_requests = MAX_ACTIVE;
    options.try_tcp_on_error = true;
}

fn not_found() -> DnsError {
    DnsError::NotFound {
        dnssec: DnssecStatus::Insecure,
    }
}

/// Only an answer that says so means "not there".
fn error(error: NetError) -> DnsError {
    match &error {
        NetError::Dns(HickoryError::NoRecordsFound(none))
            if matches!(
                none.response_code,
                ResponseCode::NXDomain | ResponseCode::NoError
            ) =>
        {
            not_found()
        }
        _ => DnsError::Temporary(error.to_string()),
    }
}

/// The name in full, so that no search list is tried.
fn absolute(domain: &Domain) -> Result<Name, DnsError> {
    let ascii = domain.to_ascii().map_err(|_| not_found())?;
    if ascii.as_ip().is_some() {
        return Err(not_found());
    }
    // What DNS cannot hold is not in it.
    Name::from_ascii(format!("{ascii}.")).map_err(|_| not_found())
}

/// The name as a host; `None` for the root and for what is no host name.
fn host(name: &Name) -> Option<Domain> {
    Domain::parse(&name.to_ascii()).ok()
}

#[async_trait]
impl Resolver for HickoryResolver {
    async fn mx(&self, domain: &Domain) -> Result<Lookup<Mx>, DnsError> {
        let pick = |data: &RData| match data {
            RData::MX(mx) if mx.exchange.is_root() => Some(Mx {
                preference: mx.preference,
                host: None,
            }),
            RData::MX(mx) => host(&mx.exchange).map(|host| Mx {
                preference: mx.preference,
                host: Some(host),
            }),
            _ => None,
        };
        self.records(absolute(domain)?, RecordType::MX, pick).await
    }

    async fn addresses(&self, host: &Domain) -> Result<Lookup<IpAddr>, DnsError> {
        let name = absolute(host)?;
        let pick = |data: &RData| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        };
        let (v6, v4) = tokio::join!(
            self.records(name.clone(), RecordType::AAAA, pick),
            self.records(name, RecordType::A, pick),
        );
        match (v6, v4) {
            (Ok(mut both), Ok(v4)) => {
                both.records.extend(v4.records);
                both.ttl = both.ttl.min(v4.ttl);
                Ok(both)
            }
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            // Not there in one family and unknown in the other is unknown.
            (Err(DnsError::NotFound { .. }), Err(error)) => Err(error),
            (Err(error), Err(_)) => Err(error),
        }
    }

    async fn txt(&self, name: &Domain) -> Result<Lookup<Vec<u8>>, DnsError> {
        let pick = |data: &RData| match data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        };
        self.records(absolute(name)?, RecordType::TXT, pick).await
    }

    async fn ptr(&self, ip: IpAddr) -> Result<Lookup<Domain>, DnsError> {
        let pick = |data: &RData| match data {
            RData::PTR(ptr) => host(&ptr.0),
            _ => None,
        };
        let mut name = Name::from(ip);
        name.set_fqdn(true);
        self.records(name, RecordType::PTR, pick).await
    }

    async fn tlsa(&self, name: &Domain) -> Result<Lookup<Tlsa>, DnsError> {
        let pick = |data: &RData| match data {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        };
        self.records(absolute(name)?, RecordType::TLSA, pick).await
    }
}
