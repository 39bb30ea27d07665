//! The written form of an [`AccessList`]: one rule a line.

use thiserror::Error;

use super::access::AccessList;
use super::{NetworkError, PatternError};

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Let through, without asking the filters after this one.
    Allow,
    /// Refuse.
    Deny,
}

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
    /// The same client, sender or recipient as before, decided otherwise.
    #[error("line {line}: an earlier line decides the opposite; remove one of the two")]
    Contradiction {
        /// Which line.
        line: usize,
    },
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
        for (line, rule) in (1..).zip(text.lines()) {
            let rule = rule.split('#').next().unwrap_or_default();
            let mut words = rule.split_whitespace();
            let Some(decision) = words.next() else {
                continue;
            };
            let (Some(subject), Some(value), None) = (words.next(), words.next(), words.next())
            else {
                return Err(AccessListError::Syntax { line });
            };
            let decision = match decision {
                "allow" => Decision::Allow,
                "deny" => Decision::Deny,
                _ => return Err(AccessListError::Syntax { line }),
            };
            let old = match subject {
                "client" => list.insert_client(network(value, line)?, decision),
                "sender" => list.insert_sender(pattern(value, line)?, decision),
                "recipient" => list.insert_recipient(pattern(value, line)?, decision),
                _ => return Err(AccessListError::Syntax { line }),
            };
            if old.is_some_and(|old| old != decision) {
                return Err(AccessListError::Contradiction { line });
            }
        }
        Ok(list)
    }
}

fn network(value: &str, line: usize) -> Result<super::Network, AccessListError> {
    value
        .parse()
        .map_err(|source| AccessListError::Network { line, source })
}

fn pattern(value: &str, line: usize) -> Result<super::Pattern, AccessListError> {
    value
        .parse()
        .map_err(|source| AccessListError::Pattern { line, source })
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
            | AccessListError::Contradiction { line } => line,
        };
        assert_eq!(line_of("refuse client 192.0.2.1"), 1);
        assert_eq!(line_of("\n# note\ndeny client"), 3);
        assert_eq!(line_of("deny host 192.0.2.1"), 1);
        assert_eq!(line_of("deny client 192.0.2.1 and more"), 1);
        assert_eq!(line_of("deny client a.example\n"), 1);
        assert_eq!(line_of("deny sender a@x.test\ndeny sender a b\n"), 2);
        assert_eq!(line_of("deny sender a@x.test\nallow sender A@X.test\n"), 2);
    }
}
