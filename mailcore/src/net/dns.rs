//! [`HickoryResolver`]: the [`Resolver`] over hickory-resolver.
//!
//! Answers are cached as long as their records say, denials too. With the
//! feature `dnssec` signatures are validated where the builder is given trust
//! anchors; without, every answer is [`DnssecStatus::Insecure`].

#[cfg(feature = "dnssec")]
mod anchors;
mod answer;
mod negative;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as HickoryError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use thiserror::Error;

#[cfg(feature = "dnssec")]
pub use self::anchors::{AnchorError, TrustAnchors};
use self::negative::Denials;
use crate::address::Domain;
use crate::seams::{Clock, DnsError, DnssecStatus, Lookup, Mx, Resolver, Srv, SystemClock, Tlsa};

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
    denials: Denials,
    clock: Arc<dyn Clock>,
}

/// Builds a [`HickoryResolver`].
#[derive(Debug, Default)]
pub struct HickoryResolverBuilder {
    servers: Option<Vec<SocketAddr>>,
    /// `None` for not at all.
    hosts: Option<ResolveHosts>,
    #[cfg(feature = "dnssec")]
    anchors: Option<TrustAnchors>,
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
    /// A resolver that asks the servers that the system is set up with
    /// (`/etc/resolv.conf`) and validates nothing, unless told otherwise.
    pub fn builder() -> HickoryResolverBuilder {
        HickoryResolverBuilder::default()
    }

    /// Asks the servers that the system is set up with (`/etc/resolv.conf`).
    /// Its search list is not used: names in mail are complete.
    ///
    /// # Errors
    /// [`ResolverError::System`].
    pub fn from_system() -> Result<Self, ResolverError> {
        Self::builder().build()
    }

    /// Asks these servers, by UDP and, for long answers, by TCP.
    ///
    /// # Errors
    /// [`ResolverError::NoServers`], [`ResolverError::Settings`].
    pub fn with_servers(servers: &[SocketAddr]) -> Result<Self, ResolverError> {
        Self::builder().servers(servers).build()
    }

    async fn records<T>(
        &self,
        name: Name,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Result<Lookup<T>, DnsError> {
        let now = self.clock.monotonic();
        if let Some(dnssec) = self.denials.find(&name, kind, now) {
            return Err(DnsError::NotFound { dnssec });
        }
        let failure = match self.resolver.lookup(name.clone(), kind).await {
            Ok(found) => {
                return answer::read(&name, found.answers(), pick).ok_or_else(not_found);
            }
            Err(failure) => failure,
        };
        let denied = |dnssec, ttl: Option<u32>| {
            if let Some(ttl) = ttl.map(|seconds| Duration::from_secs(seconds.into())) {
                self.denials.keep((name, kind), dnssec, ttl, now);
            }
            DnsError::NotFound { dnssec }
        };
        Err(match &failure {
            // Only an answer that says so means "not there".
            NetError::Dns(HickoryError::NoRecordsFound(none)) if is_denial(none.response_code) => {
                #[cfg(feature = "dnssec")]
                let dnssec = match &none.soa {
                    Some(soa) if soa.proof.is_secure() => DnssecStatus::Secure,
                    _ => DnssecStatus::Insecure,
                };
                #[cfg(not(feature = "dnssec"))]
                let dnssec = DnssecStatus::Insecure;
                denied(dnssec, none.negative_ttl)
            }
            // A denial that is not proven, in a zone that need not prove it.
            #[cfg(feature = "dnssec")]
            NetError::Dns(HickoryError::Nsec {
                response, proof, ..
            }) if proof.is_insecure() && is_denial(response.response_code) => {
                denied(DnssecStatus::Insecure, response.negative_ttl())
            }
            #[cfg(feature = "dnssec")]
            NetError::Dns(HickoryError::Nsec { .. } | HickoryError::DnssecBogus) => DnsError::Bogus,
            _ => DnsError::Temporary(failure.to_string()),
        })
    }
}

impl HickoryResolverBuilder {
    /// Asks these servers, by UDP and, for long answers, by TCP, instead of
    /// the system's.
    #[must_use]
    pub fn servers(mut self, servers: &[SocketAddr]) -> Self {
        self.servers = Some(servers.to_vec());
        self
    }

    /// Believes the system's hosts file (`/etc/hosts`) before DNS. It is not read
    /// otherwise: where mail goes is what the world is told.
    #[must_use]
    pub fn hosts_file(mut self) -> Self {
        self.hosts = Some(ResolveHosts::Always);
        self
    }

