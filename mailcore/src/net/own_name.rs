//! [`check_own_name`]: whether DNS knows a server by the name it gives itself.
//!
//! Other servers distrust one whose name does not lead to it and back; nothing
//! here changes what is sent or taken.

use std::net::IpAddr;

use thiserror::Error;

use crate::address::Domain;
use crate::seams::{DnsError, Resolver};

/// Domains whose MX records are looked up in one check.
const MAX_DOMAINS: usize = 1_000;
/// Addresses whose PTR records are looked up.
const MAX_ADDRESSES: usize = 32;

/// What does not fit in DNS, and what would.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameFinding {
    /// RFC 5321 section 4.1.1.1 asks for a name where there is one.
    #[error("{name} is an address; give the server the name that DNS has for it")]
    NotAName {
        /// The server's name.
        name: Domain,
    },
    /// RFC 5321 section 2.3.5: names that are given must be found.
    #[error("{name} has no address in DNS; add an A or AAAA record with this server's")]
    NoAddress {
        /// The server's name.
        name: Domain,
    },
    /// Many hosts take no mail from an address without a name.
    #[error("{address} has no PTR record; have whoever assigned it add one with {name}")]
    NoPtr {
        /// An address of the server.
        address: IpAddr,
        /// The server's name.
        name: Domain,
    },
    /// The address bears other names.
    #[error("the PTR record of {address} says {said}; have it changed to {name}")]
    PtrDiffers {
        /// An address of the server.
        address: IpAddr,
        /// The first name found.
        said: Domain,
        /// The server's name.
        name: Domain,
    },
    /// Without MX records mail goes to the domain's own address (RFC 5321
    /// section 5.1).
    #[error("{domain} has no MX record; add one with {name}")]
    NoMx {
        /// A domain served.
        domain: Domain,
        /// The server's name.
        name: Domain,
    },
    /// Its mail goes elsewhere; right where another host stands before this one.
    #[error("the MX records of {domain} do not name {name}: its mail goes elsewhere")]
    MxDiffers {
        /// A domain served.
        domain: Domain,
        /// The server's name.
        name: Domain,
    },
    /// Nothing was learnt.
    #[error("looking up {what} failed: {error}")]
    Unknown {
        /// A name or an address.
        what: String,
        /// What DNS said.
        error: DnsError,
    },
}

/// Looks up whether `name` leads to addresses, each address back to `name`, and
/// the mail of `domains`, which are those with mailboxes here, to `name`. Empty
/// when all of it fits. Of many domains the first thousand are looked up, one
/// after another, up to the first to which DNS has no answer.
pub async fn check_own_name(
    resolver: &dyn Resolver,
    name: &Domain,
    domains: &[Domain],
) -> Vec<NameFinding> {
    let mut findings = Vec::new();
    if name.as_ip().is_some() {
        let name = name.clone();
        findings.push(NameFinding::NotAName { name });
        return findings;
    }
    match resolver.addresses(name).await {
        Ok(found) => {
            for address in found.records.into_iter().take(MAX_ADDRESSES) {
                findings.extend(reverse(resolver, name, address).await);
            }
        }
        Err(DnsError::NotFound { .. }) => {
            findings.push(NameFinding::NoAddress { name: name.clone() })
        }
        Err(error) => findings.push(unknown(name, error)),
    }
    for domain in domains.iter().take(MAX_DOMAINS) {
        let finding = exchangers(resolver, name, domain).await;
        let silent = matches!(finding, Some(NameFinding::Unknown { .. }));
        findings.extend(finding);
        if silent {
            break;
        }
    }
    findings
}

async fn reverse(resolver: &dyn Resolver, name: &Domain, address: IpAddr) -> Option<NameFinding> {
    let name = name.clone();
    match resolver.ptr(address).await {
        Ok(found) if found.records.iter().any(|said| same(said, &name)) => None,
        Ok(found) => Some(match found.records.into_iter().next() {
            Some(said) => NameFinding::PtrDiffers {
                address,
                said,
                name,
            },
            None => NameFinding::NoPtr { address, name },
        }),
        Err(DnsError::NotFound { .. }) => Some(NameFinding::NoPtr { address, name }),
        Err(error) => Some(unknown(address, error)),
    }
}

