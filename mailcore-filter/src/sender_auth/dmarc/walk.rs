//! The way up the tree (RFC 9989 section 4.10): which names above a domain have
//! a record, and which of them is the organization's.

use std::collections::HashMap;
use std::sync::Arc;

use mailcore::address::Domain;
use mailcore::seams::{DnsError, Resolver};

use super::record::{DmarcRecord, DmarcRecordError, PublicSuffix, is_record};

/// Names asked about on one way up.
const STEPS: usize = 8;

/// What is at one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A record.
    Record(Arc<DmarcRecord>),
    /// One that can't be read, or several.
    Wrong(Option<DmarcRecordError>),
    /// None.
    Nothing,
}

/// Whom a domain belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Organization {
    /// Its domain: the one asked about when none is found.
    pub(super) domain: Domain,
    /// What it is under, and where that is published: its own, or that of the
    /// public suffix above it.
    pub(super) record: Option<(Domain, Arc<DmarcRecord>)>,
}

/// DNS did not answer.
#[derive(Debug)]
pub(super) struct Unanswered;

/// Ways up, with what was found remembered: the domains of one message share
/// most of them.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    resolver: &'a dyn Resolver,
    known: HashMap<Domain, Found>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(resolver: &'a dyn Resolver) -> Self {
        Self {
            resolver,
            known: HashMap::new(),
        }
    }

    /// What `_dmarc` of a domain has.
    pub(super) async fn at(&mut self, domain: &Domain) -> Result<Found, Unanswered> {
        if let Some(found) = self.known.get(domain) {
            return Ok(found.clone());
        }
        let found = match Domain::for_lookup(&format!("_dmarc.{domain}")) {
            Ok(name) => self.ask(&name).await?,
            // Longer than DNS holds.
            Err(_) => Found::Nothing,
        };
        self.known.insert(domain.clone(), found.clone());
        Ok(found)
    }

    async fn ask(&self, name: &Domain) -> Result<Found, Unanswered> {
        let found = match self.resolver.txt(name).await {
            Ok(found) => found,
            Err(DnsError::NotFound { .. }) => return Ok(Found::Nothing),
            Err(_) => return Err(Unanswered),
        };
        let mut records = found.records.iter().filter(|txt| is_record(txt));
        let Some(record) = records.next() else {
            return Ok(Found::Nothing);
        };
        if records.next().is_some() {
            return Ok(Found::Wrong(None));
        }
        Ok(match DmarcRecord::parse(record) {
            Ok(record) => Found::Record(Arc::new(record)),
            Err(error) => Found::Wrong(Some(error)),
        })
    }

    /// Whether DNS has a domain: mail of one that it has not is made up. Where DNS
    /// does not answer, it has.
    pub(super) async fn exists(&self, domain: &Domain) -> bool {
        let is_missing = |error: &DnsError| matches!(error, DnsError::NotFound { .. });
        let addresses = self.resolver.addresses(domain).await;
        if !addresses.as_ref().is_err_and(is_missing) {
            return true;
        }
        let exchangers = self.resolver.mx(domain).await;
        !exchangers.as_ref().is_err_and(is_missing)
    }

    /// The organization that `domain` belongs to.
    pub(super) async fn organization(
        &mut self,
        domain: &Domain,
    ) -> Result<Organization, Unanswered> {
        let mut best = None;
        let mut below = domain.clone();
        for name in way_up(domain) {
            if let Found::Record(record) = self.at(&name).await? {
                let psd = record.psd;
                if psd == PublicSuffix::Yes && name != *domain {
                    return self.below_suffix(below, (name, record)).await;
                }
                best = Some((name.clone(), record));
                if psd == PublicSuffix::No {
                    break;
                }
            }
            below = name;
        }
        let found = best.as_ref().map(|(name, _)| name);
        Ok(Organization {
            domain: found.unwrap_or(domain).clone(),
            record: best,
        })
    }

    /// The organization is the name below a public suffix, under its own record
    /// if it has one.
    async fn below_suffix(
        &mut self,
        domain: Domain,
        suffix: (Domain, Arc<DmarcRecord>),
    ) -> Result<Organization, Unanswered> {
        let record = match self.at(&domain).await? {
            Found::Record(record) => (domain.clone(), record),
            _ => suffix,
        };
        Ok(Organization {
            domain,
            record: Some(record),
        })
    }
}

/// The domain and the names above it, at most eight: of a long name those next
/// to it are left out, which only a forger has.
fn way_up(domain: &Domain) -> Vec<Domain> {
    let text = domain.as_str();
    let labels = text.split('.').count();
    let skipped = if labels > STEPS {
        labels - (STEPS - 1)
    } else {
        1
    };
    let mut names = vec![domain.clone()];
    let mut rest = text;
    for place in 1..labels {
        let Some((_, above)) = rest.split_once('.') else {
            break;
        };
        rest = above;
        if place >= skipped {
            names.extend(Domain::parse(rest));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(domain: &str) -> Vec<String> {
        let names = way_up(&domain.parse().unwrap());
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_way_up_has_eight_names_at_most() {
        assert_eq!(
            names("a.b.c.test"),
            ["a.b.c.test", "b.c.test", "c.test", "test"]
        );
        let long = names("a.b.c.d.e.f.g.h.i.j.test");
        assert_eq!(long.len(), 8);
        assert_eq!(
            long[..3],
            [
                "a.b.c.d.e.f.g.h.i.j.test",
                "e.f.g.h.i.j.test",
                "f.g.h.i.j.test"
            ]
        );
        assert_eq!(names("test"), ["test"]);
    }
}
