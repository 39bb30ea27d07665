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
}

/// Why a text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrustedPeerError {
    /// Neither a network nor a name with its tag.
    #[error("{0}; a name as a:host.example or mx:example.com")]
    Network(#[from] NetworkError),
    /// What stands behind the tag is no domain.
    #[error("what stands behind a: or mx: is not a domain")]
    Domain,
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
        Ok(Self::Network(text.parse()?))
    }
}

impl fmt::Display for TrustedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Host(host) => write!(f, "a:{host}"),
            Self::MailHosts(domain) => write!(f, "mx:{domain}"),
        }
    }
}

/// The hosts that are trusted. An address is never found by a PTR record, which
/// belongs to whoever has the address.
#[derive(Debug)]
pub struct TrustedHosts {
    networks: Vec<Network>,
    names: Vec<TrustedPeer>,
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
        let (mut networks, mut names) = (Vec::new(), Vec::new());
        for peer in peers {
            match peer {
                TrustedPeer::Network(network) => networks.push(network),
                name => names.push(name),
            }
        }
        Arc::new(Self {
            networks,
            names,
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
        false
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
            TrustedPeer::Network(_) => return Ok((Vec::new(), TTL.1)),
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
mod tests {
    use super::*;
    use crate::testing::{FixedResolver, VirtualClock};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn hosts(peers: &[&str]) -> (Arc<FixedResolver>, VirtualClock, Arc<TrustedHosts>) {
        let dns = Arc::new(FixedResolver::new());
        dns.add_address("a.test", ip("192.0.2.1"))
            .add_address("a.test", ip("2001:db8::1"))
            .add_mx("b.test", 10, "mx.b.test")
            .add_address("mx.b.test", ip("192.0.2.2"));
        let clock = VirtualClock::new();
        let peers = peers.iter().map(|peer| peer.parse().unwrap());
        let hosts = TrustedHosts::new(
            peers,
            Arc::clone(&dns) as Arc<dyn Resolver>,
            Arc::new(clock.clone()),
        );
        (dns, clock, hosts)
    }

    #[tokio::test]
    async fn a_peer_is_trusted_by_its_address_alone() {
        let (dns, _, hosts) = hosts(&["198.51.100.0/24", "a:a.test", "mx:b.test"]);
        dns.add_ptr(ip("203.0.113.9"), "a.test");
        for (peer, trusted) in [
            ("198.51.100.7", true),
            ("::ffff:198.51.100.7", true),
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("2001:db8::1", true),
            ("192.0.2.2", true),
            ("::192.0.2.2", false),
            ("203.0.113.9", false),
            ("0.0.0.0", false),
            ("::", false),
        ] {
            assert_eq!(hosts.trusts(ip(peer)).await, trusted, "{peer}");
        }
    }

    #[tokio::test]
    async fn a_name_that_fails_lets_nobody_in_and_keeps_whom_it_named() {
        let (dns, clock, hosts) = hosts(&["a:a.test", "mx:b.test"]);
        let broken = || DnsError::Temporary("timed out".into());
        dns.fail("a.test", broken()).fail("mx.b.test", broken());
        assert!(!hosts.trusts(ip("192.0.2.1")).await);
        assert!(!hosts.trusts(ip("192.0.2.2")).await);
        dns.heal("a.test").heal("mx.b.test");
        assert!(
            !hosts.trusts(ip("192.0.2.1")).await,
            "asked for again too soon"
        );
        clock.advance(RETRY);
        // The old answer is given while the new one is fetched.
        assert!(!hosts.trusts(ip("192.0.2.1")).await);
        tokio::task::yield_now().await;
        assert!(hosts.trusts(ip("192.0.2.1")).await);
        assert!(hosts.trusts(ip("192.0.2.2")).await);
        dns.fail("a.test", broken());
        clock.advance(TTL.1);
        for _ in 0..3 {
            assert!(hosts.trusts(ip("192.0.2.1")).await);
            tokio::task::yield_now().await;
        }
        dns.heal("a.test").forget("a.test");
        clock.advance(TTL.1);
        hosts.trusts(ip("192.0.2.1")).await;
        tokio::task::yield_now().await;
        assert!(!hosts.trusts(ip("192.0.2.1")).await, "its name is gone");
    }

    #[test]
    fn peers_are_networks_hosts_and_mail_hosts() {
        for text in ["192.0.2.0/24", "a:host.example", "mx:example.com"] {
            assert_eq!(text.parse::<TrustedPeer>().unwrap().to_string(), text);
        }
        for bad in ["host.example", "a:", "mx:a b", "192.0.2.1/24"] {
            assert!(bad.parse::<TrustedPeer>().is_err(), "{bad}");
        }
    }
}
