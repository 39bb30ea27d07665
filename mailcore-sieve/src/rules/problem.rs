//! What is wrong with a text of rules: all of it at once, each with its line.

use std::fmt;

use thiserror::Error;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Problem {
    /// The line, from 1.
    pub line: u32,
    /// What, and what to write instead.
    pub words: String,
}

/// Everything that is wrong, in the order of the lines. Printed one a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Problems(pub Vec<Problem>);

impl Problem {
    pub(crate) fn new(line: u32, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { line, words }
    }
}

impl Problems {
    /// The value unless something is wrong with it.
    pub(crate) fn unless<T>(mut found: Vec<Problem>, value: T) -> Result<T, Self> {
        if found.is_empty() {
            return Ok(value);
        }
        found.sort();
        found.dedup();
        Err(Self(found))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let end = if i > 0 { "\n" } else { "" };
            write!(f, "{end}line {}: {}", problem.line, problem.words)?;
        }
        Ok(())
    }
}