    /// Validates all answers down from these keys. The servers must hand
    /// signatures on; what they say of validity is not believed.
    #[cfg(feature = "dnssec")]
    #[must_use]
    pub fn validate(mut self, anchors: TrustAnchors) -> Self {
        self.anchors = Some(anchors);
        self
    }

    /// The resolver.
    ///
    /// # Errors
    /// [`ResolverError`].
    pub fn build(self) -> Result<HickoryResolver, ResolverError> {
        let settings = |error: NetError| ResolverError::Settings(error.to_string());
        let mut builder = match &self.servers {
            None => system()?,
            Some(servers) if servers.is_empty() => return Err(ResolverError::NoServers),
            Some(servers) => {
                let servers = servers.iter().map(server).collect();
                let config = ResolverConfig::from_name_servers(servers);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        bound(builder.options_mut());
        builder.options_mut().use_hosts_file = self.hosts.unwrap_or(ResolveHosts::Never);
        #[cfg(feature = "dnssec")]
        if let Some(anchors) = self.anchors {
            builder = builder.with_trust_anchor(anchors.into_keys());
        }
        Ok(HickoryResolver {
            resolver: builder.build().map_err(settings)?,
            denials: Denials::default(),
            clock: Arc::new(SystemClock::new()),
        })
    }
}

fn system() -> Result<ResolverBuilder<TokioRuntimeProvider>, ResolverError> {
    TokioResolver::builder_tokio().map_err(|error| ResolverError::System(error.to_string()))
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

fn bound(options: &mut ResolverOpts) {
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    options.max_active_requests = MAX_ACTIVE;
    options.try_tcp_on_error = true;
    // Each alias on the way counts for what the answer is worth.
    options.preserve_intermediates = true;
}

fn not_found() -> DnsError {
    DnsError::NotFound {
        dnssec: DnssecStatus::Insecure,
    }
}

fn is_denial(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::NXDomain | ResponseCode::NoError)
}

/// The name in full, so that no search list is tried.
fn absolute(domain: &Domain) -> Result<Name, DnsError> {
    let ascii = domain.to_ascii().map_err(|_| not_found())?;
    if ascii.as_ip().is_some() {
        return Err(not_found());
    }
    // What DNS cannot hold is not in it.
    // By its labels: a name may hold what would be read as an escape.
    let labels = ascii.as_str().split('.').map(str::as_bytes);
    let mut name = Name::from_labels(labels).map_err(|_| not_found())?;
    name.set_fqdn(true);
    Ok(name)
}

/// The name as a host; `None` for the root and for what is no host name.
fn host(name: &Name) -> Option<Domain> {
    Domain::parse(&name.to_ascii()).ok()
}

#[async_trait]
impl Resolver for HickoryResolver {
    async fn mx(&self, domain: &Domain) -> Result<Lookup<Mx>, DnsError> {
        let no_host = AtomicBool::new(false);
        let pick = |data: &RData| {
            let RData::MX(mx) = data else { return None };
            let named = match mx.exchange.is_root() {
                true => None,
                false => Some(host(&mx.exchange).or_else(|| {
                    no_host.store(true, Ordering::Relaxed);
                    None
                })?),
            };
            Some(Mx {
                preference: mx.preference,
                host: named,
            })
        };
        let found = self.records(absolute(domain)?, RecordType::MX, pick).await;
        match found {
            // RFC 5321 section 5.1: records that are there and of no use are an
            // error; the domain's own address is for domains that have none.
            Err(DnsError::NotFound { .. }) if no_host.load(Ordering::Relaxed) => {
                let why = format!("the MX records of {domain} name no host");
                Err(DnsError::Temporary(why))
            }
            found => found,
        }
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
                both.dnssec = both.dnssec.and(v4.dnssec);
                Ok(both)
            }
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            // Not there in one family and unknown in the other is unknown.
            (Err(DnsError::NotFound { .. }), Err(error)) => Err(error),
            (Err(error), Err(_)) => Err(error),
        }
    }

    async fn ipv4_addresses(&self, name: &Domain) -> Result<Lookup<Ipv4Addr>, DnsError> {
        let pick = |data: &RData| match data {
            RData::A(a) => Some(a.0),
            _ => None,
        };
        self.records(absolute(name)?, RecordType::A, pick).await
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

    async fn srv(&self, name: &Domain) -> Result<Lookup<Srv>, DnsError> {
        let pick = |data: &RData| match data {
            RData::SRV(srv) => Some(Srv::new(
                (srv.priority, srv.weight),
                srv.port,
                host(&srv.target).filter(|_| !srv.target.is_root()),
            )),
            _ => None,
        };
        self.records(absolute(name)?, RecordType::SRV, pick).await
    }
}
