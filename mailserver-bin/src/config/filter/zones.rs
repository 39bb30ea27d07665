//! Lists in DNS as the file names them: `zones`, and a table `zone` for each of
//! which more is said.

use std::net::IpAddr;

use mailcore::address::Domain;
use mailcore_filter::dns::shipped::{self, Purpose};
use mailcore_filter::dns::{Codes, Effect, Kind, Proof, Zone};

use super::super::file::{At, Section};

/// In `zones`: all that are shipped for the purpose.
const SHIPPED: &str = "shipped";
/// In `test`: the list has no entries to test it by.
const NO_ENTRIES: &str = "none";

/// The lists that a section names.
pub(super) fn zones(section: &Section<'_, '_>, purpose: Purpose) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    for name in section.strings("zones").unwrap_or_default() {
        match name.value {
            SHIPPED => zones.extend(shipped::zones(purpose)),
            _ => zones.extend(named(section, name, purpose)),
        }
    }
    let tables = section.sections("zone", "a zone of its own");
    for table in tables.unwrap_or_default() {
        let zone = table.required("name");
        let zone = zone.and_then(|name| named(&table, name, purpose));
        if let Some(zone) = zone.map(|zone| described(&table, zone, purpose)) {
            // What the file says of a list counts, not what is shipped of it.
            zones.retain(|it| it.name != zone.name);
            zones.push(zone);
        }
        table.finish();
    }
    let mut seen: Vec<Domain> = Vec::new();
    zones.retain(|zone| {
        let first = !seen.contains(&zone.name);
        seen.push(zone.name.clone());
        first
    });
    zones
}

/// A list as it is shipped, or one of which all answers mean that it lists.
fn named(section: &Section<'_, '_>, name: At<&str>, purpose: Purpose) -> Option<Zone> {
    let domain = Domain::parse(name.value).and_then(|domain| domain.to_ascii());
    let domain = match domain {
        Ok(domain) if domain.as_ip().is_none() && name.value.parse::<IpAddr>().is_err() => domain,
        _ => {
            let words = "is no list; write its name in DNS, such as bl.example.org, or shipped";
            section.problem(name.line, format!("\"{}\" {words}", name.value));
            return None;
        }
    };
    if let Some(what) = shipped::gone(&domain) {
        let problem = format!("{domain} {what}; remove it");
        section.problem(name.line, problem);
        return None;
    }
    let unknown = || match purpose {
        Purpose::Rhsbl | Purpose::Uribl => Zone::names(domain.clone()),
        _ => Zone::addresses(domain.clone()),
    };
    Some(shipped::find(&domain, purpose).unwrap_or_else(unknown))
}

fn described(table: &Section<'_, '_>, mut zone: Zone, purpose: Purpose) -> Zone {
    zone.shown_as = table.string("shown_as").map(|text| text.value.to_owned());
    if let Some(answers) = table.strings("answers") {
        let meanings = answers.into_iter();
        zone.meanings = meanings
            .filter_map(|it| meaning(table, it, purpose))
            .collect();
    }
    if let Some(refusals) = table.strings("refusals") {
        let codes = refusals.into_iter();
        zone.refusals = codes
            .filter_map(|it| codes_of(table, "refusals", it))
            .collect();
    }
    if let Some(takes) = table.strings("takes") {
        let words = [
            ("ipv4", Kind::V4),
            ("ipv6", Kind::V6),
            ("names", Kind::Name),
        ];
        let kinds = takes.into_iter();
        zone.takes = kinds
            .filter_map(|it| table.word("takes", it, &words))
            .collect();
    }
    if let Some(test) = table.string("test") {
        zone.proof = match test.value {
            NO_ENTRIES => Proof::Nothing,
            name => match Domain::parse(name) {
                Ok(name) => Proof::Name(name),
                Err(_) => {
                    let words = "test is a name that is always listed, or \"none\"";
                    table.problem(test.line, words);
                    Proof::default()
                }
            },
        };
    }
    zone
}

