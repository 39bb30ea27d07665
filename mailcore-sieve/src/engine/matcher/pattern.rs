//! `:regex`: [`Pattern`], and the compiled expressions that all runs share.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use regex::bytes::{Regex, RegexBuilder};

use super::posix::translate;
use super::{Comparator, KeyError};

/// Octets that a compiled expression may take up.
const MAX_COMPILED: usize = 256 << 10;
/// Octets that one of its lazy automata may take up while it searches.
const MAX_AUTOMATON: usize = 256 << 10;
/// Compiled expressions that are kept; the one unused for longest goes first.
const MAX_CACHED: usize = 64;

/// A regular expression: its text alone. A program holds many, of which few are run
/// at a time, and the compiled form takes a thousand times as much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// In the syntax of the `regex` crate.
    text: Box<str>,
    /// How much is looked for at once in the worst case.
    weight: usize,
}

impl Pattern {
    /// Checks an expression, compiling it once.
    pub(super) fn new(text: &str, comparator: Comparator) -> Result<Self, KeyError> {
        let flags = match comparator {
            Comparator::AsciiCasemap | Comparator::UnicodeCasemap => "(?si)",
            Comparator::Octet | Comparator::AsciiNumeric => "(?s)",
        };
        let translated = translate(text)?;
        let pattern = Self {
            text: format!("{flags}{}", translated.text).into(),
            weight: translated.weight,
        };
        match pattern.compiled() {
            Ok(_) => Ok(pattern),
            Err(error) => Err(KeyError::Regex {
                character: 1,
                words: match *error {
                    regex::Error::CompiledTooBig(_) => {
                        "the regular expression is too large: repeat less in it".into()
                    }
                    _ => "this regular expression can't be used".into(),
                },
            }),
        }
    }

    pub(super) fn memory_size(&self) -> usize {
        self.text.len()
    }

    /// Octets looked at, as it were, in a search of `length` octets: each costs the
    /// more the more is looked for at once.
    pub(super) fn cost(&self, length: usize) -> usize {
        length.saturating_add(1).saturating_mul(1 + self.weight / 4)
    }

    pub(super) fn is_match(&self, value: &[u8]) -> bool {
        self.compiled().is_ok_and(|regex| regex.is_match(value))
    }

    /// Looks for the first match; `spans` become the whole match and the groups.
    pub(super) fn find(&self, value: &[u8], spans: &mut Vec<Option<Range<usize>>>) -> bool {
        let Ok(regex) = self.compiled() else {
            return false;
        };
        let Some(found) = regex.captures(value) else {
            return false;
        };
        spans.clear();
        spans.extend(found.iter().map(|group| group.map(|group| group.range())));
        true
    }

    fn compiled(&self) -> Result<Regex, Box<regex::Error>> {
        if let Some(regex) = cache().find(&self.text) {
            return Ok(regex);
        }
        let regex = RegexBuilder::new(&self.text)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_AUTOMATON)
            .build()
            .map_err(Box::new)?;
        cache().keep(&self.text, regex.clone());
        Ok(regex)
    }
}

#[derive(Default)]
struct Cache {
    entries: HashMap<Box<str>, (u64, Regex)>,
    uses: u64,
}

fn cache() -> MutexGuard<'static, Cache> {
    static CACHE: OnceLock<Mutex<Cache>> = OnceLock::new();
    let cache = CACHE.get_or_init(Mutex::default).lock();
    cache.unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    fn find(&mut self, text: &str) -> Option<Regex> {
        self.uses += 1;
        let (used, regex) = self.entries.get_mut(text)?;
        *used = self.uses;
        Some(regex.clone())
    }

    fn keep(&mut self, text: &str, regex: Regex) {
        if self.entries.len() >= MAX_CACHED {
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(text, _)| text.clone()) {
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(text.into(), (self.uses, regex));
    }
}
