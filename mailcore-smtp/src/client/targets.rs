//! Which addresses are called for a next hop, in order (RFC 5321 section 5.1).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mailcore::address::Domain;
use mailcore::route::mx::{self, MAX_TARGETS};
use mailcore::seams::{Alias, DnsError, DnssecStatus, Entropy, NextHop, Resolver};
use mailcore::status::{Failure, Status};

use super::config::{HostSettings, LoopbackHosts, RemoteConfig};

/// An address to call and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The host's name: for SNI, certificates and `Remote-MTA`.
    pub(super) host: Domain,
    /// Where it is.
    pub(super) address: SocketAddr,
    /// What DNS vouches for of it.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "TLS alone asks"))]
    pub(super) trust: Trust,
    /// How it is spoken to, where that is set.
    pub(super) settings: Option<Arc<HostSettings>>,
}

/// What DNS vouches for of a target (RFC 7672 section 2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trust {
    /// The domain whose MX records name the host; `None` for a host that the
    /// route names.
    pub(super) domain: Option<Domain>,
    /// What validation said of those records.
    pub(super) mx: DnssecStatus,
    /// What it said of the host's addresses.
    pub(super) addresses: DnssecStatus,
    /// Where the host's name leads, when it is an alias.
    pub(super) alias: Option<Alias>,
}

impl Trust {
    fn of_host(found: &Found) -> Self {
        Self {
            domain: None,
            // Nobody could forge what stands in the configuration.
            mx: DnssecStatus::Secure,
            addresses: found.dnssec,
            alias: found.alias.clone(),
        }
    }
}

/// A host's addresses.
#[derive(Debug)]
struct Found {
    addresses: Vec<IpAddr>,
    dnssec: DnssecStatus,
    alias: Option<Alias>,
}

impl Found {
    fn unsigned(addresses: Vec<IpAddr>) -> Self {
        Self {
            addresses,
            dnssec: DnssecStatus::Insecure,
            alias: None,
        }
    }
}

/// The hosts of a route, one after the other.
pub(super) async fn of_route(
    hosts: &[Arc<HostSettings>],
    config: &RemoteConfig,
    resolver: &dyn Resolver,
) -> Result<Vec<Target>, Failure> {
    let (mut targets, mut failed) = (Vec::new(), None);
    for settings in hosts {
        match of_host(&settings.host, settings.port, config, resolver).await {
            Ok(mut found) => {
                let settings = |target: &mut Target| target.settings = Some(Arc::clone(settings));
                found.iter_mut().for_each(settings);
                targets.append(&mut found);
            }
            Err(failure) => failed = Some(failure),
        }
    }
    match failed {
        Some(failure) if targets.is_empty() => Err(failure),
        _ => Ok(targets),
    }
}

/// Looks the hop up. At least one target, or the reason there is none.
pub(super) async fn find(
    hop: &NextHop,
    config: &RemoteConfig,
    resolver: &dyn Resolver,
    entropy: &dyn Entropy,
) -> Result<Vec<Target>, Failure> {
    match hop {
        NextHop::Mx(domain) => of_domain(domain, config, resolver, entropy).await,
        NextHop::Host { host, port } => of_host(host, *port, config, resolver).await,
        NextHop::Local => Err(Failure::local(Status::transient(
            3,
            5,
            "the route names no next host",
        ))),
    }
}

async fn of_host(
    host: &Domain,
    port: u16,
    config: &RemoteConfig,
    resolver: &dyn Resolver,
) -> Result<Vec<Target>, Failure> {
    let found = match addresses(host, config, resolver).await {
        Ok(found) => found,
        // Somebody here wrote the name down wrongly: mail waits until it is
        // put right.
        Err(DnsError::NotFound { .. }) => Found::unsigned(Vec::new()),
        Err(error) => return Err(mx::dns_failure(host, &error)),
    };
    if found.addresses.is_empty() {
        let text = format!("the host {host} has no usable address");
        return Err(Failure::local(Status::transient(4, 4, text)));
    }
    let trust = Trust::of_host(&found);
    let target = |ip| Target {
        host: host.clone(),
        address: SocketAddr::new(ip, port),
        trust: trust.clone(),
        settings: None,
    };
    Ok(found
        .addresses
        .into_iter()
        .map(target)
        .take(MAX_TARGETS)
        .collect())
}

async fn of_domain(
    domain: &Domain,
    config: &RemoteConfig,
    resolver: &dyn Resolver,
    entropy: &dyn Entropy,
) -> Result<Vec<Target>, Failure> {
    let ascii = domain
        .to_ascii()
        .map_err(|error| Failure::local(Status::permanent(1, 2, error.to_string())))?;
    let hosts = mx::select(&ascii, resolver.mx(&ascii).await, &config.own, entropy)?;
    let (mut targets, mut own_at, mut unknown) = (Vec::new(), None, None);
    for mx in &hosts.hosts {
        if targets.len() >= config.max_addresses.min(MAX_TARGETS) {
            break;
        }
        match addresses(&mx.host, config, resolver).await {
            Ok(found) if is_own(&found, config) => {
                own_at = Some(mx.preference);
                break;
            }
            Ok(found) => {
                let trust = Trust {
                    domain: Some(ascii.clone()),
                    mx: hosts.dnssec,
                    ..Trust::of_host(&found)
                };
                targets.extend(found.addresses.into_iter().map(|ip| {
                    let (host, trust) = (mx.host.clone(), trust.clone());
                    let address = SocketAddr::new(ip, config.port);
                    let target = Target {
                        host,
                        address,
                        trust,
                        settings: None,
                    };
                    (mx.preference, target)
                }));
            }
            Err(DnsError::NotFound { .. }) => {}
            Err(error) => unknown = Some(mx::dns_failure(&mx.host, &error)),
        }
    }
    if let Some(limit) = own_at {
        targets.retain(|(preference, _)| *preference < limit);
    }
    if !targets.is_empty() {
        targets.truncate(MAX_TARGETS);
        return Ok(targets.into_iter().map(|(_, target)| target).collect());
    }
    Err(match (unknown, own_at) {
        (Some(failure), _) => failure,
        (None, Some(_)) => mx::loops_back(domain),
        (None, None) => nowhere(domain, hosts.implicit),
    })
}

/// RFC 5321 section 5.1: when none of the hosts is usable, that is an error.
fn nowhere(domain: &Domain, implicit: bool) -> Failure {
    Failure::local(if implicit {
        Status::permanent(
            1,
            2,
            format!("{domain} has neither mail hosts nor an address"),
        )
    } else {
        Status::permanent(
            4,
            4,
            format!("no mail host of {domain} has a usable address"),
        )
    })
}

fn is_own(found: &Found, config: &RemoteConfig) -> bool {
    let refused = config.loopback == LoopbackHosts::Refused;
    let mut addresses = found.addresses.iter();
    addresses.any(|ip| config.own.is_own_address(*ip) || refused && is_loopback(*ip))
}

/// Whether a connection to the address stays on this machine: the unspecified
/// address leads to loopback, too.
fn is_loopback(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || ip.is_unspecified()
}

async fn addresses(
    host: &Domain,
    config: &RemoteConfig,
    resolver: &dyn Resolver,
) -> Result<Found, DnsError> {
    if let Some(ip) = host.as_ip() {
        return Ok(Found::unsigned(vec![ip]));
    }
    let Ok(ascii) = host.to_ascii() else {
        return Ok(Found::unsigned(Vec::new()));
    };
    let found = resolver.addresses(&ascii).await?;
    Ok(Found {
        addresses: config.address_order.apply(&found.records),
        dnssec: found.dnssec,
        alias: found.alias,
    })
}
