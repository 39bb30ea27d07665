//! From rules to what is run: [`Compiled`]. All that is asked of one source is
//! gathered, so that its text is gone through once for all phrases and once for
//! all patterns of a set.

use std::collections::{HashMap, HashSet};

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind};
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::syntax::{Comparison, Expression, Pattern, Program, Quantity, Rule, Source, TextTest};

/// Octets that one pattern may take when compiled.
const PATTERN_SIZE: usize = 512 * 1024;
/// Patterns looked for together: the states of more would drive each other out.
const SET: usize = 64;
/// Octets that the states of a set may take.
const SET_STATES: usize = 8 * 1024 * 1024;

/// Phrases of one source that are looked for in the fastest way.
const DENSE: usize = 2_000;

/// Rules, ready to be run.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) rules: Vec<CompiledRule>,
    pub(super) sources: Vec<SourcePlan>,
    /// Tests of text in all sources.
    pub(super) tests: usize,
}

#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) name: String,
    /// Nought for a rule that only others use, or that is turned off.
    pub(super) score: f32,
    pub(super) about: String,
    pub(super) tags: Vec<String>,
    pub(super) when: Node,
}

/// An expression whose tests of text have numbers.
#[derive(Debug)]
pub(super) enum Node {
    Test(usize),
    Number(Quantity, Comparison),
    Found(String, String),
    Rule(usize),
    Not(Box<Node>),
    All(Vec<Node>),
    AtLeast(usize, Vec<Node>),
}

/// All that is asked of one source.
#[derive(Debug)]
pub(super) struct SourcePlan {
    pub(super) source: Source,
    pub(super) phrases: Option<AhoCorasick>,
    pub(super) phrase_count: usize,
    pub(super) sets: Vec<PatternSet>,
    pub(super) pattern_count: usize,
    /// The number of each test, and what it asks.
    pub(super) tests: Vec<(usize, Check)>,
}

/// Patterns that are looked for together.
#[derive(Debug)]
pub(super) struct PatternSet {
    pub(super) set: RegexSet,
    /// Which pattern of the source each of them is.
    pub(super) places: Vec<usize>,
}

#[derive(Debug)]
pub(super) enum Check {
    /// The pattern of this place was found.
    Pattern(usize),
    /// This many of the phrases of these places, or more.
    Phrases(usize, Vec<usize>),
    Is(HashSet<String>),
    Under(HashSet<String>),
    Exists,
    Missing,
    Count(Comparison),
    Length(Comparison),
    Capitals(Comparison),
    Differs(Source),
}

/// Places where [`Pattern`]s and phrases are counted per source.
#[derive(Debug, Default)]
struct Gathered {
    phrases: Vec<String>,
    phrase_places: HashMap<String, usize>,
    patterns: Vec<Pattern>,
    pattern_places: HashMap<Pattern, usize>,
    tests: Vec<(usize, Check)>,
}

#[derive(Debug, Default)]
struct Compiler {
    sources: Vec<(Source, Gathered)>,
    places: HashMap<Source, usize>,
    tests: usize,
}

impl Compiled {
    /// Compiles rules whose patterns compile each.
    pub(super) fn new(program: Program) -> Result<Self, String> {
        let mut compiler = Compiler::default();
        let rules = program.rules.into_iter().map(|rule| compiler.rule(rule));
        let rules = rules.collect();
        let tests = compiler.tests;
        let sources = compiler.sources.into_iter();
        let sources: Result<_, _> = sources
            .map(|(source, gathered)| plan(source, gathered))
            .collect();
        Ok(Self {
            rules,
            sources: sources?,
            tests,
        })
    }
}

impl Compiler {
    fn rule(&mut self, rule: Rule) -> CompiledRule {
        CompiledRule {
            name: rule.name,
            score: rule.score.unwrap_or(0.0),
            about: rule.about,
            tags: rule.tags,
            when: self.node(rule.when),
        }
    }

    /// As deep as the parser lets expressions be.
    fn node(&mut self, expression: Expression) -> Node {
        match expression {
            Expression::Text(source, test) => Node::Test(self.test(source, test)),
            Expression::Number(quantity, comparison) => Node::Number(quantity, comparison),
            Expression::Found(test, result) => Node::Found(test, result),
            Expression::Rule(place) => Node::Rule(place),
            Expression::Not(inner) => Node::Not(Box::new(self.node(*inner))),
            Expression::All(all) => Node::All(self.nodes(all)),
            Expression::AtLeast(least, all) => Node::AtLeast(least, self.nodes(all)),
        }
    }

    fn nodes(&mut self, all: Vec<Expression>) -> Vec<Node> {
        all.into_iter().map(|it| self.node(it)).collect()
    }

    fn test(&mut self, source: Source, test: TextTest) -> usize {
        let number = self.tests;
        self.tests += 1;
        let sources = &mut self.sources;
        let place = *self.places.entry(source.clone()).or_insert_with(|| {
            sources.push((source, Gathered::default()));
            sources.len() - 1
        });
        if let Some((_, gathered)) = self.sources.get_mut(place) {
            let check = gathered.check(test);
            gathered.tests.push((number, check));
        }
        number
    }
}

