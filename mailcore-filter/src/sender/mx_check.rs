//! Whether a sender's domain can be answered: mail that no notice could go back
//! to is hardly anybody's.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use mailcore::address::{Domain, ReversePath};
use mailcore::plan::Stage;
use mailcore::seams::{Directory, DnsError, Resolver};

use crate::pipeline::{Look, Reaction, Said, Test};

/// Hosts of one domain that are followed.
const MAX_HOSTS: usize = 10;

/// What is wrong with a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SenderFault {
    /// The reverse path is null: that of notices (RFC 5321 section 4.5.5).
    Null,
    /// The domain is an address literal.
    Literal,
    /// The domain has neither MX nor address records (RFC 5321 section 5.1).
    NoHost,
    /// The domain says that it takes no mail (RFC 7505 section 4.2).
    NullMx,
    /// All hosts of the domain are this one: 127.0.0.0/8, `::1`, 0.0.0.0.
    Loopback,
    /// All hosts of the domain are in networks that are nobody's in particular
    /// (RFC 6890).
    Private,
    /// The domain is served here, and the client is a stranger.
    Spoofed,
}

impl SenderFault {
    /// As a finding's result.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null_sender",
            Self::Literal => "literal",
            Self::NoHost => "no_host",
            Self::NullMx => "null_mx",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Spoofed => "spoofed",
        }
    }
}

/// What is wrong with a reverse path; `None` when nothing is, or DNS does not
/// say.
pub async fn fault(resolver: &dyn Resolver, reverse_path: &ReversePath) -> Option<SenderFault> {
    let Some(address) = reverse_path.address() else {
        return Some(SenderFault::Null);
    };
    if address.domain().as_ip().is_some() {
        return Some(SenderFault::Literal);
    }
    let domain = address.domain().to_ascii().ok()?;
    let hosts = match resolver.mx(&domain).await {
        Ok(answer) => {
            let hosts: Vec<Domain> = answer
                .records
                .into_iter()
                .filter_map(|mx| mx.host)
                .collect();
            if hosts.is_empty() {
                return Some(SenderFault::NullMx);
            }
            hosts
        }
        // The address of the domain stands in for the MX that is not there.
        Err(DnsError::NotFound { .. }) => vec![domain],
        Err(_) => return None,
    };
    let mut addresses = Vec::new();
    for host in hosts.iter().take(MAX_HOSTS) {
        match resolver.addresses(host).await {
            Ok(answer) => addresses.extend(answer.records),
            Err(DnsError::NotFound { .. }) => {}
            // The one host that could not be asked for may be the good one.
            Err(_) => return None,
        }
        if addresses.iter().any(|ip| kind(*ip) == Kind::Public) {
            return None;
        }
    }
    // Nobody looked at the rest of a list that long.
    if hosts.len() > MAX_HOSTS {
        return None;
    }
    Some(match addresses.iter().map(|ip| kind(*ip)).max() {
        None => SenderFault::NoHost,
        Some(Kind::Loopback) => SenderFault::Loopback,
        Some(_) => SenderFault::Private,
    })
}

/// True when a domain has hosts for mail, and all of them are hosts that anybody
/// may call.
pub(super) async fn is_reachable(resolver: &dyn Resolver, domain: &Domain) -> bool {
    let Ok(domain) = domain.to_ascii() else {
        return false;
    };
    let hosts = match resolver.mx(&domain).await {
        Ok(answer) => answer
            .records
            .into_iter()
            .filter_map(|mx| mx.host)
            .collect(),
        Err(DnsError::NotFound { .. }) => vec![domain],
        Err(_) => return false,
    };
    if hosts.is_empty() || hosts.len() > MAX_HOSTS {
        return false;
    }
    for host in &hosts {
        let Ok(answer) = resolver.addresses(host).await else {
            return false;
        };
        if answer.records.iter().any(|ip| kind(*ip) != Kind::Public) {
            return false;
        }
    }
    true
}

/// Whose an address may be, the best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Loopback,
    Private,
    Public,
}

/// Where mail to an address would go. Networks for documentation and tests count
/// as public: nobody sends from their names by mistake.
fn kind(ip: IpAddr) -> Kind {
    match ip.to_canonical() {
        ip if ip.is_loopback() || ip.is_unspecified() => Kind::Loopback,
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            // 0.0.0.0/8, shared address space, reserved and broadcast.
            let nobodys = a == 0 || (a, b & 0xc0) == (100, 64) || a >= 240;
            let private = ip.is_private() || ip.is_link_local() || ip.is_multicast();
            if nobodys || private {
                Kind::Private
            } else {
                Kind::Public
            }
        }
        IpAddr::V6(ip) => {
            if ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_multicast() {
                Kind::Private
            } else {
                Kind::Public
            }
        }
    }
}

/// The test `sender`, asked at MAIL.
#[derive(Debug)]
pub struct SenderDomain {
    resolver: Arc<dyn Resolver>,
    directory: Option<Arc<dyn Directory>>,
}

