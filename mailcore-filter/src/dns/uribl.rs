//! [`Uribl`]: whether the domains in a message's URLs are on a list.

use std::collections::HashSet;
use std::sync::Arc;

use mailcore::address::Domain;

use super::results;
use super::{DnsLists, Effect, NameExceptions, Subject, Zone};
use crate::pipeline::Said;
use crate::registered_domain;

/// Domains asked about, of one message.
const MOST_DOMAINS: usize = 50;

/// Asks lists of names about the domains that were registered for the hosts of
/// URLs, and, where they take such, about addresses in place of hosts. As
/// shipped, mail with one that is listed is kept apart.
///
/// [`Effect::Allowed`] means nothing here: bad mail names good sites, too.
#[derive(Debug, Clone)]
pub struct Uribl {
    lists: DnsLists,
    zones: Vec<Arc<Zone>>,
    exceptions: NameExceptions,
    most: usize,
}

impl Uribl {
    /// Asks these lists.
    pub fn new(lists: DnsLists, zones: impl IntoIterator<Item = Zone>) -> Self {
        Self {
            lists,
            zones: zones.into_iter().map(Arc::new).collect(),
            exceptions: NameExceptions::default(),
            most: MOST_DOMAINS,
        }
    }

    /// Names for which no listing counts.
    #[must_use]
    pub fn except(mut self, exceptions: NameExceptions) -> Self {
        self.exceptions = exceptions;
        self
    }

    /// Asks about so many domains of one message at most; 50.
    #[must_use]
    pub fn at_most(mut self, domains: usize) -> Self {
        self.most = domains;
        self
    }

    /// What lists say of these hosts, address literals among them: one thing for
    /// each list, that of the host it knows the worst of.
    pub async fn check(&self, hosts: impl IntoIterator<Item = Domain>) -> Vec<Said> {
        let subjects = self.subjects(hosts);
        if subjects.is_empty() {
            return Vec::new();
        }
        let mut listings = self.lists.ask(&self.zones, &subjects).await;
        let counts = |effect| matches!(effect, Effect::Listed | Effect::Score(_));
        listings.found.retain(|listing| counts(listing.effect));
        listings.keep_worst_of_each_zone();
        results::of(&listings)
    }

    fn subjects(&self, hosts: impl IntoIterator<Item = Domain>) -> Vec<Subject> {
        let mut seen = HashSet::new();
        let mut subjects = Vec::new();
        for host in hosts {
            if self.exceptions.contains(&host) {
                continue;
            }
            let subject = match host.as_ip() {
                Some(ip) => Subject::address(ip),
                None => match registered_domain(&host) {
                    Some(domain) if !self.exceptions.contains(&domain) => Subject::Name(domain),
                    _ => continue,
                },
            };
            if seen.insert(subject.clone()) {
                subjects.push(subject);
            }
        }
        // Of too many those in the middle are left out: whoever hides one among
        // many knows where others begin to read.
        if subjects.len() > self.most {
            let last = self.most / 2;
            let first = self.most - last;
            subjects.drain(first..subjects.len() - last);
        }
        subjects
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::{LISTED, SCORED};
    use super::super::tests::{Scene, domain};
    use super::*;

    fn uribl(scene: &Scene) -> Uribl {
        let mut zone = Zone::names(domain("surbl.test"));
        zone.takes.push(super::super::Kind::V4);
        let zone = (zone.meaning("127.0.0.&8".parse().unwrap(), Effect::Listed))
            .meaning("127.0.0.&64".parse().unwrap(), Effect::Score(5.0));
        scene
            .add_zone("surbl.test")
            .add("bad.co.uk", "surbl.test", "127.0.0.8")
            .add("worse.test", "surbl.test", "127.0.0.72")
            .add("abuse.test", "surbl.test", "127.0.0.64")
            .add("9.2.0.192", "surbl.test", "127.0.0.8");
        Uribl::new(scene.lists.clone(), [zone])
    }

    async fn said(test: &Uribl, hosts: &[&str]) -> Vec<(&'static str, String)> {
        let said = test.check(hosts.iter().map(|host| domain(host))).await;
        said.into_iter().map(|it| (it.result, it.input)).collect()
    }

    #[tokio::test]
    async fn urls_are_known_by_the_domain_that_was_registered() {
        let scene = Scene::new();
        let test = uribl(&scene);
        for (host, want) in [
            ("www.shop.bad.co.uk", Some((LISTED, "bad.co.uk surbl.test"))),
            ("abuse.test", Some((SCORED, "abuse.test surbl.test"))),
            ("[192.0.2.9]", Some((LISTED, "192.0.2.9 surbl.test"))),
            ("co.uk", None),
            ("good.test", None),
            ("[ipv6:2001:db8::1]", None),
        ] {
            let said = said(&test, &[host]).await;
            let said = said
                .first()
                .map(|(result, input)| (*result, input.as_str()));
            assert_eq!(said, want, "{host}");
        }
    }

    #[tokio::test]
    async fn each_list_says_the_worst_it_knows_and_no_more() {
        let scene = Scene::new();
        let test = uribl(&scene);
        let hosts = ["abuse.test", "good.test", "www.bad.co.uk", "worse.test"];
        assert_eq!(said(&test, &hosts).await.len(), 1);
        let mut excepted = NameExceptions::default();
        excepted.add(".bad.co.uk").unwrap();
        excepted.add("worse.test").unwrap();
        let said = said(&test.except(excepted), &hosts).await;
        assert_eq!(said, [(SCORED, "abuse.test surbl.test".to_owned())]);
    }

    #[tokio::test]
    async fn of_very_many_domains_the_first_and_the_last_are_asked_about() {
        let scene = Scene::new();
        let test = uribl(&scene).at_most(10);
        let mut hosts: Vec<String> = (0..10_000).map(|at| format!("www.d{at}.test")).collect();
        hosts.push("worse.test".into());
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        assert_eq!(said(&test, &hosts).await.len(), 1);
        // With two test entries, and the words about the one.
        assert_eq!(scene.dns.asked(), 13);
    }
}
