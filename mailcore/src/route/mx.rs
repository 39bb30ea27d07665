//! Which hosts take a domain's mail, in the order to try them (RFC 5321 section
//! 5.1, RFC 7505). Pure: DNS answers in, hosts or a failure out.
//!
//! No look-up and no connection is made here.

use std::net::IpAddr;

use crate::address::Domain;
use crate::seams::{DnsError, DnssecStatus, Entropy, Lookup, Mx};
use crate::status::{Failure, Status};

/// Hosts of a domain that are looked at; the rest is ignored.
pub const MAX_HOSTS: usize = 20;
/// Addresses that are tried for a message, over all hosts.
pub const MAX_TARGETS: usize = 50;

/// The hosts of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MxHosts {
    /// In the order to try them; hosts of one preference stand together, in an
    /// order drawn anew each time.
    pub hosts: Vec<MxHost>,
    /// True when DNS names no mail exchanger, so that the domain itself is the
    /// host (RFC 5321 section 5.1, "implicit MX").
    pub implicit: bool,
    /// What DNSSEC said of the answer, or of its absence.
    pub dnssec: DnssecStatus,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MxHost {
    /// Lower is tried first.
    pub preference: u16,
    /// Its name.
    pub host: Domain,
}

/// Under which names and addresses this server is known, so that it does not
/// send mail to itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OwnNames {
    /// Host names.
    pub names: Vec<Domain>,
    /// Addresses on which this server takes mail from outside.
    pub addresses: Vec<IpAddr>,
}

impl OwnNames {
    /// True when `host` is one of the names.
    pub fn is_own_name(&self, host: &Domain) -> bool {
        self.names.contains(host)
    }

    /// True when `ip` is one of the addresses, in IPv4 or IPv4-mapped form.
    pub fn is_own_address(&self, ip: IpAddr) -> bool {
        let same = |own: &IpAddr| own.to_canonical() == ip.to_canonical();
        self.addresses.iter().any(same)
    }
}

/// Orders the hosts of `domain`, whose MX look-up gave `answer`.
///
/// Hosts are sorted by preference, equals shuffled. From the first preference
/// at which this server itself stands all are dropped: only better ones may
/// take the mail, or it would run in circles.
///
/// # Errors
/// A transient failure when DNS gave no usable answer; a permanent one for a
/// null MX (5.1.10) and when this server is the best host (5.4.6).
pub fn select(
    domain: &Domain,
    answer: Result<Lookup<Mx>, DnsError>,
    own: &OwnNames,
    entropy: &dyn Entropy,
) -> Result<MxHosts, Failure> {
    let lookup = match answer {
        Ok(lookup) => lookup,
        Err(DnsError::NotFound { dnssec }) => return implicit(domain, dnssec, own),
        Err(error) => return Err(dns_failure(domain, &error)),
    };
    let mut drawn: Vec<(u16, u64, Domain)> = lookup
        .records
        .into_iter()
        .filter_map(|mx| Some((mx.preference, entropy.random_u64(), mx.host?)))
        .collect();
    if drawn.is_empty() {
        return Err(null_mx(domain));
    }
    drawn.sort();
    let mut hosts: Vec<MxHost> = Vec::new();
    for (preference, _, host) in drawn {
        if !hosts.iter().any(|known| known.host == host) {
            hosts.push(MxHost { preference, host });
        }
    }
    let ours = hosts.iter().find(|mx| own.is_own_name(&mx.host));
    if let Some(limit) = ours.map(|mx| mx.preference) {
        hosts.retain(|mx| mx.preference < limit);
    }
    if hosts.is_empty() {
        return Err(loops_back(domain));
    }
    hosts.truncate(MAX_HOSTS);
    Ok(MxHosts {
        hosts,
        implicit: false,
        dnssec: lookup.dnssec,
    })
}

fn implicit(domain: &Domain, dnssec: DnssecStatus, own: &OwnNames) -> Result<MxHosts, Failure> {
    if own.is_own_name(domain) {
        return Err(loops_back(domain));
    }
    Ok(MxHosts {
        hosts: vec![MxHost {
            preference: 0,
            host: domain.clone(),
        }],
        implicit: true,
        dnssec,
    })
}

/// Which of a host's addresses are tried, and in what order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AddressOrder {
    /// IPv6 before IPv4.
    #[default]
    Ipv6First,
    /// IPv4 before IPv6.
    Ipv4First,
    /// IPv4 alone.
    Ipv4Only,
    /// IPv6 alone.
    Ipv6Only,
}

impl AddressOrder {
    /// Sorts and filters a host's addresses; within a family the order of DNS
    /// stays (RFC 5321 section 5.1).
    pub fn apply(self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) =
            addresses.iter().partition(|address| address.is_ipv6());
        match self {
            Self::Ipv6First => [v6, v4].concat(),
            Self::Ipv4First => [v4, v6].concat(),
            Self::Ipv4Only => v4,
            Self::Ipv6Only => v6,
        }
    }
}

