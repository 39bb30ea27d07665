//! Lists known by name: what they are for, on which terms, and what their
//! answers mean; and lists that are no more.
//!
//! None is asked unless somebody names it, or `shipped` for those marked so.

use mailcore::address::Domain;

use super::{Codes, Effect, Kind, Proof, Zone};

/// What a list is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// Clients, by [`Dnsbl`](super::Dnsbl).
    Dnsbl,
    /// Senders' domains, by [`Rhsbl`](super::Rhsbl).
    Rhsbl,
    /// Domains of URLs, by `Uribl`.
    Uribl,
    /// Clients that send notices, by [`Backscatter`](super::Backscatter).
    Backscatter,
}

/// A list known by name.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ShippedZone {
    /// Where it is asked.
    pub name: &'static str,
    /// What for.
    pub purpose: Purpose,
    /// Whether `shipped` means it, too; else it has to be named.
    pub among_shipped: bool,
    /// What it lists.
    pub lists: &'static str,
    /// Who may ask it, as far as is known here. Those who run it say it better.
    pub terms: &'static str,
    takes: &'static [Kind],
    meanings: &'static [(&'static str, Effect)],
    refusals: &'static [&'static str],
    /// A name that it always lists, in place of `TEST`.
    test_name: Option<&'static str>,
}

const V4: &[Kind] = &[Kind::V4];
const BOTH: &[Kind] = &[Kind::V4, Kind::V6];
const NAMES: &[Kind] = &[Kind::Name];
const NAMES_AND_V4: &[Kind] = &[Kind::Name, Kind::V4];

