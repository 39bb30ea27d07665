//! [`Zone`]: a list in DNS, what it is asked and what its answers mean.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};

use mailcore::address::Domain;

use super::effect::weight;
use super::{Codes, Effect};

/// What a list is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An address (RFC 5782 sections 2.1 and 2.4).
    Address(IpAddr),
    /// A name (RFC 5782 section 3).
    Name(Domain),
}

/// The kinds of subjects. A list keeps each in a form of its own, and may fail
/// in one and serve in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// IPv4 addresses, as four numbers.
    V4,
    /// IPv6 addresses, as 32 hexadecimal digits.
    V6,
    /// Domains.
    Name,
}

/// How a list shows that it works (RFC 5782 section 5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Proof {
    /// By the entries that RFC 5782 section 5 asks for: 127.0.0.2,
    /// `::FFFF:7F00:2` and `TEST` are listed; 127.0.0.1, `::FFFF:7F00:1` and
    /// `INVALID` are not.
    #[default]
    TestEntries,
    /// Names by another one that is always listed; addresses as above.
    Name(Domain),
    /// It lists nothing for a test; that it does not list everything is tested
    /// all the same.
    Nothing,
}

/// A list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Zone {
    /// Where it is asked. May hold a customer's key.
    pub name: Domain,
    /// What replies and logs call it in place of its name.
    pub shown_as: Option<String>,
    /// What it is asked about.
    pub takes: Vec<Kind>,
    /// What its answers mean; the first that fits counts. What fits none is no
    /// listing.
    pub meanings: Vec<(Codes, Effect)>,
    /// Answers that say the list does not serve whoever asks.
    pub refusals: Vec<Codes>,
    /// How it shows that it works.
    pub proof: Proof,
}

/// What answers say of a subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Judged {
    /// Nothing that is meant.
    NotListed,
    /// That, by this one of them.
    Found(Effect, Ipv4Addr),
    /// That the list gives no answers here.
    Refused(Ipv4Addr),
}

/// Spamhaus and others: the asker is blocked, or a public resolver is.
const ERRORS: [u8; 3] = [127, 255, 255];
/// RFC 5782 section 2.1 keeps it from lists of addresses; lists made of bits
/// (URIBL, SURBL) say with it that they don't serve the asker.
const UNUSED: Ipv4Addr = Ipv4Addr::LOCALHOST;

impl Zone {
    /// A list of addresses, of which every answer means [`Effect::Listed`].
    pub fn addresses(name: Domain) -> Self {
        Self::of(name, vec![Kind::V4, Kind::V6])
    }

    /// A list of names, of which every answer means [`Effect::Listed`].
    pub fn names(name: Domain) -> Self {
        Self::of(name, vec![Kind::Name])
    }

    fn of(name: Domain, takes: Vec<Kind>) -> Self {
        Self {
            name,
            shown_as: None,
            takes,
            meanings: Vec::new(),
            refusals: Vec::new(),
            proof: Proof::default(),
        }
    }

    /// Answers of `codes` mean `effect`. Without any, all mean
    /// [`Effect::Listed`].
    #[must_use]
    pub fn meaning(mut self, codes: Codes, effect: Effect) -> Self {
        self.meanings.push((codes, effect));
        self
    }

    /// What replies and logs call it.
    pub fn shown(&self) -> &str {
        self.shown_as.as_deref().unwrap_or(self.name.as_str())
    }

    /// The name to ask about `subject`; `None` when there is none, or when the
    /// list does not take such subjects.
    pub(super) fn question(&self, subject: &Subject) -> Option<Domain> {
        if !self.takes.contains(&subject.kind()) {
            return None;
        }
        let mut name = String::with_capacity(self.name.as_str().len() + 64);
        match subject {
            Subject::Address(IpAddr::V4(v4)) => {
                let octets = v4.octets();
                for octet in octets.iter().rev() {
                    write!(name, "{octet}.").ok()?;
                }
            }
            Subject::Address(IpAddr::V6(v6)) => {
                for octet in v6.octets().iter().rev() {
                    write!(name, "{:x}.{:x}.", octet & 0xf, octet >> 4).ok()?;
                }
            }
            Subject::Name(domain) => {
                if domain.as_ip().is_some() {
                    return None;
                }
                name.push_str(domain.to_ascii().ok()?.as_str());
                name.push('.');
            }
        }
        name.push_str(self.name.as_str());
        Domain::for_lookup(&name).ok()
    }

    /// What the answers mean: of several the one that weighs most, since a list
    /// made of others answers with one for each.
    pub(super) fn judge(&self, answers: &[Ipv4Addr]) -> Judged {
        let mut found = Judged::NotListed;
        for &answer in answers {
            if self.is_refusal(answer) {
                return Judged::Refused(answer);
            }
            let effect = self.effect(answer);
            let heavier = match found {
                Judged::Found(other, _) => weight(effect) > weight(other),
                _ => weight(effect) > weight(Effect::Ignored),
            };
            if heavier {
                found = Judged::Found(effect, answer);
            }
        }
        found
    }

    fn effect(&self, answer: Ipv4Addr) -> Effect {
        if self.meanings.is_empty() {
            return Effect::Listed;
        }
        let mut meanings = self.meanings.iter();
        let fits = meanings.find(|(codes, _)| codes.contains(answer));
        fits.map_or(Effect::Ignored, |(_, effect)| *effect)
    }

    /// True when an answer says that the list does not serve the asker, or is no
    /// list any more.
    pub(super) fn is_refusal(&self, answer: Ipv4Addr) -> bool {
        // Outside 127.0.0.0/8 is a domain for sale, or a resolver that sends
        // whoever mistypes to its own pages.
        if !answer.is_loopback() || answer.octets().starts_with(&ERRORS) {
            return true;
        }
        if self.refusals.iter().any(|codes| codes.contains(answer)) {
            return true;
        }
        answer == UNUSED
            && !self
                .meanings
                .iter()
                .any(|(codes, _)| codes.contains(answer))
    }
}

