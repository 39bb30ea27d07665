//! Hosts that are trusted by where they are: [`TrustedHosts`].
//!
//! Names are looked up when a peer first asks, and anew once the answer's time
//! is over. Meanwhile the old answer holds, so that nobody waits for DNS.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::confirmed::{ConfirmedNames, is_within};
use super::{ArpTable, MacAddress, MacAddressError, Neighbours};
use crate::address::Domain;
use crate::net::{Network, NetworkError};
use crate::seams::{Clock, DnsError, Resolver};
use crate::time::Monotonic;

/// The shortest and the longest time that an answer holds.
const TTL: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(86_400));
/// How long after a failure the name is asked for again.
const RETRY: Duration = Duration::from_secs(30);
/// How long a peer waits for the first look-up of a name.
const FIRST: Duration = Duration::from_secs(10);
/// Mail hosts of one domain that are looked up.
const MAX_HOSTS: usize = 20;

/// Who is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrustedPeer {
    /// Every address of a network: `192.0.2.0/24`.
    Network(Network),
    /// The addresses of a host: `a:host.example`.
    Host(Domain),
    /// The addresses of the hosts that take a domain's mail: `mx:example.com`.
    MailHosts(Domain),
    /// The hosts whose name is this or ends in it, and leads back to them:
    /// `name:example.com`.
    Named(Domain),
    /// The host of the same link that has this link-layer address:
    /// `mac:00:53:00:12:34:56`. IPv4 alone, on Linux.
    Mac(MacAddress),
}

/// Why a text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrustedPeerError {
    /// Neither a network nor a name with its tag.
    #[error("{0}; a name as a:host.example, mx:example.com or name:example.com")]
    Network(#[from] NetworkError),
    /// What stands behind the tag is no domain.
    #[error("what stands behind a:, mx: or name: is not a domain")]
    Domain,
    /// What stands behind the tag is no link-layer address.
    #[error("behind mac: {0}")]
    Mac(#[from] MacAddressError),
}

impl FromStr for TrustedPeer {
    type Err = TrustedPeerError;

    fn from_str(text: &str) -> Result<Self, TrustedPeerError> {
        let domain = |name: &str| Domain::parse(name).map_err(|_| TrustedPeerError::Domain);
        if let Some(name) = text.strip_prefix("a:") {
            return domain(name).map(Self::Host);
        }
        if let Some(name) = text.strip_prefix("mx:") {
            return domain(name).map(Self::MailHosts);
        }
        if let Some(name) = text.strip_prefix("name:") {
            return domain(name).map(Self::Named);
        }
        if let Some(mac) = text.strip_prefix("mac:") {
            return Ok(Self::Mac(mac.parse()?));
        }
        Ok(Self::Network(text.parse()?))
    }
}

impl fmt::Display for TrustedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Host(host) => write!(f, "a:{host}"),
            Self::MailHosts(domain) => write!(f, "mx:{domain}"),
            Self::Named(domain) => write!(f, "name:{domain}"),
            Self::Mac(mac) => write!(f, "mac:{mac}"),
        }
    }
}

/// The hosts that are trusted. A PTR record alone makes nobody one of them: it
/// belongs to whoever has the address, and has to lead back.
#[derive(Debug)]
pub struct TrustedHosts {
    networks: Vec<Network>,
    names: Vec<TrustedPeer>,
    /// Names that a peer's own name must end in.
    suffixes: Vec<Domain>,
    macs: Vec<MacAddress>,
    confirmed: ConfirmedNames,
    neighbours: Arc<dyn Neighbours>,
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<TrustedPeer, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    addresses: Arc<[IpAddr]>,
    until: Monotonic,
}

impl TrustedHosts {
    /// These hosts, and nobody else.
    pub fn new(
        peers: impl IntoIterator<Item = TrustedPeer>,
        resolver: Arc<dyn Resolver>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let neighbours = Arc::new(ArpTable::new(Arc::clone(&clock)));
        Self::with_neighbours(peers, resolver, clock, neighbours)
    }

    /// The same with another source of link-layer addresses.
    pub fn with_neighbours(
        peers: impl IntoIterator<Item = TrustedPeer>,
        resolver: Arc<dyn Resolver>,
        clock: Arc<dyn Clock>,
        neighbours: Arc<dyn Neighbours>,
    ) -> Arc<Self> {
        let (mut networks, mut names) = (Vec::new(), Vec::new());
        let (mut suffixes, mut macs) = (Vec::new(), Vec::new());
        for peer in peers {
            match peer {
                TrustedPeer::Network(network) => networks.push(network),
                TrustedPeer::Named(name) => suffixes.push(name),
                TrustedPeer::Mac(mac) => macs.push(mac),
                name => names.push(name),
            }
        }
        Arc::new(Self {
            networks,
            names,
            suffixes,
            macs,
            confirmed: ConfirmedNames::new(Arc::clone(&resolver), Arc::clone(&clock)),
            neighbours,
            resolver,
            clock,
            known: Mutex::default(),
        })
    }

