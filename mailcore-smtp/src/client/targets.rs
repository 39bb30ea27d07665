//! Which addresses are called for a next hop, in order (RFC 5321 section 5.1).

use std::net::{IpAddr, SocketAddr};

use mailcore::address::Domain;
use mailcore::route::mx::{self, MAX_TARGETS};
use mailcore::seams::{DnsError, Entropy, NextHop, Resolver};
use mailcore::status::{Failure, Status};

use super::config::RemoteConfig;

/// An address to call and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The host's name: for SNI, certificates and `Remote-MTA`.
    pub(super) host: Domain,
    /// Where it is.
    pub(super) address: SocketAddr,
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
    let addresses = match addresses(host, config, resolver).await {
        Ok(addresses) => addresses,
        // Somebody here wrote the name down wrongly: mail waits until it is
        // put right.
        Err(DnsError::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(mx::dns_failure(host, &error)),
    };
    if addresses.is_empty() {
        let text = format!("the host {host} has no usable address");
        return Err(Failure::local(Status::transient(4, 4, text)));
    }
    let target = |ip| Target {
        host: host.clone(),
        address: SocketAddr::new(ip, port),
    };
    Ok(addresses
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
    for found in &hosts.hosts {
        if targets.len() >= config.max_addresses.min(MAX_TARGETS) {
            break;
        }
        match addresses(&found.host, config, resolver).await {
            Ok(addresses) if addresses.iter().any(|ip| config.own.is_own_address(*ip)) => {
                own_at = Some(found.preference);
                break;
            }
            Ok(addresses) => targets.extend(addresses.into_iter().map(|ip| {
                let host = found.host.clone();
                let address = SocketAddr::new(ip, config.port);
                (found.preference, Target { host, address })
            })),
            Err(DnsError::NotFound { .. }) => {}
            Err(error) => unknown = Some(mx::dns_failure(&found.host, &error)),
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

async fn addresses(
    host: &Domain,
    config: &RemoteConfig,
    resolver: &dyn Resolver,
) -> Result<Vec<IpAddr>, DnsError> {
    if let Some(ip) = host.as_ip() {
        return Ok(vec![ip]);
    }
    let Ok(ascii) = host.to_ascii() else {
        return Ok(Vec::new());
    };
    let found = resolver.addresses(&ascii).await?;
    Ok(config.address_order.apply(&found.records))
}