impl Gathered {
    fn check(&mut self, test: TextTest) -> Check {
        match test {
            TextTest::Matches(pattern) => {
                let patterns = &mut self.patterns;
                let place = self.pattern_places.entry(pattern.clone());
                Check::Pattern(*place.or_insert_with(|| {
                    patterns.push(pattern);
                    patterns.len() - 1
                }))
            }
            TextTest::Has(least, phrases) => {
                let places = phrases.into_iter().map(|phrase| self.phrase(phrase));
                Check::Phrases(least, places.collect())
            }
            TextTest::Is(values) => Check::Is(values),
            TextTest::Under(values) => Check::Under(values),
            TextTest::Exists => Check::Exists,
            TextTest::Missing => Check::Missing,
            TextTest::Count(comparison) => Check::Count(comparison),
            TextTest::Length(comparison) => Check::Length(comparison),
            TextTest::Capitals(comparison) => Check::Capitals(comparison),
            TextTest::Differs(other) => Check::Differs(other),
        }
    }

    fn phrase(&mut self, phrase: String) -> usize {
        let phrases = &mut self.phrases;
        *self.phrase_places.entry(phrase.clone()).or_insert_with(|| {
            phrases.push(phrase);
            phrases.len() - 1
        })
    }
}

fn plan(source: Source, gathered: Gathered) -> Result<SourcePlan, String> {
    let phrases = match gathered.phrases.is_empty() {
        true => None,
        false => {
            // The fastest form, where it takes not more than some megabytes.
            let small = gathered.phrases.len() <= DENSE;
            let kind = small.then_some(AhoCorasickKind::DFA);
            let phrases = AhoCorasickBuilder::new()
                .kind(kind)
                .build(&gathered.phrases);
            Some(phrases.map_err(|it| it.to_string())?)
        }
    };
    // Patterns in letters beyond ASCII go by themselves: their word boundaries are
    // those of all scripts, and would slow down all patterns of their set.
    let places = 0..gathered.patterns.len();
    let (ascii, other): (Vec<usize>, Vec<usize>) = places.partition(|place| {
        let pattern = gathered.patterns.get(*place);
        pattern.is_some_and(|it| it.pattern.is_ascii())
    });
    let mut sets = Vec::new();
    for places in ascii.chunks(SET).chain(other.chunks(SET)) {
        let patterns = places
            .iter()
            .filter_map(|place| gathered.patterns.get(*place));
        let set = RegexSetBuilder::new(patterns.map(Pattern::expression))
            .size_limit(SET * PATTERN_SIZE)
            .dfa_size_limit(SET_STATES)
            .build()
            .map_err(|it| it.to_string())?;
        sets.push(PatternSet {
            set,
            places: places.to_vec(),
        });
    }
    Ok(SourcePlan {
        source,
        phrases,
        phrase_count: gathered.phrases.len(),
        sets,
        pattern_count: gathered.patterns.len(),
        tests: gathered.tests,
    })
}

impl Pattern {
    /// Linear in the text whatever the pattern; its size is bounded.
    pub(super) fn compile(&self) -> Result<Regex, String> {
        let compiled = RegexBuilder::new(&self.expression())
            .size_limit(PATTERN_SIZE)
            .build();
        compiled.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it grows too large; repeat less in it".to_owned(),
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.trim_start_matches("error: ").to_owned()
            }
        })
    }

    /// As the engine takes it. Letters, digits and white space of a pattern in
    /// ASCII are ASCII's: word boundaries of all scripts would cost it the fast way
    /// through any text that is not, and their classes most of its memory.
    fn expression(&self) -> String {
        let flags = if self.ignore_case { "(?i)" } else { "" };
        if !self.pattern.is_ascii() {
            return format!("{flags}{}", self.pattern);
        }
        let mut expression = String::from(flags);
        let mut rest = self.pattern.as_str();
        while let Some((before, after)) = rest.split_once('\\') {
            expression.push_str(before);
            let length = after.chars().next().map_or(0, char::len_utf8);
            let (escaped, after) = after.split_at_checked(length).unwrap_or((after, ""));
            match escaped {
                "b" if !after.starts_with('{') => expression.push_str("(?-u:\\b)"),
                "d" => expression.push_str("[0-9]"),
                "D" => expression.push_str("[^0-9]"),
                "w" => expression.push_str("[0-9A-Za-z_]"),
                "W" => expression.push_str("[^0-9A-Za-z_]"),
                "s" => expression.push_str("[ \\t\\r\\n\\x0b\\x0c]"),
                "S" => expression.push_str("[^ \\t\\r\\n\\x0b\\x0c]"),
                escaped => {
                    expression.push('\\');
                    expression.push_str(escaped);
                }
            }
            rest = after;
        }
        expression.push_str(rest);
        expression
    }
}
