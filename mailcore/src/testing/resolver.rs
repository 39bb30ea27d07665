//! [`FixedResolver`]: DNS as a test wants it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::address::Domain;
use crate::seams::{Alias, DnsError, DnssecStatus, Lookup, Mx, Resolver, Tlsa};

/// Answers from a table; what is not in it is [`DnsError::NotFound`]. Records
/// may be added, and failures set, while servers use it. Names that don't
/// parse panic.
#[derive(Debug, Default)]
pub struct FixedResolver {
    zone: Mutex<Zone>,
}

#[derive(Debug, Default)]
struct Zone {
    mx: HashMap<Domain, Vec<Mx>>,
    addresses: HashMap<Domain, Vec<IpAddr>>,
    txt: HashMap<Domain, Vec<Vec<u8>>>,
    ptr: HashMap<IpAddr, Vec<Domain>>,
    tlsa: HashMap<Domain, Vec<Tlsa>>,
    failures: HashMap<Domain, DnsError>,
    secure: HashSet<Domain>,
    aliases: HashMap<Domain, Domain>,
    asked: u64,
}

fn name(text: &str) -> Domain {
    Domain::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

impl FixedResolver {
    /// Knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an MX record; more for one domain keep their order.
    pub fn add_mx(&self, domain: &str, preference: u16, host: &str) -> &Self {
        let host = Some(name(host));
        let records = &mut self.zone().mx;
        records
            .entry(name(domain))
            .or_default()
            .push(Mx { preference, host });
        self
    }

    /// Adds the null MX (RFC 7505): the domain takes no mail.
    pub fn add_null_mx(&self, domain: &str) -> &Self {
        let null = Mx {
            preference: 0,
            host: None,
        };
        self.zone().mx.entry(name(domain)).or_default().push(null);
        self
    }

    /// Adds an A or AAAA record.
    pub fn add_address(&self, host: &str, ip: IpAddr) -> &Self {
        let records = &mut self.zone().addresses;
        records.entry(name(host)).or_default().push(ip);
        self
    }

    /// Adds a TXT record.
    pub fn add_txt(&self, domain: &str, text: &str) -> &Self {
        let records = &mut self.zone().txt;
        records.entry(name(domain)).or_default().push(text.into());
        self
    }

    /// Adds a PTR record.
    pub fn add_ptr(&self, ip: IpAddr, host: &str) -> &Self {
        self.zone().ptr.entry(ip).or_default().push(name(host));
        self
    }

    /// Adds a TLSA record.
    pub fn add_tlsa(&self, domain: &str, record: Tlsa) -> &Self {
        self.zone()
            .tlsa
            .entry(name(domain))
            .or_default()
            .push(record);
        self
    }

    /// Every question about this name fails so from now on.
    pub fn fail(&self, domain: &str, error: DnsError) -> &Self {
        self.zone().failures.insert(name(domain), error);
        self
    }

    /// Questions about this name are answered again.
    pub fn heal(&self, domain: &str) -> &Self {
        self.zone().failures.remove(&name(domain));
        self
    }

    /// Adds a CNAME record: questions about `from` are answered with what `to`
    /// has.
    pub fn add_alias(&self, from: &str, to: &str) -> &Self {
        self.zone().aliases.insert(name(from), name(to));
        self
    }

    /// Answers about this name count as validated.
    pub fn sign(&self, domain: &str) -> &Self {
        self.zone().secure.insert(name(domain));
        self
    }

    /// Drops every record and failure of this name.
    pub fn forget(&self, domain: &str) -> &Self {
        let (domain, mut zone) = (name(domain), self.zone());
        zone.mx.remove(&domain);
        zone.addresses.remove(&domain);
        zone.txt.remove(&domain);
        zone.tlsa.remove(&domain);
        zone.failures.remove(&domain);
        drop(zone);
        self
    }

    /// Questions asked so far.
    pub fn asked(&self) -> u64 {
        self.zone().asked
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find<T: Clone>(
        &self,
        domain: &Domain,
        records: impl FnOnce(&Zone, &Domain) -> Option<Vec<T>>,
    ) -> Result<Lookup<T>, DnsError> {
        let mut zone = self.zone();
        zone.asked += 1;
        let target = zone.aliases.get(domain).unwrap_or(domain);
        let failures = [domain, target].map(|name| zone.failures.get(name));
        if let Some(error) = failures.into_iter().flatten().next() {
            return Err(error.clone());
        }
        let status = |name| match zone.secure.contains(name) {
            true => DnssecStatus::Secure,
            false => DnssecStatus::Insecure,
        };
        let dnssec = status(domain).and(status(target));
        let alias = (target != domain).then(|| Alias {
            target: target.clone(),
            dnssec: status(domain),
        });
        match records(&zone, target) {
            Some(records) => Ok(Lookup {
                records,
                dnssec,
                ttl: Duration::from_secs(300),
                alias,
            }),
            None => Err(DnsError::NotFound { dnssec }),
        }
    }
}

#[async_trait]
impl Resolver for FixedResolver {
    async fn mx(&self, domain: &Domain) -> Result<Lookup<Mx>, DnsError> {
        self.find(domain, |zone, name| zone.mx.get(name).cloned())
    }

    async fn addresses(&self, host: &Domain) -> Result<Lookup<IpAddr>, DnsError> {
        self.find(host, |zone, name| zone.addresses.get(name).cloned())
    }

    async fn txt(&self, name: &Domain) -> Result<Lookup<Vec<u8>>, DnsError> {
        self.find(name, |zone, name| zone.txt.get(name).cloned())
    }

    async fn ptr(&self, ip: IpAddr) -> Result<Lookup<Domain>, DnsError> {
        self.find(&Domain::literal(ip), |zone, _| zone.ptr.get(&ip).cloned())
    }

    async fn tlsa(&self, name: &Domain) -> Result<Lookup<Tlsa>, DnsError> {
        self.find(name, |zone, name| zone.tlsa.get(name).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_there_is_not_what_fails() {
        let dns = FixedResolver::new();
        dns.add_mx("x.test", 10, "mx.x.test");
        dns.fail("y.test", DnsError::Temporary("timed out".into()));
        assert_eq!(dns.mx(&name("x.test")).await.unwrap().records.len(), 1);
        assert!(matches!(
            dns.txt(&name("x.test")).await,
            Err(DnsError::NotFound { .. })
        ));
        assert!(matches!(
            dns.mx(&name("y.test")).await,
            Err(DnsError::Temporary(_))
        ));
        dns.heal("y.test");
        assert!(matches!(
            dns.mx(&name("y.test")).await,
            Err(DnsError::NotFound { .. })
        ));
    }
}