/// Every list known by name.
#[rustfmt::skip]
pub const ZONES: &[ShippedZone] = &[
    ShippedZone { name: "zen.spamhaus.org", purpose: Purpose::Dnsbl, among_shipped: true,
        lists: "sources of spam (SBL, CSS), infected hosts (XBL), addresses that send no mail by themselves (PBL)",
        terms: "free for little traffic that earns nothing, and not through public resolvers; others need a key",
        takes: BOTH, meanings: &[("127.0.0.2-11", Effect::Listed), ("127.0.0.30", Effect::Listed)],
        refusals: &[], test_name: None },
    ShippedZone { name: "bl.spamcop.net", purpose: Purpose::Dnsbl, among_shipped: true,
        lists: "sources of mail that people report as spam; it forgets within a day or two",
        terms: "free; its makers advise to score and not to refuse",
        takes: V4, meanings: &[("127.0.0.2", Effect::Score(4.0))],
        refusals: &[], test_name: None },
    ShippedZone { name: "psbl.surriel.com", purpose: Purpose::Dnsbl, among_shipped: true,
        lists: "hosts that wrote to addresses nobody gave away; whoever runs one takes it off at once",
        terms: "free",
        takes: V4, meanings: &[("127.0.0.2", Effect::Score(3.0))],
        refusals: &[], test_name: None },
    ShippedZone { name: "dnsbl.dronebl.org", purpose: Purpose::Dnsbl, among_shipped: true,
        lists: "infected and abused hosts: bots, open proxies",
        terms: "free",
        takes: BOTH, meanings: &[("127.0.0.3-19", Effect::Score(4.0))],
        refusals: &[], test_name: None },
    ShippedZone { name: "b.barracudacentral.org", purpose: Purpose::Dnsbl, among_shipped: false,
        lists: "sources of spam",
        terms: "free after registering the addresses of one's resolvers",
        takes: V4, meanings: &[("127.0.0.2", Effect::Listed)],
        refusals: &[], test_name: None },
    ShippedZone { name: "list.dnswl.org", purpose: Purpose::Dnsbl, among_shipped: true,
        lists: "hosts known for good mail, with three degrees of trust",
        terms: "free below 100,000 questions a day for use that earns nothing; others subscribe",
        takes: BOTH, meanings: &[
            ("127.0.*.1", Effect::Allowed(-1.0)),
            ("127.0.*.2", Effect::Allowed(-3.0)),
            ("127.0.*.3", Effect::Allowed(-5.0)),
        ],
        refusals: &["127.0.0.255"], test_name: None },
    ShippedZone { name: "dbl.spamhaus.org", purpose: Purpose::Rhsbl, among_shipped: true,
        lists: "domains of spam, phishing and malware",
        terms: "as zen.spamhaus.org",
        takes: NAMES, meanings: &[("127.0.1.2-99", Effect::Listed)],
        refusals: &["127.0.1.255"], test_name: Some("dbltest.com") },
    ShippedZone { name: "dbl.spamhaus.org", purpose: Purpose::Uribl, among_shipped: true,
        lists: "domains of spam, phishing and malware; from 127.0.1.102 on good ones that are abused",
        terms: "as zen.spamhaus.org",
        takes: NAMES, meanings: &[
            ("127.0.1.2-99", Effect::Score(6.0)),
            ("127.0.1.102-199", Effect::Score(2.5)),
        ],
        refusals: &["127.0.1.255"], test_name: Some("dbltest.com") },
    ShippedZone { name: "multi.surbl.org", purpose: Purpose::Uribl, among_shipped: true,
        lists: "sites that spam links to: phishing 8, malware 16, abuse 64, cracked 128",
        terms: "free for little traffic; others buy a feed",
        takes: NAMES_AND_V4, meanings: &[
            ("127.0.0.&24", Effect::Score(6.0)),
            ("127.0.0.&64", Effect::Score(5.0)),
            ("127.0.0.&128", Effect::Score(4.0)),
        ],
        refusals: &[], test_name: Some("surbl-org-permanent-test-point.com") },
    ShippedZone { name: "multi.uribl.com", purpose: Purpose::Uribl, among_shipped: true,
        lists: "domains that spam links to: black 2, grey 4, red 8",
        terms: "free for little traffic, not through public resolvers; others buy a feed",
        takes: NAMES_AND_V4, meanings: &[
            ("127.0.0.&2", Effect::Score(5.0)),
            ("127.0.0.&8", Effect::Score(1.0)),
            ("127.0.0.&4", Effect::Score(0.5)),
        ],
        refusals: &[], test_name: Some("test.uribl.com") },
    ShippedZone { name: "ips.backscatterer.org", purpose: Purpose::Backscatter, among_shipped: true,
        lists: "hosts that send notices and call back about mail with forged senders",
        terms: "free; for MAIL FROM:<> alone, its makers say",
        takes: V4, meanings: &[("127.0.0.2", Effect::Listed)],
        refusals: &[], test_name: None },
];

/// Lists that are no more, with all below their names, and what became of them.
const GONE: &[(&str, &str)] = &[
    ("ordb.org", "closed in 2006; in 2008 it listed everybody"),
    ("njabl.org", "closed in 2013"),
    ("sorbs.net", "closed in 2024"),
    ("ahbl.org", "closed in 2015, and listed everybody"),
    ("dsbl.org", "closed in 2008"),
    ("abuseat.org", "is part of zen.spamhaus.org since 2021"),
    ("spamcannibal.org", "closed in 2018, and listed everybody"),
    ("osirusoft.com", "closed in 2003, and listed everybody"),
    ("blitzed.org", "closed in 2006"),
    ("five-ten-sg.com", "closed"),
    ("rfc-ignorant.org", "closed in 2012"),
    (
        "mail-abuse.org",
        "serves customers alone, under other names",
    ),
    ("maps.vix.com", "serves customers alone, under other names"),
];

/// The lists that `shipped` means.
pub fn zones(purpose: Purpose) -> Vec<Zone> {
    let meant = |it: &&ShippedZone| it.purpose == purpose && it.among_shipped;
    ZONES
        .iter()
        .filter(meant)
        .filter_map(ShippedZone::zone)
        .collect()
}

/// The list of that name, when it is known for that purpose.
pub fn find(name: &Domain, purpose: Purpose) -> Option<Zone> {
    let mut all = ZONES.iter();
    let known = all.find(|it| it.purpose == purpose && it.name == name.as_str());
    known.and_then(ShippedZone::zone)
}

