//! The client of a triplet: which hosts count as one, since a message is often
//! sent again by another host of the same sender.

use std::fmt;
use std::net::IpAddr;

use mailcore::address::Domain;
use mailcore::net::Network;

use crate::sender::reverse::ReverseNames;

/// Who sends, as far as a triplet tells hosts apart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GreylistClient {
    /// Hosts are not told apart.
    Anybody,
    /// Any host that SPF lets send for this domain.
    Sender(Domain),
    /// Any host whose confirmed name is below this registered domain.
    Provider(Domain),
    /// Any host of a network.
    Network(Network),
}

/// As the key of the state has it.
impl fmt::Display for GreylistClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anybody => f.write_str("*"),
            Self::Sender(domain) => write!(f, "spf:{domain}"),
            Self::Provider(domain) => write!(f, "ptr:{domain}"),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// The registered domain that names a pool of sending hosts: that of a confirmed
/// name which does not spell the address, as names of customers' lines do.
#[cfg(feature = "psl")]
pub(super) fn provider(names: &ReverseNames) -> Option<Domain> {
    let mut pools = names
        .confirmed
        .iter()
        .filter(|name| !spells(name, names.ip));
    let name = pools.next()?;
    crate::registered::registered_domain(name)
}

/// Without the list of public suffixes no two names are known to be one owner's.
#[cfg(not(feature = "psl"))]
pub(super) fn provider(_: &ReverseNames) -> Option<Domain> {
    None
}

/// True when a name has the last two numbers of an address in it, in any order
/// and form: `dsl-7-2.example`, `host007002`, `c0000207`.
#[cfg_attr(not(feature = "psl"), allow(dead_code, reason = "pools need the list"))]
fn spells(name: &Domain, ip: IpAddr) -> bool {
    let name = name.as_str();
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            let hex = format!("{c:02x}{d:02x}");
            let numbers: Vec<&str> = name.split(|c: char| !c.is_ascii_digit()).collect();
            let has = |octet: u8| {
                (numbers.iter()).any(|number| number.parse().is_ok_and(|it: u8| it == octet))
            };
            let run = format!("{c:03}{d:03}");
            let long = format!("{a}{b}{c}{d}");
            // One number alone is that of a host among a provider's.
            (has(c) && has(d) && c != d) || [&hex, &run, &long].iter().any(|it| name.contains(*it))
        }
        IpAddr::V6(ip) => {
            let [.., last] = ip.segments();
            let [a, b, ..] = ip.segments();
            let words = [format!("{a:x}"), format!("{b:x}"), format!("{last:x}")];
            let parts: Vec<&str> = name.split(['.', '-', '_']).collect();
            words.iter().all(|word| parts.contains(&word.as_str()))
                || name.contains(&format!("{a:04x}{b:04x}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_lines_spell_their_address() {
        for (name, ip, wanted) in [
            ("mail-wr1-f41.google.test", "209.85.221.41", false),
            ("mx12.a.test", "192.0.2.12", false),
            ("192-0-2-7.dsl.isp.test", "192.0.2.7", true),
            ("7.2.0.192.isp.test", "192.0.2.7", true),
            ("c0000207.isp.test", "192.0.2.7", true),
            ("h192000002007.isp.test", "192.0.2.7", true),
            ("mx.a.test", "2001:db8::7", false),
            ("2001-db8-0-0-7.isp.test", "2001:db8::7", true),
            ("h20010db80000.isp.test", "2001:db8::7", true),
        ] {
            let (name, ip) = (name.parse().unwrap(), ip.parse().unwrap());
            assert_eq!(spells(&name, ip), wanted, "{name}");
        }
    }

    #[cfg(feature = "psl")]
    #[tokio::test]
    async fn hosts_of_one_provider_are_one() {
        let dns = mailcore::testing::FixedResolver::new();
        let ip: IpAddr = "192.0.2.7".parse().unwrap();
        dns.add_ptr(ip, "out3.mail.example.co.uk")
            .add_address("out3.mail.example.co.uk", ip);
        let names = ReverseNames::look_up(&dns, ip).await;
        assert_eq!(provider(&names), Some("example.co.uk".parse().unwrap()));
        dns.add_ptr("192.0.2.8".parse().unwrap(), "out4.mail.example.co.uk");
        let names = ReverseNames::look_up(&dns, "192.0.2.8".parse().unwrap()).await;
        assert_eq!(provider(&names), None);
    }
}
