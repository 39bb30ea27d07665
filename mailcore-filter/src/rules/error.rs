//! What is wrong with a rule file: [`RuleError`].

use std::fmt;

use thiserror::Error;

/// Where in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Something wrong with a rule file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: {problem}")]
#[non_exhaustive]
pub struct RuleError {
    /// Which file, as it was named.
    pub file: String,
    /// Which line, from 1.
    pub line: usize,
    /// Which character of it, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: RuleProblem,
}

/// All that is wrong with a rule file and those it includes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct RuleErrors(pub Vec<RuleError>);

impl RuleErrors {
    /// One that is about a whole file.
    pub(super) fn at_start(file: &str, problem: RuleProblem) -> Self {
        Self(vec![RuleError {
            file: file.to_owned(),
            line: 1,
            column: 1,
            problem,
        }])
    }
}

impl fmt::Display for RuleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, error) in self.0.iter().enumerate() {
            let line = if count > 0 { "\n" } else { "" };
            write!(f, "{line}{error}")?;
        }
        Ok(())
    }
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleProblem {
    /// A character that begins nothing.
    #[error("{0:?} begins nothing here; put text in \"quotes\" and patterns in /slashes/")]
    Sign(char),
    /// A string or a pattern without its end.
    #[error("this has no closing {0} on its line")]
    Unclosed(&'static str),
    /// A backslash in a string before another character.
    #[error("in a string write \\\" for a quote and \\\\ for a backslash, no other escape")]
    Escape,
    /// A string or a pattern beyond the limit.
    #[error("this is longer than 4096 octets; make it several")]
    TooLong,
    /// A number that is none.
    #[error("write a number such as 3, -0.5, 80%, 10kB, 5m or 2d")]
    Number,
    /// Something else than what must stand here.
    #[error("write {wanted} here, not {found}")]
    Expected {
        /// What must stand here.
        wanted: String,
        /// What stands here.
        found: String,
    },
    /// A word that is not known here.
    #[error("{word:?} means nothing here; write one of {known}")]
    Unknown {
        /// Which.
        word: String,
        /// Those that do.
        known: String,
    },
    /// A name of a rule that is none.
    #[error("{0:?} is no name for a rule; write capitals, digits and underscores, at most 64")]
    Name(String),
    /// Two of one name.
    #[error("{0} is there already; choose another name")]
    Twice(String),
    /// A name of nothing that stands above.
    #[error("no {what} {name} stands above; define it before it is used")]
    Missing {
        /// A rule or a list.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// A pattern that can't be used.
    #[error("this pattern can't be used: {0}")]
    Pattern(String),
    /// A score that can't be added.
    #[error("a score is a number between -100 and 100")]
    Score,
    /// An expression within expressions beyond the limit.
    #[error("this is nested deeper than 32 levels; name parts of it as rules of their own")]
    TooDeep,
    /// More of something than is taken.
    #[error("more than {limit} {what}; leave some out")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are taken.
        limit: usize,
    },
    /// An include that can't be read.
    #[error("{name:?} can't be included: {reason}")]
    Include {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
}
