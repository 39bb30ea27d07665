//! [`Lookup`]: addresses that are not listed one by one: aliases by wildcard
//! and by regular expression, an address for everything else, and where a
//! detail begins. All of it is settings of a domain, read when they change.
//!
//! Expressions run in time linear in the address (the `regex` crate), match
//! whole local parts in lower case, and are bounded in size and number.

use std::collections::BTreeMap;
use std::sync::Arc;

use mailcore::address::{Address, Domain};
use mailcore::route::{SubAddresses, keys};
use regex::{Regex, RegexBuilder};

/// Patterns kept for one domain.
const MAX_PATTERNS: usize = 1_000;
/// Octets that one compiled expression may take.
const MAX_COMPILED: usize = 256 * 1024;
/// Targets of one pattern.
const MAX_TARGETS: usize = 100;

/// What a domain's settings say of addresses that are not listed.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// `None` where nothing is set.
    pub(super) separator: Option<SubAddresses>,
    catch_all: Option<Address>,
    /// The longest literal text first.
    wildcards: Vec<(Wildcard, Vec<Template>)>,
    /// In the order given.
    expressions: Vec<(Regex, Vec<Template>)>,
}

/// `sales-*`: the texts around its stars.
#[derive(Debug)]
struct Wildcard(Vec<String>);

/// A target, with `$1` for what an expression's first group matched.
#[derive(Debug)]
struct Template {
    local_part: String,
    domain: Domain,
}

impl Lookup {
    /// What is wrong with patterns, when something is.
    pub(super) fn check(text: &str) -> Result<(), String> {
        Self::default().read(text)
    }

    /// What these settings say. A wrong one was refused when it was set; one
    /// that got in another way is left out.
    pub(super) fn new(settings: &BTreeMap<Arc<str>, Arc<str>>) -> Self {
        let mut lookup = Self::default();
        if let Some(text) = settings.get(keys::SEPARATOR) {
            lookup.separator = SubAddresses::parse(text);
        }
        if let Some(text) = settings.get(keys::CATCH_ALL) {
            lookup.catch_all = Address::parse(text).ok();
        }
        if let Some(text) = settings.get(keys::PATTERNS)
            && let Err(reason) = lookup.read(text)
        {
            tracing::error!("aliases by pattern are left out: {reason}");
        }
        lookup
    }

    fn read(&mut self, text: &str) -> Result<(), String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        for (count, line) in lines.enumerate() {
            if count >= MAX_PATTERNS {
                return Err(format!("a domain has up to {MAX_PATTERNS} patterns"));
            }
            self.line(line)
                .map_err(|reason| format!("\"{line}\": {reason}"))?;
        }
        // Stable: among equals the first one given wins.
        self.wildcards
            .sort_by_key(|(wildcard, _)| std::cmp::Reverse(wildcard.literal()));
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let (pattern, targets) = line
            .rsplit_once(" = ")
            .ok_or("write PATTERN = TARGET, TARGET")?;
        let targets: Vec<Template> = targets
            .split(',')
            .map(|target| Template::parse(target.trim()))
            .collect::<Result<_, _>>()?;
        if targets.len() > MAX_TARGETS {
            return Err(format!("a pattern has up to {MAX_TARGETS} targets"));
        }
        let inner = pattern
            .strip_prefix('/')
            .and_then(|it| it.strip_suffix('/'));
        if let Some(expression) = inner {
            let whole = format!("^(?:{expression})$");
            let regex = RegexBuilder::new(&whole).size_limit(MAX_COMPILED).build();
            let regex = regex.map_err(|error| error.to_string())?;
            self.expressions.push((regex, targets));
        } else if pattern.contains('*') {
            let pieces = pattern.to_lowercase();
            let pieces = pieces.split('*').map(str::to_owned).collect();
            self.wildcards.push((Wildcard(pieces), targets));
        } else {
            return Err("a pattern has a * in it, or stands between two /".to_owned());
        }
        Ok(())
    }

    /// The addresses that a local part, in lower case, stands for.
    pub(super) fn find(&self, local_part: &str) -> Option<Vec<Address>> {
        let wildcard = self.wildcards.iter().find(|(it, _)| it.matches(local_part));
        if let Some((_, targets)) = wildcard {
            return filled(targets, |template| template.to_owned());
        }
        let captured = (self.expressions.iter())
            .find_map(|(regex, targets)| Some((regex.captures(local_part)?, targets)));
        if let Some((captures, targets)) = captured {
            return filled(targets, |template| {
                let mut text = String::new();
                captures.expand(template, &mut text);
                text
            });
        }
        self.catch_all.clone().map(|address| vec![address])
    }
}

