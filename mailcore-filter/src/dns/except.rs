//! [`ClientExceptions`] and [`NameExceptions`]: for whom a listing does not count.

use std::collections::HashSet;
use std::net::IpAddr;
use std::str::FromStr;

use mailcore::address::{AddressError, Domain};
use mailcore::seams::{DnsError, Resolver};
use thiserror::Error;
use tokio::task::JoinSet;

use super::DnsLists;
use crate::lists::{Network, NetworkError};

/// Names of an address looked at, and exchangers of a domain.
const MAX_NAMES: usize = 10;

/// A client for which listings of addresses don't count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientException {
    /// `192.0.2.0/24`: it connects from there.
    Network(Network),
    /// `mail.example.com`: it connects from an address of that host.
    Host(Domain),
    /// `.example.com`: its address has a name of that domain or below it, and the
    /// name has the address.
    Below(Domain),
    /// `mx:example.com`: it is a mail exchanger of that domain.
    Exchanger(Domain),
}

/// Why a text names no client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExceptionError {
    /// Not a network.
    #[error("{0}")]
    Network(#[from] NetworkError),
    /// Not a name.
    #[error(
        "{0:?} is no client; write 192.0.2.1, 192.0.2.0/24, mail.example.com, .example.com or mx:example.com"
    )]
    Name(String, #[source] AddressError),
}

impl FromStr for ClientException {
    type Err = ExceptionError;

    fn from_str(text: &str) -> Result<Self, ExceptionError> {
        let name = |name: &str| {
            let error = |error| ExceptionError::Name(text.chars().take(64).collect(), error);
            let ascii = Domain::parse(name).and_then(|name| name.to_ascii());
            ascii.map_err(error)
        };
        if text.contains('/') || text.parse::<IpAddr>().is_ok() {
            return Ok(Self::Network(text.parse()?));
        }
        if let Some(domain) = text.strip_prefix("mx:") {
            return Ok(Self::Exchanger(name(domain)?));
        }
        match text.strip_prefix('.') {
            Some(domain) => Ok(Self::Below(name(domain)?)),
            None => Ok(Self::Host(name(text)?)),
        }
    }
}

/// Clients for which listings of addresses don't count. Only clients that are
/// listed are looked up.
#[derive(Debug, Clone, Default)]
pub struct ClientExceptions {
    all: Vec<ClientException>,
}

/// Whether a client is excepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Excepted {
    No,
    /// DNS does not tell now.
    Unknown,
    Yes,
}

impl FromIterator<ClientException> for ClientExceptions {
    fn from_iter<T: IntoIterator<Item = ClientException>>(all: T) -> Self {
        Self {
            all: all.into_iter().collect(),
        }
    }
}

impl ClientExceptions {
    /// True when the client's address says so by itself: it need not be asked
    /// about.
    pub(super) fn has_address(&self, ip: IpAddr) -> bool {
        let is_in = |it: &ClientException| match it {
            ClientException::Network(network) => network.contains(ip),
            _ => false,
        };
        self.all.iter().any(is_in)
    }

    /// Whether the names that are excepted lead to `ip`.
    pub(super) async fn has_names_of(&self, lists: &DnsLists, ip: IpAddr) -> Excepted {
        let mut tasks = JoinSet::new();
        let below = |it: &ClientException| matches!(it, ClientException::Below(_));
        if self.all.iter().any(below) {
            let (this, lists) = (self.clone(), lists.clone());
            tasks.spawn(async move { this.has_reverse_name(lists.resolver(), ip).await });
        }
        for exception in &self.all {
            let (exception, lists) = (exception.clone(), lists.clone());
            match exception {
                ClientException::Host(host) => tasks
                    .spawn(async move { known(is_address_of(lists.resolver(), &host, ip).await) }),
                ClientException::Exchanger(domain) => tasks.spawn(async move {
                    known(is_exchanger_of(lists.resolver(), &domain, ip).await)
                }),
                ClientException::Network(_) | ClientException::Below(_) => continue,
            };
        }
        let mut excepted = Excepted::No;
        let asked = async {
            while let Some(ended) = tasks.join_next().await {
                excepted = excepted.max(ended.unwrap_or(Excepted::Unknown));
                if excepted == Excepted::Yes {
                    break;
                }
            }
            excepted
        };
        lists.in_time(asked).await.unwrap_or(Excepted::Unknown)
    }

    async fn has_reverse_name(&self, resolver: &dyn Resolver, ip: IpAddr) -> Excepted {
        let is_below = |name: &Domain| {
            let mut all = self.all.iter();
            all.any(|it| matches!(it, ClientException::Below(domain) if below(name, domain)))
        };
        let names = match resolver.ptr(ip).await {
            Ok(lookup) => lookup.records,
            Err(error) => return known(Err(error)),
        };
        let mut excepted = Excepted::No;
        for name in names.iter().take(MAX_NAMES).filter(|name| is_below(name)) {
            excepted = excepted.max(known(is_address_of(resolver, name, ip).await));
        }
        excepted
    }
}

fn known(found: Result<bool, DnsError>) -> Excepted {
    match found {
        Ok(true) => Excepted::Yes,
        Ok(false) | Err(DnsError::NotFound { .. }) => Excepted::No,
        Err(_) => Excepted::Unknown,
    }
}

