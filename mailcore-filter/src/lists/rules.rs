//! The written form of an [`AccessList`]: one rule a line.

use thiserror::Error;

use super::access::AccessList;
use super::{About, NetworkError, PatternError, Rule, RuleError};

/// Why a list can't be read; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccessListError {
    /// Not three words.
    #[error(
        "line {line}: write `allow` or `deny`, then `client`, `sender` or `recipient`, then for whom"
    )]
    Syntax {
        /// Which line.
        line: usize,
    },
    /// A client that is not a network.
    #[error("line {line}: {source}")]
    Network {
        /// Which line.
        line: usize,
        /// What is wrong.
        source: NetworkError,
    },
    /// A sender or recipient that is not a pattern.
    #[error("line {line}: {source}")]
    Pattern {
        /// Which line.
        line: usize,
        /// What is wrong.
        source: PatternError,
    },
    /// Another rule that can't be read.
    #[error("line {line}: {source}")]
    Rule {
        /// Which line.
        line: usize,
        /// What is wrong.
        source: RuleError,
    },
    /// A rule that needs DNS.
    #[error("line {line}: this list looks no names up; write addresses of clients")]
    NeedsDns {
        /// Which line.
        line: usize,
    },
    /// The same client, sender or recipient as before, decided otherwise.
    #[error("line {line}: an earlier line decides the opposite; remove one of the two")]
    Contradiction {
        /// Which line.
        line: usize,
    },
}

impl AccessListError {
    pub(super) fn of(source: RuleError, line: usize) -> Self {
        match source {
            RuleError::Syntax => Self::Syntax { line },
            RuleError::Network(source) => Self::Network { line, source },
            RuleError::Pattern(source) => Self::Pattern { line, source },
            source => Self::Rule { line, source },
        }
    }
}

impl AccessList {
    /// Reads a list. A rule is `decision subject value`, separated by blanks;
    /// `#` starts a comment; the order of rules means nothing.
    ///
    /// ```text
    /// decision = "allow" / "deny"
    /// subject  = "client" / "sender" / "recipient"
    /// value    = network / pattern
    /// ```
    ///
    /// # Errors
    /// The first line that can't be read.
    pub fn parse(text: &str) -> Result<Self, AccessListError> {
        let mut list = Self::new();
        for (line, text) in (1..).zip(text.lines()) {
            let rule = Rule::of_line(text).map_err(|error| AccessListError::of(error, line))?;
            let Some(Rule {
                decision, about, ..
            }) = rule
            else {
                continue;
            };
            let old = match about {
                About::Client(network) => list.insert_client(network, decision),
                About::Sender(pattern) => list.insert_sender(pattern, decision),
                About::Recipient(pattern) => list.insert_recipient(pattern, decision),
                About::Host(_) | About::Mx(_) => return Err(AccessListError::NeedsDns { line }),
            };
            if old.is_some_and(|old| old != decision) {
                return Err(AccessListError::Contradiction { line });
            }
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_line() {
        let line_of = |text: &str| match AccessList::parse(text).unwrap_err() {
            AccessListError::Syntax { line }
            | AccessListError::Network { line, .. }
            | AccessListError::Pattern { line, .. }
            | AccessListError::Rule { line, .. }
            | AccessListError::NeedsDns { line }
            | AccessListError::Contradiction { line } => line,
        };
        assert_eq!(line_of("refuse client 192.0.2.1"), 1);
        assert_eq!(line_of("\n# note\ndeny client"), 3);
        assert_eq!(line_of("deny host 192.0.2.1"), 1);
        assert_eq!(line_of("deny client 192.0.2.1 and more"), 1);
        assert_eq!(line_of("deny client a.example\n"), 1);
        assert_eq!(line_of("\ndeny client host:a.example\n"), 2);
        assert_eq!(line_of("deny sender a@x.test\ndeny sender a b\n"), 2);
        assert_eq!(line_of("deny sender a@x.test\nallow sender A@X.test\n"), 2);
    }
}