/// `127.0.0.2-11 listed`, `127.0.0.20 score 2.5`.
fn meaning(table: &Section<'_, '_>, text: At<&str>, purpose: Purpose) -> Option<(Codes, Effect)> {
    let (codes, effect) = text
        .value
        .trim()
        .split_once(' ')
        .unwrap_or((text.value, ""));
    let line = text.line;
    let codes = codes_of(table, "answers", At { value: codes, line });
    let effect = match effect.parse() {
        Ok(Effect::Allowed(_)) if purpose == Purpose::Uribl => {
            table.problem(
                line,
                "answers: a URL makes no mail good; write score or ignored",
            );
            None
        }
        Ok(effect) => Some(effect),
        Err(error) => {
            table.problem(line, format!("answers: {error}"));
            None
        }
    };
    Some((codes?, effect?))
}

fn codes_of(table: &Section<'_, '_>, key: &str, text: At<&str>) -> Option<Codes> {
    let problem = |error| table.problem(text.line, format!("{key}: {error}"));
    text.value.parse().map_err(problem).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::resolve::resolve;
    use crate::config::{Config, Problems};

    fn read(filter: &str) -> Result<Config, Problems> {
        let text = format!("{filter}[server]\nhostname = \"mail.example.com\"\n");
        resolve(Path::new("m.toml"), &text)
    }

    #[test]
    fn lists_are_named_shipped_or_described() {
        let text = "\
[filter.dnsbl]
zones = [\"shipped\", \"bl.example.org\", \"zen.spamhaus.org\"]
exceptions = [\"192.0.2.0/24\", \"mx:example.com\"]
[[filter.dnsbl.zone]]
name = \"KEY.zen.dq.spamhaus.net\"
shown_as = \"zen\"
answers = [\"127.0.0.2-9 listed\", \"127.0.0.10,11 score 3\"]
takes = [\"ipv4\"]
test = \"none\"
[[filter.uribl.zone]]
name = \"multi.surbl.org\"
answers = [\"127.0.0.&8 listed\"]
";
        let lists = read(text).unwrap().filter.dns_lists;
        let names: Vec<_> = lists.dnsbl.zones.iter().map(Zone::shown).collect();
        assert_eq!(names.last(), Some(&"zen"));
        assert_eq!(
            names.len(),
            shipped::zones(Purpose::Dnsbl).len() + 2,
            "{names:?}"
        );
        let own = lists.dnsbl.zones.last().unwrap();
        assert_eq!((own.takes.len(), own.meanings.len()), (1, 2));
        assert_eq!(own.proof, Proof::Nothing);
        let [surbl] = &lists.uribl.zones[..] else {
            panic!("{:?}", lists.uribl.zones);
        };
        assert_eq!(surbl.meanings.len(), 1);
        assert_ne!(
            surbl.proof,
            Proof::TestEntries,
            "what is not said is as shipped"
        );
    }

    #[test]
    fn what_is_wrong_with_a_list_is_told_with_its_line() {
        let text = "\
[filter.dnsbl]
zones = [\"relays.ordb.org\", \"192.0.2.1\"]
exceptions = [\"192.0.2.1/24\"]
[[filter.uribl.zone]]
name = \"bl.example.org\"
answers = [\"127.0.0.999 listed\", \"127.0.0.2 refuse\", \"127.0.0.2 allowed -1\"]
kind = \"names\"
[filter.rhsbl]
exceptions = [\"a b\"]
[filter.dns_lists]
timeout = \"0s\"
";
        let problems = read(text).unwrap_err().to_string();
        for (line, words) in [
            (2, "relays.ordb.org closed in 2006"),
            (2, "\"192.0.2.1\" is no list"),
            (3, "exceptions: the address has bits set"),
            (6, "\"127.0.0.999\" names no answers"),
            (6, "\"refuse\" is no meaning"),
            (6, "a URL makes no mail good"),
            (7, "unknown key \"kind\""),
            (9, "not \"a b\""),
            (11, "timeout must be more than nothing"),
        ] {
            let told = problems
                .lines()
                .any(|told| told.starts_with(&format!("m.toml:{line}: ")) && told.contains(words));
            assert!(told, "{words} in {problems}");
        }
    }
}