/// What became of a list that is no more; `None` for others.
pub fn gone(name: &Domain) -> Option<&'static str> {
    let is_below = |gone: &str| {
        let before = name.as_str().strip_suffix(gone);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    let found = GONE.iter().find(|(gone, _)| is_below(gone));
    found.map(|(_, what)| *what)
}

impl ShippedZone {
    /// The list; `None` never, as a test sees to.
    fn zone(&self) -> Option<Zone> {
        let mut zone = Zone::addresses(Domain::parse(self.name).ok()?);
        zone.takes = self.takes.to_vec();
        for (codes, effect) in self.meanings {
            zone = zone.meaning(codes.parse().ok()?, *effect);
        }
        let refusals = self.refusals.iter().map(|codes| codes.parse());
        zone.refusals = refusals.collect::<Result<Vec<Codes>, _>>().ok()?;
        if let Some(name) = self.test_name {
            zone.proof = Proof::Name(Domain::parse(name).ok()?);
        }
        Some(zone)
    }
}

#[cfg(test)]
mod tests {
    use super::super::zone::Judged;
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    #[test]
    fn every_list_known_by_name_can_be_asked() {
        for known in ZONES {
            let zone = known.zone().unwrap();
            assert_eq!(find(&zone.name, known.purpose), Some(zone));
            assert_eq!(gone(&domain(known.name)), None);
        }
        for purpose in [
            Purpose::Dnsbl,
            Purpose::Rhsbl,
            Purpose::Uribl,
            Purpose::Backscatter,
        ] {
            assert!(!zones(purpose).is_empty(), "{purpose:?}");
        }
    }

    #[test]
    fn the_answers_of_shipped_lists_mean_what_their_makers_say() {
        let judge = |name: &str, purpose, answer: &str| {
            let zone = find(&domain(name), purpose).unwrap();
            match zone.judge(&[answer.parse().unwrap()]) {
                Judged::Found(effect, _) => Some(effect),
                Judged::NotListed => Some(Effect::Ignored),
                Judged::Refused(_) => None,
            }
        };
        use Purpose::{Dnsbl, Rhsbl, Uribl};
        for (name, purpose, answer, want) in [
            (
                "zen.spamhaus.org",
                Dnsbl,
                "127.0.0.10",
                Some(Effect::Listed),
            ),
            ("zen.spamhaus.org", Dnsbl, "127.255.255.254", None),
            (
                "list.dnswl.org",
                Dnsbl,
                "127.0.5.3",
                Some(Effect::Allowed(-5.0)),
            ),
            ("list.dnswl.org", Dnsbl, "127.0.5.0", Some(Effect::Ignored)),
            ("list.dnswl.org", Dnsbl, "127.0.0.255", None),
            ("dbl.spamhaus.org", Rhsbl, "127.0.1.2", Some(Effect::Listed)),
            (
                "dbl.spamhaus.org",
                Rhsbl,
                "127.0.1.102",
                Some(Effect::Ignored),
            ),
            (
                "dbl.spamhaus.org",
                Uribl,
                "127.0.1.102",
                Some(Effect::Score(2.5)),
            ),
            (
                "multi.surbl.org",
                Uribl,
                "127.0.0.72",
                Some(Effect::Score(6.0)),
            ),
            ("multi.uribl.com", Uribl, "127.0.0.1", None),
            (
                "multi.uribl.com",
                Uribl,
                "127.0.0.4",
                Some(Effect::Score(0.5)),
            ),
        ] {
            assert_eq!(judge(name, purpose, answer), want, "{name} {answer}");
        }
    }

    #[test]
    fn lists_that_are_no_more_are_known_with_all_below_them() {
        for name in ["relays.ordb.org", "sorbs.net", "dul.dnsbl.sorbs.net"] {
            assert!(gone(&domain(name)).is_some(), "{name}");
        }
        for name in ["notordb.org", "ordb.org.example", "bl.example"] {
            assert!(gone(&domain(name)).is_none(), "{name}");
        }
    }
}