async fn exchangers(
    resolver: &dyn Resolver,
    name: &Domain,
    domain: &Domain,
) -> Option<NameFinding> {
    // A domain of the server's own name needs no MX record to be found.
    let is_name = same(domain, name);
    let (domain, name) = (domain.clone(), name.clone());
    match resolver.mx(&domain).await {
        Ok(found) => {
            let mut hosts = found.records.iter().filter_map(|mx| mx.host.as_ref());
            let named = hosts.any(|host| same(host, &name));
            (!named).then_some(NameFinding::MxDiffers { domain, name })
        }
        Err(DnsError::NotFound { .. }) => (!is_name).then_some(NameFinding::NoMx { domain, name }),
        Err(error) => Some(unknown(domain, error)),
    }
}

/// DNS has the form in ASCII, a configuration may have the other one.
fn same(left: &Domain, right: &Domain) -> bool {
    left == right || matches!((left.to_ascii(), right.to_ascii()), (Ok(l), Ok(r)) if l == r)
}

fn unknown(what: impl ToString, error: DnsError) -> NameFinding {
    NameFinding::Unknown {
        what: what.to_string(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FixedResolver;

    const V4: &str = "192.0.2.1";
    const V6: &str = "2001:db8::1";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// `mx.a.test` at two addresses that say so, with the mail of `a.test`.
    fn sound() -> FixedResolver {
        let dns = FixedResolver::new();
        dns.add_address("mx.a.test", ip(V4));
        dns.add_address("mx.a.test", ip(V6));
        dns.add_ptr(ip(V4), "mx.a.test");
        dns.add_ptr(ip(V6), "other.a.test");
        dns.add_ptr(ip(V6), "mx.a.test");
        dns.add_mx("a.test", 10, "backup.test");
        dns.add_mx("a.test", 20, "mx.a.test");
        dns
    }

    async fn check(dns: &FixedResolver, name: &str, domains: &[&str]) -> Vec<String> {
        let parse = |text: &str| Domain::parse(text).unwrap();
        let domains: Vec<Domain> = domains.iter().map(|text| parse(text)).collect();
        let findings = check_own_name(dns, &parse(name), &domains).await;
        findings.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_name_that_leads_there_and_back_is_sound() {
        assert_eq!(check(&sound(), "mx.a.test", &["a.test"]).await, [""; 0]);
        // It has mail of its own without an MX record.
        assert_eq!(check(&sound(), "mx.a.test", &["mx.a.test"]).await, [""; 0]);
    }

    #[tokio::test]
    async fn each_thing_that_does_not_fit_is_told_with_what_would() {
        let dns = sound();
        dns.add_address("mx.b.test", ip(V4));
        dns.add_address("mx.b.test", ip("192.0.2.2"));
        dns.add_null_mx("null.test");
        let told = check(&dns, "mx.b.test", &["a.test", "null.test", "c.test"]).await;
        assert_eq!(
            told,
            [
                "the PTR record of 192.0.2.1 says mx.a.test; have it changed to mx.b.test",
                "192.0.2.2 has no PTR record; have whoever assigned it add one with mx.b.test",
                "the MX records of a.test do not name mx.b.test: its mail goes elsewhere",
                "the MX records of null.test do not name mx.b.test: its mail goes elsewhere",
                "c.test has no MX record; add one with mx.b.test",
            ]
        );
        assert_eq!(
            check(&dns, "nowhere.test", &[]).await,
            ["nowhere.test has no address in DNS; add an A or AAAA record with this server's"]
        );
        assert_eq!(check(&dns, "[192.0.2.1]", &["c.test"]).await.len(), 1);
    }

    #[tokio::test]
    async fn dns_that_does_not_answer_is_no_finding_about_the_name_and_asked_once() {
        let dns = sound();
        let down = || DnsError::Temporary("timed out".into());
        dns.fail("x.test", down());
        dns.fail("mx.a.test", down());
        let told = check(&dns, "mx.a.test", &["x.test", "y.test", "z.test"]).await;
        assert_eq!(
            told,
            [
                "looking up mx.a.test failed: DNS gives no answer now: timed out",
                "looking up x.test failed: DNS gives no answer now: timed out",
            ]
        );
        assert_eq!(dns.asked(), 2);
    }

    #[tokio::test]
    async fn a_name_in_unicode_is_the_one_that_dns_has() {
        let dns = FixedResolver::new();
        dns.add_address("mx.bücher.test", ip(V4));
        dns.add_ptr(ip(V4), "mx.xn--bcher-kva.test");
        assert_eq!(check(&dns, "mx.bücher.test", &[]).await, [""; 0]);
    }
}