/// The targets with their local parts filled in; `None` when none is an
/// address then.
fn filled(templates: &[Template], fill: impl Fn(&str) -> String) -> Option<Vec<Address>> {
    let addresses: Vec<Address> = templates
        .iter()
        .filter_map(|it| Address::new(&fill(&it.local_part), it.domain.clone()).ok())
        .collect();
    (!addresses.is_empty()).then_some(addresses)
}

impl Template {
    /// Groups stand in local parts only: who writes an address must not choose
    /// the host that it goes to.
    fn parse(text: &str) -> Result<Self, String> {
        let address = Address::parse(text).map_err(|error| format!("{text}: {error}"))?;
        Ok(Self {
            local_part: address.local_part().to_owned(),
            domain: address.domain().clone(),
        })
    }
}

impl Wildcard {
    fn literal(&self) -> usize {
        self.0.iter().map(String::len).sum()
    }

    /// Each piece at the first place where it fits: with stars alone between
    /// them no other choice can do better.
    fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.0.as_slice() else {
            return false;
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        for piece in middle {
            let Some(at) = rest.find(piece.as_str()) else {
                return false;
            };
            rest = rest.get(at + piece.len()..).unwrap_or_default();
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(patterns: &str) -> Lookup {
        let mut settings = BTreeMap::new();
        settings.insert(keys::PATTERNS.into(), patterns.into());
        settings.insert(keys::CATCH_ALL.into(), "rest@x.test".into());
        Lookup::new(&settings)
    }

    fn found(lookup: &Lookup, local_part: &str) -> String {
        let found = lookup.find(local_part).unwrap_or_default();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        found.join(" ")
    }

    #[test]
    fn the_longest_wildcard_wins_then_the_first_expression_then_the_rest() {
        let lookup = lookup(
            "/(.+)-ops/ = $1@ops.test, log@x.test\n/.*-o.*/ = late@x.test\n\
             sales-* = sales@x.test\nsales-eu-* = eu@x.test\n*-a-*-b = stars@x.test",
        );
        for (local_part, to) in [
            ("sales-eu-west", "eu@x.test"),
            ("sales-us", "sales@x.test"),
            ("x-a-y-b", "stars@x.test"),
            ("x-a-b", "rest@x.test"),
            ("mail-ops", "mail@ops.test log@x.test"),
            ("mail-opsi", "late@x.test"),
            ("nobody", "rest@x.test"),
        ] {
            assert_eq!(found(&lookup, local_part), to, "{local_part}");
        }
    }

    #[test]
    fn what_a_group_matched_can_choose_no_other_host() {
        let lookup = lookup("/(.+)-to/ = ${1}@x.test");
        assert_eq!(found(&lookup, "a@evil.test-to"), "\"a@evil.test\"@x.test");
        assert!(Lookup::check("/(.+)/ = a@$1").is_err());
    }

    #[test]
    fn patterns_that_are_none_are_refused() {
        for text in [
            "sales = a@x.test",
            "sales-*",
            "* = nobody",
            "/(/ = a@x.test",
            "/(?:a{1000}){1000}/ = a@x.test",
        ] {
            let error = Lookup::check(text).unwrap_err();
            assert!(error.starts_with(&format!("\"{text}\"")), "{error}");
        }
        assert!(Lookup::check(&"*x = a@x.test\n".repeat(1_001)).is_err());
    }
}
