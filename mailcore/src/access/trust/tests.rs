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
async fn a_peers_own_name_counts_where_it_leads_back() {
    let (dns, _, hosts) = hosts(&["name:house.test"]);
    for (peer, name) in [
        ("192.0.2.10", "one.house.test"),
        ("192.0.2.11", "two.house.test"),
        ("192.0.2.12", "madhouse.test"),
        ("192.0.2.13", "house.test"),
    ] {
        dns.add_ptr(ip(peer), name);
    }
    dns.add_address("one.house.test", ip("192.0.2.10"))
        .add_address("madhouse.test", ip("192.0.2.12"))
        .add_address("house.test", ip("192.0.2.13"));
    for (peer, trusted) in [
        ("192.0.2.10", true),
        ("::ffff:192.0.2.10", true),
        ("192.0.2.11", false),
        ("192.0.2.12", false),
        ("192.0.2.13", true),
        ("192.0.2.14", false),
    ] {
        assert_eq!(hosts.trusts(ip(peer)).await, trusted, "{peer}");
    }
}

#[derive(Debug)]
struct Link;

#[async_trait::async_trait]
impl Neighbours for Link {
    async fn mac(&self, address: IpAddr) -> Option<MacAddress> {
        (address == ip("192.0.2.20")).then(|| "00:53:00:12:34:56".parse().unwrap())
    }
}

#[tokio::test]
async fn a_machine_of_the_link_is_known_by_its_mac_address() {
    let peers = ["mac:00-53-00-12-34-56".parse().unwrap()];
    let clock = Arc::new(VirtualClock::new());
    let dns = Arc::new(FixedResolver::new());
    let hosts = TrustedHosts::with_neighbours(peers, dns, clock, Arc::new(Link));
    assert!(hosts.trusts(ip("192.0.2.20")).await);
    assert!(!hosts.trusts(ip("192.0.2.21")).await);
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
    for text in [
        "192.0.2.0/24",
        "a:host.example",
        "mx:example.com",
        "name:example.com",
        "mac:00:53:00:12:34:56",
    ] {
        assert_eq!(text.parse::<TrustedPeer>().unwrap().to_string(), text);
    }
    for bad in ["host.example", "a:", "mx:a b", "192.0.2.1/24"] {
        assert!(bad.parse::<TrustedPeer>().is_err(), "{bad}");
    }
}
