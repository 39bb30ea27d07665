//! What is wrong with a configuration: every problem with its line, and the
//! nearest word that would have been right.
//!
//! Knows no keys: those are [`super::resolve`]'s.

use std::fmt;
use std::path::{Path, PathBuf};

/// Everything wrong with one file. Printed one problem a line.
#[derive(Debug, Clone)]
pub(crate) struct Problems {
    path: PathBuf,
    list: Vec<Problem>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    /// From 1; 0 when it belongs to no line.
    line: usize,
    message: String,
}

impl Problems {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            list: Vec::new(),
        }
    }

    /// Adds one at a line; 0 for the file as a whole.
    pub(crate) fn add(&mut self, line: usize, message: impl Into<String>) {
        self.list.push(Problem {
            line,
            message: message.into(),
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted: Vec<&Problem> = self.list.iter().collect();
        sorted.sort();
        for (i, problem) in sorted.into_iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            match problem.line {
                0 => write!(f, "{}: {}", self.path.display(), problem.message)?,
                line => write!(f, "{}:{line}: {}", self.path.display(), problem.message)?,
            }
        }
        Ok(())
    }
}

/// The word of `known` that `word` was most likely meant to be.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(2))
        .map(|(_, candidate)| candidate)
}

/// Single-character edits from one word to the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (to, above) in b.iter().zip(row.iter().skip(1)) {
            let cost = usize::from(from != *to);
            left = (diagonal + cost).min(left + 1).min(above + 1);
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_far_ones_are_not() {
        let known = ["address", "protocol", "tls"];
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(nearest("adress", &known), Some("address"));
        assert_eq!(nearest("protcol", &known), Some("protocol"));
        assert_eq!(nearest("wholly-different", &known), None);
    }
}