impl Subject {
    /// An address. IPv4 in IPv6 is IPv4 (RFC 4291 section 2.5.5.2).
    pub fn address(ip: IpAddr) -> Self {
        Self::Address(ip.to_canonical())
    }

    /// A host: a name, or the address that a literal stands for.
    pub fn host(host: &Domain) -> Self {
        match host.as_ip() {
            Some(ip) => Self::address(ip),
            None => Self::Name(host.clone()),
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Address(IpAddr::V4(_)) => Kind::V4,
            Self::Address(IpAddr::V6(_)) => Kind::V6,
            Self::Name(_) => Kind::Name,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
            Self::Name => "names",
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => fmt::Display::fmt(ip, f),
            Self::Name(name) => fmt::Display::fmt(name, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn question(zone: &Zone, subject: &str) -> Option<String> {
        let subject = match subject.parse::<IpAddr>() {
            Ok(ip) => Subject::address(ip),
            Err(_) => Subject::host(&domain(subject)),
        };
        zone.question(&subject).map(|name| name.to_string())
    }

    #[test]
    fn names_asked_are_those_of_rfc_5782() {
        let zone = Zone::addresses(domain("bl.example"));
        for (subject, want) in [
            ("192.0.2.99", Some("99.2.0.192.bl.example")),
            ("::ffff:192.0.2.99", Some("99.2.0.192.bl.example")),
            ("[192.0.2.99]", Some("99.2.0.192.bl.example")),
            (
                "2001:db8:1:2:3:4:567:89ab",
                Some("b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example"),
            ),
            ("name.example", None),
        ] {
            assert_eq!(question(&zone, subject).as_deref(), want, "{subject}");
        }
        let zone = Zone::names(domain("rhs.example"));
        let long = vec!["a".repeat(31); 7].join(".") + &".b".repeat(15);
        for (subject, want) in [
            ("Spam.Example", Some("spam.example.rhs.example")),
            ("bücher.example", Some("xn--bcher-kva.example.rhs.example")),
            ("192.0.2.99", None),
            // No name is longer than 255 octets.
            (&long, None),
        ] {
            assert_eq!(question(&zone, subject).as_deref(), want, "{subject}");
        }
    }

    #[test]
    fn of_several_answers_the_one_that_weighs_most_counts() {
        let codes = |text: &str| text.parse().unwrap();
        let zone = Zone::addresses(domain("zen.example"))
            .meaning(codes("127.0.0.2-9"), Effect::Listed)
            .meaning(codes("127.0.0.10,11"), Effect::Score(3.0))
            .meaning(codes("127.0.0.20"), Effect::Score(1.0))
            .meaning(codes("127.0.9.*"), Effect::Allowed(-2.0));
        let judge = |answers: &[&str]| {
            let answers: Vec<Ipv4Addr> = answers.iter().map(|it| it.parse().unwrap()).collect();
            zone.judge(&answers)
        };
        let found = |effect, code: &str| Judged::Found(effect, code.parse().unwrap());
        for (answers, want) in [
            (&[][..], Judged::NotListed),
            (&["127.0.0.77"], Judged::NotListed),
            (
                &["127.0.0.10", "127.0.0.4"],
                found(Effect::Listed, "127.0.0.4"),
            ),
            (
                &["127.0.0.20", "127.0.0.11"],
                found(Effect::Score(3.0), "127.0.0.11"),
            ),
            (
                &["127.0.9.1", "127.0.0.20"],
                found(Effect::Score(1.0), "127.0.0.20"),
            ),
            (&["127.0.9.1"], found(Effect::Allowed(-2.0), "127.0.9.1")),
        ] {
            assert_eq!(judge(answers), want, "{answers:?}");
        }
    }

    #[test]
    fn answers_that_list_nothing_are_no_listing() {
        let plain = Zone::addresses(domain("bl.example"));
        for refusal in ["127.255.255.254", "127.0.0.1", "192.0.2.1", "0.0.0.0"] {
            let answer = refusal.parse().unwrap();
            assert_eq!(plain.judge(&[answer]), Judged::Refused(answer), "{refusal}");
        }
        let one = "127.0.0.1".parse().unwrap();
        let named = plain
            .clone()
            .meaning("127.0.0.1".parse().unwrap(), Effect::Score(1.0));
        assert_eq!(named.judge(&[one]), Judged::Found(Effect::Score(1.0), one));
        let mut over = plain;
        over.refusals.push("127.0.0.255".parse().unwrap());
        let answer = "127.0.0.255".parse().unwrap();
        assert_eq!(over.judge(&[answer]), Judged::Refused(answer));
    }

    proptest! {
        #[test]
        fn an_address_is_asked_about_backwards(bits: u32) {
            let ip = Ipv4Addr::from_bits(bits);
            let name = question(&Zone::addresses(domain("x.test")), &ip.to_string()).unwrap();
            let mut parts: Vec<_> = name.strip_suffix(".x.test").unwrap().split('.').collect();
            parts.reverse();
            prop_assert_eq!(parts.join("."), ip.to_string());
        }

        #[test]
        fn any_name_is_asked_about_or_not(name in "\\PC{0,300}") {
            if let Ok(name) = Domain::parse(&name) {
                let asked = Zone::names(domain("x.test")).question(&Subject::host(&name));
                prop_assert!(asked.is_none_or(|asked| asked.as_str().len() <= 255));
            }
        }
    }
}
