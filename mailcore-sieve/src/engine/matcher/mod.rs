//! Matching of strings: [`Keys`] (RFC 5228 section 2.7, RFC 5231).
//!
//! Keys are made ready once, when a script is compiled, and nothing that a script can
//! write takes more than the product of the lengths of key and value, which is charged
//! to a [`Meter`].

mod comparator;
mod glob;
mod meter;
#[cfg(feature = "regex")]
mod pattern;
#[cfg(feature = "regex")]
mod posix;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::ops::Range;

use memchr::memmem;
use thiserror::Error;

pub use comparator::Comparator;
use comparator::fold_unicode;
use glob::{Glob, Subject};
pub use meter::{Meter, OutOfSteps};

/// Captures kept of one match, `${0}` counted in (RFC 5229 section 3.2 asks for 10).
pub const MAX_CAPTURES: usize = 32;

/// How keys and values are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MatchType {
    /// `:is`: equal.
    #[default]
    Is,
    /// `:contains`: the key is somewhere in the value.
    Contains,
    /// `:matches`: with the wildcards `*` and `?`.
    Matches,
    /// `:regex`: somewhere in the value, by a regular expression.
    Regex,
    /// `:value`: the value stands in this relation to the key (RFC 5231 section 4.1).
    Value(Relation),
    /// `:count`: so does the number of values (RFC 5231 section 4.2).
    Count(Relation),
}

/// What a value is to a key (RFC 5231 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// `gt`.
    Greater,
    /// `ge`.
    GreaterOrEqual,
    /// `lt`.
    Less,
    /// `le`.
    LessOrEqual,
    /// `eq`.
    Equal,
    /// `ne`.
    NotEqual,
}

impl Relation {
    /// The relation of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "gt" => Self::Greater,
            "ge" => Self::GreaterOrEqual,
            "lt" => Self::Less,
            "le" => Self::LessOrEqual,
            "eq" => Self::Equal,
            "ne" => Self::NotEqual,
            _ => return None,
        })
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Greater => "gt",
            Self::GreaterOrEqual => "ge",
            Self::Less => "lt",
            Self::LessOrEqual => "le",
            Self::Equal => "eq",
            Self::NotEqual => "ne",
        }
    }

    /// True when this order is of this relation.
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
        }
    }
}

/// Why keys can't be matched that way.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The comparator only compares whole values.
    #[error(
        "the comparator \"{}\" can't look for text within text: use \":is\" or another comparator",
        .0.as_str()
    )]
    NoSubstrings(Comparator),
    /// A regular expression that can't be used.
    #[error("{words} (character {character} of the regular expression)")]
    Regex {
        /// Where in the key, counted from 1.
        character: usize,
        /// What is wrong and what to write instead.
        words: String,
    },
    /// Built without regular expressions.
    #[error("regular expressions are not built in: use \":matches\"")]
    NoRegex,
}

/// The keys of a test, ready to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    match_type: MatchType,
    comparator: Comparator,
    keys: Box<[Key]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    /// Folded text.
    Text(Box<[u8]>),
    Glob(Box<Glob>),
    #[cfg(feature = "regex")]
    Pattern(Box<pattern::Pattern>),
}

