//! Where reports go: the addresses that a domain's record names, so far as those
//! agree to it.

use std::sync::Arc;

use mailcore::address::{Address, Domain};
use mailcore::seams::{DnsError, Resolver};
use thiserror::Error;

use crate::sender_auth::dmarc::record::is_record;
use crate::sender_auth::dmarc::{Dmarc, DmarcRecord};

/// Addresses that get one report; RFC 7489 section 6.2 wants two at least.
const MOST: usize = 5;

/// An address for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    /// Who gets them.
    pub address: Address,
    /// Octets of mail that it takes.
    pub size: Option<u64>,
}

/// Why a report does not go to an address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// No `mailto:` with an address.
    #[error("{0:?} is no mailto: address")]
    Uri(String),
    /// Its domain has not said that it takes reports about the other.
    #[error("{name} does not say that it takes reports")]
    Refused {
        /// Where it would say so.
        name: String,
    },
    /// DNS does not answer; later it may.
    #[error("DNS does not answer whether {0} takes reports")]
    Unanswered(Domain),
}

impl Destination {
    /// Reads a URI of a record: `mailto:reports@example.com!10m` (RFC 7489 section
    /// 6.2).
    ///
    /// # Errors
    /// [`DestinationError::Uri`].
    pub fn parse(uri: &str) -> Result<Self, DestinationError> {
        let wrong = || DestinationError::Uri(uri.chars().take(100).collect());
        let (scheme, rest) = uri.trim().split_once(':').ok_or_else(wrong)?;
        if !scheme.eq_ignore_ascii_case("mailto") {
            return Err(wrong());
        }
        let (rest, size) = match rest.rsplit_once('!') {
            Some((rest, size)) => (rest, Some(octets(size).ok_or_else(wrong)?)),
            None => (rest, None),
        };
        // Fields that the URI would add are not the domain's to write.
        let address = rest.split('?').next().unwrap_or_default();
        let address = decoded(address).ok_or_else(wrong)?;
        Ok(Self {
            address: Address::parse(&address).map_err(|_| wrong())?,
            size,
        })
    }

    /// Whether mail of this size is taken.
    pub fn takes(&self, octets: usize) -> bool {
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        self.size.is_none_or(|most| octets <= most)
    }
}

/// `10m`: a number and a unit, a power of 1,024.
fn octets(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(['k', 'm', 'g', 't']);
    let power = match text.get(digits.len()..)? {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    Some(number.saturating_mul(1024u64.pow(power)))
}

/// Without `%40`.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet == b'%' {
            let pair = [octets.next()?, octets.next()?];
            let pair = std::str::from_utf8(&pair).ok()?;
            out.push(u8::from_str_radix(pair, 16).ok()?);
        } else {
            out.push(octet);
        }
    }
    String::from_utf8(out).ok()
}

/// Asks whether addresses take reports: anybody may name anybody's address in a
/// record, to have them flooded by others (RFC 7489 section 7.1, RFC 9990 section
/// 4).
#[derive(Debug, Clone)]
pub struct Destinations {
    resolver: Arc<dyn Resolver>,
    dmarc: Dmarc,
}

impl Destinations {
    /// Asks this resolver.
    pub fn new(resolver: Arc<dyn Resolver>, dmarc: Dmarc) -> Self {
        Self { resolver, dmarc }
    }

    /// Where reports about mail under the record at `about` go, each address once,
    /// and why others get none.
    pub async fn of(
        &self,
        about: &Domain,
        uris: &[String],
    ) -> (Vec<Destination>, Vec<DestinationError>) {
        let (mut found, mut errors) = (Vec::<Destination>::new(), Vec::new());
        for uri in uris {
            if found.len() == MOST {
                break;
            }
            let checked = match Destination::parse(uri) {
                Ok(destination) => self.verified(about, destination).await,
                Err(error) => Err(error),
            };
            match checked {
                Ok(some) => {
                    for it in some {
                        if !found.iter().any(|known| known.address == it.address) {
                            found.push(it);
                        }
                    }
                }
                Err(error) => errors.push(error),
            }
        }
        found.truncate(MOST);
        (found, errors)
    }