/// The failure of a look-up that must be tried again. Bogus signatures defer as
/// a silent server does: to go on would be to trust a forger.
pub fn dns_failure(name: &Domain, error: &DnsError) -> Failure {
    Failure::local(match error {
        DnsError::NotFound { .. } => Status::permanent(1, 2, format!("{name} has no address")),
        DnsError::Bogus => Status::transient(
            7,
            5,
            format!("the DNSSEC signatures of {name} are not valid"),
        ),
        DnsError::Temporary(why) => {
            Status::transient(4, 3, format!("looking up {name} failed: {why}"))
        }
    })
}

/// The failure of mail for a domain that takes none (RFC 7505 section 3).
fn null_mx(domain: &Domain) -> Failure {
    Failure::local(Status::permanent(
        1,
        10,
        format!("{domain} accepts no mail (null MX)"),
    ))
}

/// The failure of mail that DNS sends to this server, which does not serve its
/// domain.
pub fn loops_back(domain: &Domain) -> Failure {
    Failure::local(Status::permanent(
        4,
        6,
        format!("mail for {domain} loops back to this server"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// Counts down, so that shuffling turns the order of equals round.
    #[derive(Debug)]
    struct Descending(AtomicU64);

    impl Entropy for Descending {
        fn fill(&self, octets: &mut [u8]) {
            let value = self.0.fetch_sub(1, Ordering::Relaxed).to_be_bytes();
            octets.copy_from_slice(value.get(..octets.len()).unwrap());
        }
    }

    fn pick(records: &[(u16, &str)], own: &[&str]) -> Result<Vec<String>, String> {
        let records = records
            .iter()
            .map(|&(preference, host)| Mx {
                preference,
                host: (!host.is_empty()).then(|| host.parse().unwrap()),
            })
            .collect();
        let lookup = Lookup {
            records,
            dnssec: DnssecStatus::Insecure,
            ttl: Duration::ZERO,
            alias: None,
        };
        answer(Ok(lookup), own)
    }

    fn answer(lookup: Result<Lookup<Mx>, DnsError>, own: &[&str]) -> Result<Vec<String>, String> {
        let own = OwnNames {
            names: own.iter().map(|name| name.parse().unwrap()).collect(),
            addresses: Vec::new(),
        };
        let entropy = Descending(AtomicU64::new(1_000));
        select(&"x.test".parse().unwrap(), lookup, &own, &entropy)
            .map(|found| {
                found
                    .hosts
                    .iter()
                    .map(|mx| mx.host.as_str().to_owned())
                    .collect()
            })
            .map_err(|failure| failure.status.code.to_string())
    }

    #[test]
    fn hosts_come_by_preference_and_equals_by_chance() {
        let found = pick(
            &[
                (20, "c.test"),
                (10, "a.test"),
                (10, "b.test"),
                (30, "a.test"),
            ],
            &[],
        );
        assert_eq!(found.unwrap(), ["b.test", "a.test", "c.test"]);
    }

    #[test]
    fn our_own_preference_and_all_behind_it_are_cut() {
        let records = [
            (10, "a.test"),
            (20, "b.test"),
            (20, "me.test"),
            (30, "c.test"),
        ];
        assert_eq!(pick(&records, &["me.test"]).unwrap(), ["a.test"]);
        assert_eq!(pick(&records, &["a.test"]).unwrap_err(), "5.4.6");
    }

    #[test]
    fn a_null_mx_fails_and_no_mx_means_the_domain_itself() {
        assert_eq!(pick(&[(0, "")], &[]).unwrap_err(), "5.1.10");
        assert_eq!(pick(&[(0, ""), (5, "a.test")], &[]).unwrap(), ["a.test"]);
        let none = Err(DnsError::NotFound {
            dnssec: DnssecStatus::Insecure,
        });
        assert_eq!(answer(none.clone(), &[]).unwrap(), ["x.test"]);
        assert_eq!(answer(none, &["x.test"]).unwrap_err(), "5.4.6");
    }

    #[test]
    fn no_answer_and_a_forged_one_defer() {
        let silent = Err(DnsError::Temporary("SERVFAIL".into()));
        assert_eq!(answer(silent, &[]).unwrap_err(), "4.4.3");
        assert_eq!(answer(Err(DnsError::Bogus), &[]).unwrap_err(), "4.7.5");
    }

    #[test]
    fn a_flood_of_hosts_is_cut() {
        let names: Vec<String> = (0..100).map(|n| format!("h{n}.test")).collect();
        let records: Vec<(u16, &str)> = names.iter().map(|name| (1, name.as_str())).collect();
        assert_eq!(pick(&records, &[]).unwrap().len(), MAX_HOSTS);
    }

    #[test]
    fn families_are_ordered_and_filtered() {
        let [a, b]: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        assert_eq!(AddressOrder::Ipv6First.apply(&[a, b]), [b, a]);
        assert_eq!(AddressOrder::Ipv4First.apply(&[b, a]), [a, b]);
        assert_eq!(AddressOrder::Ipv4Only.apply(&[b, a]), [a]);
        assert_eq!(AddressOrder::Ipv6Only.apply(&[b, a]), [b]);
    }
}