impl Keys {
    /// Makes keys ready.
    pub fn new<'a>(
        match_type: MatchType,
        comparator: Comparator,
        keys: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, KeyError> {
        let substring = matches!(
            match_type,
            MatchType::Contains | MatchType::Matches | MatchType::Regex
        );
        if substring && !comparator.finds_substrings() {
            return Err(KeyError::NoSubstrings(comparator));
        }
        let key = |text: &'a str| -> Result<Key, KeyError> {
            Ok(match match_type {
                MatchType::Matches => Key::Glob(Box::new(Glob::new(text, comparator))),
                MatchType::Regex => Key::regex(text, comparator)?,
                _ => Key::Text(comparator.fold(text.as_bytes()).into()),
            })
        };
        Ok(Self {
            match_type,
            comparator,
            keys: keys.into_iter().map(key).collect::<Result<_, _>>()?,
        })
    }

    /// How they are matched.
    pub fn match_type(&self) -> MatchType {
        self.match_type
    }

    /// True when one of the keys matches `value`. With `captures`, they become what
    /// the wildcards or groups of the first such key matched, after the matched part
    /// itself; a test that fails, and one that has neither, leaves them alone.
    ///
    /// `:count` is [`Keys::test_count`]'s and never true here.
    pub fn test(
        &self,
        value: &[u8],
        captures: Option<&mut Vec<String>>,
        meter: &mut Meter,
    ) -> Result<bool, OutOfSteps> {
        match self.match_type {
            MatchType::Is => self.any(value, meter, |text| self.equal(value, text)),
            MatchType::Value(relation) => self.any(value, meter, |text| {
                relation.holds(self.comparator.compare(value, text))
            }),
            MatchType::Count(_) => Ok(false),
            MatchType::Contains => self.contained(value, meter),
            MatchType::Matches => self.globbed(value, captures, meter),
            MatchType::Regex => self.searched(value, captures, meter),
        }
    }

    /// True when `count` stands in the relation of `:count` to one of the keys.
    pub fn test_count(&self, count: usize, meter: &mut Meter) -> Result<bool, OutOfSteps> {
        let MatchType::Count(relation) = self.match_type else {
            return Ok(false);
        };
        let count = count.to_string();
        self.any(count.as_bytes(), meter, |text| {
            relation.holds(self.comparator.compare(count.as_bytes(), text))
        })
    }

    /// Octets of memory they take up.
    pub fn memory_size(&self) -> usize {
        let own = |key: &Key| match key {
            Key::Text(text) => text.len(),
            Key::Glob(glob) => size_of::<Glob>() + glob.memory_size(),
            #[cfg(feature = "regex")]
            Key::Pattern(pattern) => size_of_val(&**pattern) + pattern.memory_size(),
        };
        size_of_val(&*self.keys) + self.keys.iter().map(own).sum::<usize>()
    }

    fn any(
        &self,
        value: &[u8],
        meter: &mut Meter,
        matches: impl Fn(&[u8]) -> bool,
    ) -> Result<bool, OutOfSteps> {
        for key in &self.keys {
            if let Key::Text(text) = key {
                meter.charge_octets(value.len().min(text.len()) + 1)?;
                if matches(text) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn equal(&self, value: &[u8], text: &[u8]) -> bool {
        match self.comparator {
            Comparator::Octet => value == text,
            Comparator::AsciiCasemap => value.eq_ignore_ascii_case(text),
            Comparator::UnicodeCasemap if value.is_ascii() => value.eq_ignore_ascii_case(text),
            _ => self.comparator.compare(value, text).is_eq(),
        }
    }

    fn contained(&self, value: &[u8], meter: &mut Meter) -> Result<bool, OutOfSteps> {
        self.folded(value, meter, |subject, meter| {
            for key in &self.keys {
                if let Key::Text(text) = key {
                    meter.charge_octets(subject.octets.len() + 1)?;
                    if memmem::find(subject.octets, text).is_some() {
                        return Ok(true);
                    }
                }
            }
            Ok(false)
        })
    }

    fn globbed(
        &self,
        value: &[u8],
        captures: Option<&mut Vec<String>>,
        meter: &mut Meter,
    ) -> Result<bool, OutOfSteps> {
        let mut spans = Vec::new();
        let matched = self.folded(value, meter, |subject, meter| {
            for key in &self.keys {
                if let Key::Glob(glob) = key {
                    meter.charge_octets(subject.octets.len() + 1)?;
                    if glob.matches(subject, &mut spans, meter)? {
                        spans
                            .iter_mut()
                            .for_each(|span| *span = subject.origin(span));
                        return Ok(true);
                    }
                }
            }
            Ok(false)
        })?;
        if let (true, Some(captures)) = (matched, captures) {
            let all = std::iter::once(0..value.len()).chain(spans);
            capture(value, all.map(Some), captures, meter)?;
        }
        Ok(matched)
    }

    /// Runs `look` on the value, folded where the comparator asks for it and it is
    /// not folded as it is.
    fn folded<R>(
        &self,
        value: &[u8],
        meter: &mut Meter,
        look: impl FnOnce(Subject<'_>, &mut Meter) -> Result<R, OutOfSteps>,
    ) -> Result<R, OutOfSteps> {
        if self.comparator == Comparator::Octet {
            return look(Subject::plain(value), meter);
        }
        meter.charge_octets(value.len())?;
        let mut folded = std::mem::take(&mut meter.folded);
        folded.clear();
        let mut begins = Vec::new();
        if self.comparator == Comparator::AsciiCasemap || value.is_ascii() {
            folded.extend_from_slice(value);
            folded.make_ascii_uppercase();
        } else {
            let keep = self.match_type == MatchType::Matches;
            fold_unicode(value, &mut folded, |begin| {
                if keep {
                    begins.push(begin);
                }
            });
        }
        let subject = Subject {
            octets: &folded,
            begins: &begins,
            origin_len: value.len(),
        };
        let result = look(subject, meter);
        meter.folded = folded;
        result
    }
}

/// Replaces `captures` by these spans of the value.
fn capture(
    value: &[u8],
    spans: impl Iterator<Item = Option<Range<usize>>>,
    captures: &mut Vec<String>,
    meter: &mut Meter,
) -> Result<(), OutOfSteps> {
    captures.clear();
    for span in spans.take(MAX_CAPTURES) {
        let text = span.and_then(|span| value.get(span)).unwrap_or_default();
        meter.charge_octets(text.len())?;
        captures.push(String::from_utf8_lossy(text).into_owned());
    }
    Ok(())
}

#[cfg(feature = "regex")]
impl Key {
    fn regex(text: &str, comparator: Comparator) -> Result<Self, KeyError> {
        let pattern = pattern::Pattern::new(text, comparator)?;
        Ok(Self::Pattern(Box::new(pattern)))
    }
}

#[cfg(not(feature = "regex"))]
impl Key {
    fn regex(_: &str, _: Comparator) -> Result<Self, KeyError> {
        Err(KeyError::NoRegex)
    }
}

#[cfg(feature = "regex")]
impl Keys {
    fn searched(
        &self,
        value: &[u8],
        mut captures: Option<&mut Vec<String>>,
        meter: &mut Meter,
    ) -> Result<bool, OutOfSteps> {
        let mut spans = Vec::new();
        for key in &self.keys {
            let Key::Pattern(pattern) = key else { continue };
            meter.charge_octets(pattern.cost(value.len()))?;
            if captures.is_none() && pattern.is_match(value) {
                return Ok(true);
            }
            if let Some(captures) = &mut captures
                && pattern.find(value, &mut spans)
            {
                capture(value, spans.into_iter(), captures, meter)?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(not(feature = "regex"))]
impl Keys {
    fn searched(
        &self,
        _: &[u8],
        _: Option<&mut Vec<String>>,
        _: &mut Meter,
    ) -> Result<bool, OutOfSteps> {
        Ok(false)
    }
}