async fn is_address_of(
    resolver: &dyn Resolver,
    host: &Domain,
    ip: IpAddr,
) -> Result<bool, DnsError> {
    let found = resolver.addresses(host).await?;
    Ok(found.records.iter().any(|it| it.to_canonical() == ip))
}

async fn is_exchanger_of(
    resolver: &dyn Resolver,
    domain: &Domain,
    ip: IpAddr,
) -> Result<bool, DnsError> {
    let found = resolver.mx(domain).await?;
    let hosts = found.records.iter().filter_map(|mx| mx.host.as_ref());
    let mut unknown = None;
    for host in hosts.take(MAX_NAMES) {
        match is_address_of(resolver, host, ip).await {
            Ok(true) => return Ok(true),
            Ok(false) | Err(DnsError::NotFound { .. }) => {}
            Err(error) => unknown = Some(error),
        }
    }
    unknown.map_or(Ok(false), Err)
}

fn below(name: &Domain, domain: &Domain) -> bool {
    let before = name.as_str().strip_suffix(domain.as_str());
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Names for which listings of names don't count: `example.com` alone,
/// `.example.com` with all below it.
#[derive(Debug, Clone, Default)]
pub struct NameExceptions {
    alone: HashSet<Domain>,
    with_all_below: HashSet<Domain>,
}

impl NameExceptions {
    /// With one more.
    ///
    /// # Errors
    /// [`AddressError`] when it is no name.
    pub fn add(&mut self, text: &str) -> Result<(), AddressError> {
        let (names, name) = match text.strip_prefix('.') {
            Some(name) => (&mut self.with_all_below, name),
            None => (&mut self.alone, text),
        };
        names.insert(Domain::parse(name)?.to_ascii()?);
        Ok(())
    }

    /// Whether a name is excepted.
    pub(super) fn contains(&self, name: &Domain) -> bool {
        if self.alone.is_empty() && self.with_all_below.is_empty() {
            return false;
        }
        let Ok(name) = name.to_ascii() else {
            return false;
        };
        if self.alone.contains(&name) {
            return true;
        }
        let above = |name: &Domain| Domain::parse(name.as_str().split_once('.')?.1).ok();
        std::iter::successors(Some(name), above).any(|name| self.with_all_below.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Scene, domain};
    use super::*;

    async fn excepted(scene: &Scene, exceptions: &[&str], ip: &str) -> Excepted {
        let all: ClientExceptions = exceptions.iter().map(|it| it.parse().unwrap()).collect();
        let ip = ip.parse().unwrap();
        match all.has_address(ip) {
            true => Excepted::Yes,
            false => all.has_names_of(&scene.lists, ip).await,
        }
    }

    #[tokio::test]
    async fn clients_are_excepted_by_network_host_reverse_name_and_mx() {
        let scene = Scene::new();
        let (good, other) = ("192.0.2.7", "192.0.2.8");
        (scene.dns)
            .add_address("mail.example.com", good.parse().unwrap())
            .add_ptr(good.parse().unwrap(), "mail.example.com")
            // It says so, and the name does not.
            .add_ptr(other.parse().unwrap(), "mail.example.com")
            .add_mx("partner.test", 10, "mail.example.com");
        for exception in [
            "192.0.2.7",
            "192.0.2.4/30",
            "Mail.Example.com",
            ".example.com",
            ".mail.example.com",
            "mx:partner.test",
        ] {
            assert_eq!(
                excepted(&scene, &[exception], good).await,
                Excepted::Yes,
                "{exception}"
            );
            assert_eq!(
                excepted(&scene, &[exception], other).await,
                Excepted::No,
                "{exception}"
            );
        }
        for exception in [".xample.com", "example.com", "mx:example.com"] {
            assert_eq!(
                excepted(&scene, &[exception], good).await,
                Excepted::No,
                "{exception}"
            );
        }
    }

    #[tokio::test]
    async fn whether_a_client_is_excepted_may_be_unknown() {
        let scene = Scene::new();
        scene
            .dns
            .fail("mail.example.com", DnsError::Temporary("SERVFAIL".into()));
        let exceptions = ["mail.example.com", "mx:other.test"];
        assert_eq!(
            excepted(&scene, &exceptions, "192.0.2.7").await,
            Excepted::Unknown
        );
    }

    #[test]
    fn what_is_no_client_says_how_to_write_one() {
        for bad in [
            "",
            ".",
            "mx:",
            "a b",
            "192.0.2.1/33",
            "mx:.x",
            "192.0.2.1/24",
        ] {
            assert!(bad.parse::<ClientException>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_excepted_alone_or_with_all_below() {
        let mut names = NameExceptions::default();
        for name in ["Example.com", ".bücher.example"] {
            names.add(name).unwrap();
        }
        assert!(names.add("a b").is_err());
        for (name, want) in [
            ("example.com", true),
            ("www.example.com", false),
            ("xn--bcher-kva.example", true),
            ("a.b.bücher.example", true),
            ("notbücher.example", false),
        ] {
            assert_eq!(names.contains(&domain(name)), want, "{name}");
        }
    }
}
