//! Running rules on one message: [`run`].

use std::collections::HashSet;

use super::compile::{Check, Compiled, Node, SourcePlan};
use super::facts::{Facts, Texts};

/// Octets of text gone through in one go.
const WINDOW: usize = 16 * 1024;
/// Octets that one window shares with the next, so that what lies across is found.
const OVERLAP: usize = 1024;
/// Octets gone through before others have their turn.
const TURN: usize = 32 * 1024;
/// What a text costs beside its octets.
const COST: usize = 50;

/// Which rules hold, by their places.
pub(super) async fn run(compiled: &Compiled, facts: &Facts<'_>) -> Vec<bool> {
    let mut tests = vec![false; compiled.tests];
    let mut spent = 0;
    for plan in &compiled.sources {
        let texts = facts.texts(&plan.source);
        let Some(found) = texts.as_deref().map(|texts| Scan::new(plan, texts)) else {
            continue;
        };
        let found = found.run(&mut spent).await;
        for (number, check) in &plan.tests {
            if let Some(test) = tests.get_mut(*number) {
                *test = holds(check, &texts, &found, facts);
            }
        }
    }
    let mut held = Vec::with_capacity(compiled.rules.len());
    for rule in &compiled.rules {
        let holds = node(&rule.when, &tests, &held, facts);
        held.push(holds);
    }
    held
}

/// One source's texts on their way through its phrases and patterns.
struct Scan<'p, T> {
    plan: &'p SourcePlan,
    texts: &'p [T],
    found: Found,
}

/// What was found in the texts of a source.
struct Found {
    phrases: Vec<bool>,
    /// For each pattern of each set.
    patterns: Vec<bool>,
}

impl<'p, T: AsRef<str>> Scan<'p, T> {
    fn new(plan: &'p SourcePlan, texts: &'p [T]) -> Self {
        let found = Found {
            phrases: vec![false; plan.phrase_count],
            patterns: vec![false; plan.pattern_count],
        };
        Self { plan, texts, found }
    }

    async fn run(mut self, spent: &mut usize) -> Found {
        if self.plan.phrases.is_none() && self.plan.sets.is_empty() {
            return self.found;
        }
        for text in self.texts {
            let mut rest = text.as_ref();
            loop {
                let window = rest.get(..rest.floor_char_boundary(WINDOW)).unwrap_or(rest);
                self.window(window);
                *spent += window.len() * (1 + self.plan.sets.len()) + COST;
                if *spent > TURN {
                    *spent = 0;
                    tokio::task::yield_now().await;
                }
                if window.len() == rest.len() {
                    break;
                }
                let next = window.floor_char_boundary(window.len() - OVERLAP);
                rest = rest.get(next..).unwrap_or_default();
            }
        }
        self.found
    }

    fn window(&mut self, window: &str) {
        if let Some(phrases) = &self.plan.phrases {
            let lower = window.to_lowercase();
            for found in phrases.find_overlapping_iter(&lower) {
                if let Some(place) = self.found.phrases.get_mut(found.pattern().as_usize())
                    && !*place
                {
                    *place = is_whole(&lower, found.start(), found.end());
                }
            }
        }
        for set in &self.plan.sets {
            for matched in set.set.matches(window).iter() {
                let place = set.places.get(matched);
                if let Some(found) = place.and_then(|it| self.found.patterns.get_mut(*it)) {
                    *found = true;
                }
            }
        }
    }
}

/// True when what stands at `start..end` is not the middle of a longer word.
fn is_whole(text: &str, start: usize, end: usize) -> bool {
    let is_letter = |it: Option<char>| it.is_some_and(char::is_alphanumeric);
    let inside = text.get(start..end).unwrap_or_default();
    let before = text.get(..start).and_then(|it| it.chars().next_back());
    let after = text.get(end..).and_then(|it| it.chars().next());
    let torn_before = is_letter(before) && is_letter(inside.chars().next());
    let torn_after = is_letter(after) && is_letter(inside.chars().next_back());
    !torn_before && !torn_after
}

fn holds(check: &Check, texts: &Texts<'_>, found: &Found, facts: &Facts<'_>) -> bool {
    let texts = texts.as_deref().unwrap_or_default();
    match check {
        Check::Pattern(place) => found.patterns.get(*place) == Some(&true),
        Check::Phrases(least, places) => {
            let is_found = |place: &&usize| found.phrases.get(**place) == Some(&true);
            places.iter().filter(is_found).count() >= *least
        }
        Check::Is(values) => texts
            .iter()
            .any(|it| values.contains(&it.trim().to_lowercase())),
        Check::Under(domains) => texts.iter().any(|it| is_under(&it.to_lowercase(), domains)),
        Check::Exists => !texts.is_empty(),
        Check::Missing => texts.is_empty(),
        Check::Count(comparison) => comparison.holds(texts.len() as f64),
        Check::Length(comparison) => {
            let length: usize = texts.iter().map(|it| it.chars().count()).sum();
            !texts.is_empty() && comparison.holds(length as f64)
        }
        Check::Capitals(comparison) => {
            let letters = || texts.iter().flat_map(|it| it.chars());
            let cased = letters()
                .filter(|it| it.is_uppercase() || it.is_lowercase())
                .count();
            let capitals = letters().filter(|it| it.is_uppercase()).count();
            cased > 0 && comparison.holds(100.0 * capitals as f64 / cased as f64)
        }
        Check::Differs(other) => {
            let others = facts.texts(other).unwrap_or_default();
            let others: HashSet<_> = others.iter().map(|it| it.to_lowercase()).collect();
            let is_shared = || texts.iter().any(|it| others.contains(&it.to_lowercase()));
            !texts.is_empty() && !others.is_empty() && !is_shared()
        }
    }
}

fn is_under(name: &str, domains: &HashSet<String>) -> bool {
    let mut rest = Some(name);
    while let Some(name) = rest {
        if domains.contains(name) {
            return true;
        }
        rest = name.split_once('.').map(|(_, above)| above);
    }
    false
}

fn node(expression: &Node, tests: &[bool], held: &[bool], facts: &Facts<'_>) -> bool {
    let holds = |it: &Node| node(it, tests, held, facts);
    match expression {
        Node::Test(number) => tests.get(*number) == Some(&true),
        Node::Number(quantity, comparison) => {
            let number = facts.number(*quantity);
            number.is_some_and(|it| comparison.holds(it))
        }
        Node::Found(test, result) => {
            let findings = &facts.findings;
            findings
                .iter()
                .any(|it| it.test == *test && it.result == *result)
        }
        Node::Rule(place) => held.get(*place) == Some(&true),
        Node::Not(inner) => !holds(inner),
        Node::All(all) => all.iter().all(holds),
        Node::AtLeast(least, all) => {
            all.iter().filter(|it| holds(it)).take(*least).count() == *least
        }
    }
}