impl SenderDomain {
    /// Asks this resolver.
    pub fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self {
            resolver,
            directory: None,
        }
    }

    /// Knows by this directory which domains are ours.
    #[must_use]
    pub fn directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = Some(directory);
        self
    }

    async fn is_ours(&self, reverse_path: &ReversePath) -> bool {
        let (Some(directory), Some(address)) = (&self.directory, reverse_path.address()) else {
            return false;
        };
        match directory.domain(address.domain()).await {
            Ok(record) => record.is_some(),
            Err(error) => {
                tracing::warn!(%error, "can't look up whether a sender is one of ours");
                false
            }
        }
    }
}

#[async_trait]
impl Test for SenderDomain {
    fn name(&self) -> &'static str {
        "sender"
    }

    fn stage(&self) -> Stage {
        Stage::Mail
    }

    fn results(&self) -> &'static [&'static str] {
        &[
            "null_sender",
            "literal",
            "no_host",
            "null_mx",
            "loopback",
            "private",
            "spoofed",
        ]
    }

    fn reaction(&self, result: &str) -> Reaction {
        match result {
            "no_host" | "null_mx" | "loopback" => Reaction::reject(),
            "private" => Reaction::score(4.0),
            "literal" => Reaction::score(2.0),
            // Forwarders and lists send our users' mail back to us under their
            // senders: alone it is no proof.
            "spoofed" => Reaction::score(1.0),
            _ => Reaction::none(),
        }
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let Some(reverse_path) = at.reverse_path else {
            return Vec::new();
        };
        let found = if self.is_ours(reverse_path).await {
            Some(SenderFault::Spoofed)
        } else {
            fault(self.resolver.as_ref(), reverse_path).await
        };
        let domain = reverse_path.address().map(|it| it.domain().to_string());
        let domain = domain.unwrap_or_default();
        let said = |fault: SenderFault| {
            let words = match fault {
                SenderFault::Null => "mail from nobody".to_owned(),
                SenderFault::Literal => format!("the sender's domain is an address: {domain}"),
                SenderFault::NoHost => {
                    format!("the sender's domain {domain} has no host for mail (no MX, no address)")
                }
                SenderFault::NullMx => {
                    format!("the sender's domain {domain} takes no mail (its MX record is null)")
                }
                SenderFault::Loopback | SenderFault::Private => {
                    format!("no host of the sender's domain {domain} can be reached")
                }
                SenderFault::Spoofed => format!("{domain} is served here"),
            };
            Said::new(fault.as_str(), domain.as_str()).detail(words)
        };
        found.map(said).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use mailcore::testing::FixedResolver;

    use super::*;

    async fn look(dns: &FixedResolver, path: &str) -> Option<SenderFault> {
        fault(dns, &ReversePath::parse(path).unwrap()).await
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_sender_needs_a_host_that_takes_its_notices() {
        let dns = FixedResolver::new();
        dns.add_mx("good.test", 10, "dead.good.test")
            .add_mx("good.test", 20, "mx.good.test")
            .add_address("mx.good.test", ip("192.0.2.1"))
            .add_address("plain.test", ip("2001:db8::1"))
            .add_null_mx("null.test")
            .add_mx("loop.test", 10, "localhost.loop.test")
            .add_address("localhost.loop.test", ip("127.0.0.1"))
            .add_address("localhost.loop.test", ip("0.0.0.0"))
            .add_mx("inside.test", 10, "mx.inside.test")
            .add_address("mx.inside.test", ip("127.0.0.1"))
            .add_address("mx.inside.test", ip("::ffff:10.1.2.3"))
            .add_mx("gone.test", 10, "nowhere.test")
            .add_address("xn--bcher-kva.test", ip("192.0.2.1"));
        for (path, wanted) in [
            ("<a@good.test>", None),
            ("<a@plain.test>", None),
            ("<a@bücher.test>", None),
            ("<>", Some(SenderFault::Null)),
            ("<a@[192.0.2.1]>", Some(SenderFault::Literal)),
            ("<a@null.test>", Some(SenderFault::NullMx)),
            ("<a@loop.test>", Some(SenderFault::Loopback)),
            ("<a@inside.test>", Some(SenderFault::Private)),
            ("<a@gone.test>", Some(SenderFault::NoHost)),
            ("<a@nothing.test>", Some(SenderFault::NoHost)),
        ] {
            assert_eq!(look(&dns, path).await, wanted, "{path}");
        }
    }

    #[tokio::test]
    async fn what_dns_does_not_answer_is_nobodys_fault() {
        let dns = FixedResolver::new();
        dns.fail("a.test", DnsError::Temporary("timed out".into()))
            .add_mx("b.test", 10, "mx1.b.test")
            .add_mx("b.test", 20, "mx2.b.test")
            .fail("mx2.b.test", DnsError::Bogus);
        assert_eq!(look(&dns, "<x@a.test>").await, None);
        assert_eq!(look(&dns, "<x@b.test>").await, None);
    }

    #[tokio::test]
    async fn a_thousand_hosts_are_not_asked_for() {
        let dns = FixedResolver::new();
        for number in 0..1_000 {
            dns.add_mx("many.test", 10, &format!("mx{number}.many.test"));
        }
        assert_eq!(look(&dns, "<x@many.test>").await, None);
        assert_eq!(dns.asked(), 1 + MAX_HOSTS as u64);
    }
}