    /// True when a peer at this address is trusted.
    pub async fn trusts(self: &Arc<Self>, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if self.networks.iter().any(|it| it.contains(address)) {
            return true;
        }
        for name in &self.names {
            if self.addresses(name).await.contains(&address) {
                return true;
            }
        }
        self.is_neighbour(address).await || self.is_named(address).await
    }

    async fn is_neighbour(&self, address: IpAddr) -> bool {
        if self.macs.is_empty() {
            return false;
        }
        let mac = self.neighbours.mac(address).await;
        mac.is_some_and(|mac| self.macs.contains(&mac))
    }

    async fn is_named(&self, address: IpAddr) -> bool {
        if self.suffixes.is_empty() {
            return false;
        }
        let names = self.confirmed.of(address).await;
        let mut names = names.iter();
        names.any(|name| self.suffixes.iter().any(|it| is_within(name, it)))
    }

    async fn addresses(self: &Arc<Self>, name: &TrustedPeer) -> Arc<[IpAddr]> {
        let now = self.clock.monotonic();
        let Some(known) = self.recall(name) else {
            return self.look_up_first(name).await;
        };
        if now >= known.until {
            // Nobody else asks while this look-up goes on.
            self.remember(name, Arc::clone(&known.addresses), RETRY);
            let (this, name) = (Arc::clone(self), name.clone());
            tokio::spawn(async move { this.look_up(&name).await });
        }
        known.addresses
    }

    async fn look_up_first(&self, name: &TrustedPeer) -> Arc<[IpAddr]> {
        let until = self.clock.monotonic().after(FIRST);
        tokio::select! {
            biased;
            () = self.look_up(name) => {}
            () = self.clock.sleep_until(until) => {
                // The next peers are not to wait as long: the name is asked for
                // again beside them.
                if self.recall(name).is_none() {
                    self.remember(name, Arc::from([]), Duration::ZERO);
                }
            }
        }
        self.recall(name)
            .map_or_else(|| Arc::from([]), |known| known.addresses)
    }

    /// Asks DNS and remembers the answer. When there is none now, what was
    /// known stays.
    async fn look_up(&self, name: &TrustedPeer) {
        match self.ask(name).await {
            Ok((addresses, ttl)) => {
                let (least, most) = TTL;
                self.remember(name, addresses.into(), ttl.clamp(least, most));
            }
            Err(DnsError::NotFound { .. }) => self.remember(name, Arc::from([]), TTL.0),
            Err(error) => {
                tracing::warn!(%name, %error, "can't look a trusted host up");
                let known = self.recall(name).map(|known| known.addresses);
                self.remember(name, known.unwrap_or_else(|| Arc::from([])), RETRY);
            }
        }
    }

    async fn ask(&self, name: &TrustedPeer) -> Result<(Vec<IpAddr>, Duration), DnsError> {
        let hosts = match name {
            TrustedPeer::Network(_) | TrustedPeer::Named(_) | TrustedPeer::Mac(_) => {
                return Ok((Vec::new(), TTL.1));
            }
            TrustedPeer::Host(host) => {
                let found = self.resolver.addresses(host).await?;
                return Ok((canonical(found.records), found.ttl));
            }
            TrustedPeer::MailHosts(domain) => self.resolver.mx(domain).await?,
        };
        let (mut all, mut ttl) = (Vec::new(), hosts.ttl);
        for host in hosts
            .records
            .iter()
            .filter_map(|mx| mx.host.as_ref())
            .take(MAX_HOSTS)
        {
            match self.resolver.addresses(host).await {
                Ok(found) => {
                    ttl = ttl.min(found.ttl);
                    all.extend(canonical(found.records));
                }
                Err(DnsError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((all, ttl))
    }

    fn recall(&self, name: &TrustedPeer) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned()
    }

    fn remember(&self, name: &TrustedPeer, addresses: Arc<[IpAddr]>, time: Duration) {
        let until = self.clock.monotonic().after(time);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.clone(), Known { addresses, until });
    }
}

fn canonical(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    addresses.iter().map(IpAddr::to_canonical).collect()
}

#[cfg(test)]
mod tests;