    /// The address itself, or those that its domain names in its place.
    async fn verified(
        &self,
        about: &Domain,
        destination: Destination,
    ) -> Result<Vec<Destination>, DestinationError> {
        let host = destination.address.domain().clone();
        if host == *about {
            return Ok(vec![destination]);
        }
        let unanswered = || DestinationError::Unanswered(host.clone());
        let own = self.dmarc.organization(about).await;
        let its = self.dmarc.organization(&host).await;
        if own.ok_or_else(unanswered)? == its.ok_or_else(unanswered)? {
            return Ok(vec![destination]);
        }
        let name = format!("{about}._report._dmarc.{host}");
        let refused = || DestinationError::Refused { name: name.clone() };
        let asked = Domain::for_lookup(&name).map_err(|_| refused())?;
        let found = match self.resolver.txt(&asked).await {
            Ok(found) => found,
            Err(DnsError::NotFound { .. }) => return Err(refused()),
            Err(_) => return Err(unanswered()),
        };
        let mut records = found.records.iter().filter(|txt| is_record(txt)).peekable();
        if records.peek().is_none() {
            return Err(refused());
        }
        let others = records.filter_map(|txt| DmarcRecord::parse(txt).ok());
        let others = others.flat_map(|record| record.aggregate_reports);
        let others = others.filter_map(|uri| Destination::parse(&uri).ok());
        // Its own addresses alone: what it is named for is not to be led on.
        let others: Vec<_> = others.filter(|it| *it.address.domain() == host).collect();
        Ok(if others.is_empty() {
            vec![destination]
        } else {
            others
        })
    }
}

#[cfg(test)]
mod tests {
    use mailcore::testing::{FixedResolver, VirtualClock};

    use super::*;

    #[test]
    fn addresses_are_read_with_what_they_take() {
        let read = |uri: &str| Destination::parse(uri).map(|it| (it.address.to_string(), it.size));
        let is = |uri: &str, address: &str, size| assert_eq!(read(uri), Ok((address.into(), size)));
        is("mailto:a@b.test", "a@b.test", None);
        is("MAILTO:a%2Bx@b.test!10m", "a+x@b.test", Some(10 << 20));
        is("mailto:a@b.test?bcc=c@d.test!2k", "a@b.test", Some(2048));
        for uri in [
            "https://b.test/",
            "mailto:",
            "mailto:a@b.test!x",
            "mailto:%zz@b.test",
            "a@b.test",
        ] {
            assert!(read(uri).is_err(), "{uri}");
        }
    }

    #[tokio::test]
    async fn others_get_reports_only_when_they_say_so() {
        let dns = FixedResolver::new();
        dns.add_txt("_dmarc.a.test", "v=DMARC1; p=none");
        dns.add_txt("_dmarc.c.test", "v=DMARC1; p=none");
        dns.add_txt("_dmarc.d.test", "v=DMARC1; p=none");
        dns.add_txt("a.test._report._dmarc.c.test", "v=DMARC1");
        dns.add_txt(
            "a.test._report._dmarc.d.test",
            "v=DMARC1; rua=mailto:two@d.test,mailto:x@victim.test",
        );
        let dns: Arc<dyn Resolver> = Arc::new(dns);
        let dmarc = Dmarc::new(Arc::clone(&dns), Arc::new(VirtualClock::new()));
        let destinations = Destinations::new(dns, dmarc);
        let uris: Vec<String> = [
            "x@a.test",
            "x@mail.a.test",
            "x@victim.test",
            "x@c.test",
            "x@d.test",
        ]
        .map(|address| format!("mailto:{address}"))
        .into();
        let (found, errors) = destinations.of(&"a.test".parse().unwrap(), &uris).await;
        let found: Vec<_> = found.iter().map(|it| it.address.to_string()).collect();
        assert_eq!(
            found,
            ["x@a.test", "x@mail.a.test", "x@c.test", "two@d.test"]
        );
        let name = "a.test._report._dmarc.victim.test".to_owned();
        assert_eq!(errors, [DestinationError::Refused { name }]);
    }
}
