//! [`Rule`]: one line of a list, as it is written and read.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{Network, NetworkError, Pattern, PatternError};

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Let through, without asking the filters after this one.
    Allow,
    /// Refuse.
    Deny,
}

impl Decision {
    /// `allow` or `deny`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// Whether a narrower scope may decide otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Force {
    /// It may.
    #[default]
    Liftable,
    /// It may not.
    Final,
}

/// Whom a rule is about. As text: `client 192.0.2.0/24`, `client
/// host:.example.net`, `client mx:example.net`, `sender a@example.net`,
/// `recipient .example.com`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum About {
    /// Clients by their address.
    Client(Network),
    /// Clients by a name of their address that leads back to it (RFC 8601
    /// section 3): a domain, or one and all below it.
    Host(Pattern),
    /// Clients that are an MX host of the sender's domain, where the sender is
    /// one of these; `None` for any.
    Mx(Option<Pattern>),
    /// Senders, as MAIL names them.
    Sender(Pattern),
    /// Recipients, as RCPT names them.
    Recipient(Pattern),
}

/// One rule. As text: what it decides, whom it is about, and `final` where no
/// narrower scope may decide otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// What it says.
    pub decision: Decision,
    /// Of whom.
    pub about: About,
    /// How firmly.
    pub force: Force,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// Other words.
    #[error(
        "write `allow` or `deny`, then `client`, `sender` or `recipient`, then for whom, then \
         `final` or nothing"
    )]
    Syntax,
    /// A client that is not a network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A sender or recipient that is not a pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A host that is not a name.
    #[error("{value:?} is no host name; write host:mail.example.net or host:*.example.net")]
    Host {
        /// What it is.
        value: String,
    },
    /// An address that can't be written in a line.
    #[error("{value:?} can't be in a list: it holds a space")]
    Space {
        /// Which.
        value: String,
    },
}

impl Rule {
    /// A rule that a narrower scope may decide otherwise.
    pub fn new(decision: Decision, about: About) -> Self {
        Self {
            decision,
            about,
            force: Force::Liftable,
        }
    }

    /// One that it may not.
    #[must_use]
    pub fn firmly(mut self) -> Self {
        self.force = Force::Final;
        self
    }

    /// The rule of a line: `None` for an empty one, or a comment. A `#` begins
    /// a comment at the start of the line or after a blank.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_line(line: &str) -> Result<Option<Self>, RuleError> {
        match without_comment(line).trim() {
            "" => Ok(None),
            rule => rule.parse().map(Some),
        }
    }
}

/// What comes before a comment.
pub(super) fn without_comment(line: &str) -> &str {
    let begins = |(place, _): &(usize, &str)| {
        let before = line.get(..*place).unwrap_or_default();
        before.is_empty() || before.ends_with(char::is_whitespace)
    };
    let comment = line.match_indices('#').find(begins);
    comment
        .and_then(|(place, _)| line.get(..place))
        .unwrap_or(line)
}

impl About {
    /// Whom two words mean: `client` and `192.0.2.1`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(subject: &str, value: &str) -> Result<Self, RuleError> {
        let about = match subject {
            "client" => match (value.strip_prefix("host:"), value.strip_prefix("mx")) {
                (Some(name), _) => Self::Host(host(name)?),
                (None, Some("")) => Self::Mx(None),
                (None, Some(of)) if of.starts_with(':') => {
                    Self::Mx(Some(of.get(1..).unwrap_or_default().parse()?))
                }
                _ => Self::Client(value.parse()?),
            },
            "sender" => Self::Sender(value.parse()?),
            "recipient" => Self::Recipient(value.parse()?),
            _ => return Err(RuleError::Syntax),
        };
        if value.contains(char::is_whitespace) {
            return Err(RuleError::Space {
                value: value.into(),
            });
        }
        Ok(about)
    }

    /// `client`, `sender` or `recipient`.
    pub fn subject(&self) -> &'static str {
        match self {
            Self::Client(_) | Self::Host(_) | Self::Mx(_) => "client",
            Self::Sender(_) => "sender",
            Self::Recipient(_) => "recipient",
        }
    }

    /// The rest: `host:.example.net`.
    pub fn value(&self) -> String {
        match self {
            Self::Client(network) => {
                let text = network.to_string();
                let alone = text.strip_suffix("/32").filter(|it| !it.contains(':'));
                let alone = alone.or_else(|| text.strip_suffix("/128"));
                alone.unwrap_or(&text).to_owned()
            }
            Self::Host(name) => format!("host:{name}"),
            Self::Mx(None) => "mx".into(),
            Self::Mx(Some(of)) => format!("mx:{of}"),
            Self::Sender(pattern) | Self::Recipient(pattern) => pattern.to_string(),
        }
    }
}

fn host(name: &str) -> Result<Pattern, RuleError> {
    match name.parse() {
        Ok(pattern @ (Pattern::Domain(_) | Pattern::Below(_))) => Ok(pattern),
        _ => Err(RuleError::Host { value: name.into() }),
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let mut words = text.split_whitespace();
        let decision = match words.next() {
            Some("allow") => Decision::Allow,
            Some("deny") => Decision::Deny,
            _ => return Err(RuleError::Syntax),
        };
        let (Some(subject), Some(value)) = (words.next(), words.next()) else {
            return Err(RuleError::Syntax);
        };
        let force = match (words.next(), words.next()) {
            (None, _) => Force::Liftable,
            (Some("final"), None) => Force::Final,
            _ => return Err(RuleError::Syntax),
        };
        Ok(Self {
            decision,
            about: About::parse(subject, value)?,
            force,
        })
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject(), self.value())
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decision.as_str(), self.about)?;
        match self.force {
            Force::Liftable => Ok(()),
            Force::Final => f.write_str(" final"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (text, written) in [
            ("deny client 192.0.2.1", "deny client 192.0.2.1"),
            (
                "allow  client 192.0.2.0/24  final",
                "allow client 192.0.2.0/24 final",
            ),
            (
                "deny client host:*.example.net",
                "deny client host:.example.net",
            ),
            ("allow client mx", "allow client mx"),
            (
                "allow client mx:*.example.net",
                "allow client mx:.example.net",
            ),
            ("deny sender <>", "deny sender <>"),
            ("deny sender *@example.net", "deny sender example.net"),
            (
                "deny recipient A#b@example.com # why",
                "deny recipient A#b@example.com",
            ),
        ] {
            let rule = Rule::of_line(text).unwrap().unwrap();
            let lower = |text: &str| text.to_ascii_lowercase();
            assert_eq!(lower(&rule.to_string()), lower(written), "{text}");
            assert_eq!(rule.to_string().parse(), Ok(rule), "{text}");
        }
        assert_eq!(Rule::of_line("  # deny client 192.0.2.1"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |text: &str| Rule::of_line(text).unwrap_err();
        for text in [
            "deny",
            "deny host x",
            "deny sender a@x.test b",
            "refuse sender x.test",
        ] {
            assert_eq!(wrong(text), RuleError::Syntax, "{text}");
        }
        assert!(matches!(wrong("deny client x.test"), RuleError::Network(_)));
        assert!(matches!(wrong("deny sender a@b@c"), RuleError::Pattern(_)));
        assert!(matches!(
            wrong("deny client host:a@x.test"),
            RuleError::Host { .. }
        ));
        assert!(matches!(wrong("deny client mx:a b"), RuleError::Syntax));
    }
}
