//! What is wrong with a script, and where.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// A place in a script's text, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line; lines end at CRLF or LF.
    pub line: u32,
    /// The character within the line.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a script can't be used. Nothing of it is run then (RFC 5228 section 2.10.6).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{at}: {words}")]
#[non_exhaustive]
pub struct CompileError {
    /// Where.
    pub at: Position,
    /// What, and what to write instead.
    pub words: String,
}

impl CompileError {
    /// An error at a place.
    pub fn new(at: Position, words: impl Into<String>) -> Self {
        Self {
            at,
            words: words.into(),
        }
    }
}

/// Why a run ended before the script did. The host keeps the mail (RFC 5228
/// section 2.10.6) and tells the script's owner.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{script}: line {line}: {words}")]
#[non_exhaustive]
pub struct RunError {
    /// The script that failed; an included one has a name of its own.
    pub script: Arc<str>,
    /// The line in its text.
    pub line: u32,
    /// What happened.
    pub words: String,
}

impl RunError {
    /// An error in a line of a script.
    pub fn new(script: Arc<str>, line: u32, words: impl Into<String>) -> Self {
        Self {
            script,
            line,
            words: words.into(),
        }
    }
}
