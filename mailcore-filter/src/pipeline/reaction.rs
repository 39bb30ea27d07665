//! [`Reaction`]: what is done about a test's result.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use mailcore::plan::Stage;
use thiserror::Error;

/// The longest pause that a reaction may ask for: beyond it peers hang up, and
/// intake waits for a filter no longer than a minute.
pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// What is done about a result: an action or none, a score or none. As text:
/// `reject`, `score 3.5`, `quarantine score 5`, `reject at rcpt`, `none`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Reaction {
    /// What is done at once.
    pub act: Act,
    /// What is added to the message's score.
    pub score: f32,
    /// When it is acted on, where that is not at the test's own stage: a client
    /// that a list knows may be told so at RCPT, when it is known who it
    /// writes to.
    pub at: Option<Stage>,
}

/// What a reaction does. The later in this list, the more severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Act {
    /// Nothing beside the score.
    #[default]
    None,
    /// No test of spam has a say any more.
    Accept,
    /// The peer waits for its reply.
    Delay(Duration),
    /// Marked as spam, and delivered.
    Tag,
    /// Kept apart.
    Quarantine,
    /// Taken and dropped.
    Discard,
    /// Not now.
    Defer,
    /// Refused.
    Reject,
    /// Refused, and the connection closed.
    Disconnect,
}

/// Text that is no reaction.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReactionError {
    /// A word that means nothing here.
    #[error(
        "{word:?} is no reaction; write none, accept, tag, quarantine, discard, defer, reject, \
         disconnect, delay 5s or score 2.5, and at rcpt for acting later"
    )]
    Word {
        /// Which.
        word: String,
    },
    /// `score` without a number that can be added.
    #[error("a score is a number between -100 and 100, such as score 2.5")]
    Score,
    /// `delay` without a time.
    #[error("a delay is a number of seconds up to 30, such as delay 5s")]
    Delay,
    /// `at` without a stage.
    #[error("write at connect, helo, mail, rcpt, data or content")]
    Stage,
    /// Two actions.
    #[error("one action only; {first} and {second} can't both be done")]
    Twice {
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
}

impl Reaction {
    const fn of(act: Act) -> Self {
        Self {
            act,
            score: 0.0,
            at: None,
        }
    }

    /// Nothing at all.
    pub const fn none() -> Self {
        Self::of(Act::None)
    }

    /// Only a score.
    pub const fn score(score: f32) -> Self {
        Self::of(Act::None).and_score(score)
    }

    /// Let through whatever other tests of spam say.
    pub const fn accept() -> Self {
        Self::of(Act::Accept)
    }

    /// Marked as spam, and delivered.
    pub const fn tag() -> Self {
        Self::of(Act::Tag)
    }

    /// Kept apart.
    pub const fn quarantine() -> Self {
        Self::of(Act::Quarantine)
    }

    /// Taken and dropped.
    pub const fn discard() -> Self {
        Self::of(Act::Discard)
    }

    /// Not now.
    pub const fn defer() -> Self {
        Self::of(Act::Defer)
    }

    /// Refused.
    pub const fn reject() -> Self {
        Self::of(Act::Reject)
    }

    /// Refused, and the connection closed.
    pub const fn disconnect() -> Self {
        Self::of(Act::Disconnect)
    }

    /// The peer waits for its reply.
    pub const fn delay(pause: Duration) -> Self {
        Self::of(Act::Delay(pause))
    }

    /// With a score.
    #[must_use]
    pub const fn and_score(mut self, score: f32) -> Self {
        self.score = score;
        self
    }

    /// Acted on at this stage, when the test's own is earlier.
    #[must_use]
    pub const fn at(mut self, stage: Stage) -> Self {
        self.at = Some(stage);
        self
    }
}

impl FromStr for Reaction {
    type Err = ReactionError;

    fn from_str(text: &str) -> Result<Self, ReactionError> {
        let mut reaction = Self::none();
        let mut acts: Option<&str> = None;
        let mut words = text.split_ascii_whitespace();
        while let Some(word) = words.next() {
            let act = match word {
                "none" => Act::None,
                "accept" => Act::Accept,
                "tag" => Act::Tag,
                "quarantine" => Act::Quarantine,
                "discard" => Act::Discard,
                "defer" => Act::Defer,
                "reject" => Act::Reject,
                "disconnect" => Act::Disconnect,
                "delay" => Act::Delay(pause(words.next()).ok_or(ReactionError::Delay)?),
                "score" => {
                    reaction.score = points(words.next()).ok_or(ReactionError::Score)?;
                    continue;
                }
                "at" => {
                    let stage = words.next().and_then(Stage::parse);
                    reaction.at = Some(stage.ok_or(ReactionError::Stage)?);
                    continue;
                }
                _ => return Err(ReactionError::Word { word: word.into() }),
            };
            if let Some(first) = acts.replace(word) {
                return Err(ReactionError::Twice {
                    first: first.into(),
                    second: word.into(),
                });
            }
            reaction.act = act;
        }
        if text.trim().is_empty() {
            return Err(ReactionError::Word {
                word: String::new(),
            });
        }
        Ok(reaction)
    }
}

fn pause(word: Option<&str>) -> Option<Duration> {
    let word = word?;
    let seconds: u64 = word.strip_suffix('s').unwrap_or(word).parse().ok()?;
    Some(Duration::from_secs(seconds)).filter(|pause| *pause <= LONGEST_DELAY)
}

fn points(word: Option<&str>) -> Option<f32> {
    let points: f32 = word?.parse().ok()?;
    (-100.0..=100.0).contains(&points).then_some(points)
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Accept => f.write_str("accept"),
            Self::Delay(pause) => write!(f, "delay {}s", pause.as_secs()),
            Self::Tag => f.write_str("tag"),
            Self::Quarantine => f.write_str("quarantine"),
            Self::Discard => f.write_str("discard"),
            Self::Defer => f.write_str("defer"),
            Self::Reject => f.write_str("reject"),
            Self::Disconnect => f.write_str("disconnect"),
        }
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.act != Act::None || self.score == 0.0 {
            write!(f, "{}", self.act)?;
        }
        if self.score != 0.0 {
            let space = if self.act == Act::None { "" } else { " " };
            write!(f, "{space}score {}", self.score)?;
        }
        match self.at {
            Some(stage) => write!(f, " at {stage}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in [
            "none",
            "reject",
            "score 3.5",
            "score -2",
            "quarantine score 5",
            "delay 5s",
            "disconnect at rcpt",
            "defer score 1 at data",
        ] {
            let reaction: Reaction = text.parse().unwrap();
            assert_eq!(reaction.to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |text: &str| text.parse::<Reaction>().unwrap_err();
        assert_eq!(wrong("score"), ReactionError::Score);
        assert_eq!(wrong("score nan"), ReactionError::Score);
        assert_eq!(wrong("score 1e9"), ReactionError::Score);
        assert_eq!(wrong("delay 3600s"), ReactionError::Delay);
        assert_eq!(wrong("reject at noon"), ReactionError::Stage);
        for text in ["", "refuse", "score 3 points"] {
            assert!(matches!(wrong(text), ReactionError::Word { .. }), "{text}");
        }
        let both = wrong("reject defer");
        assert!(matches!(both, ReactionError::Twice { .. }));
    }
}
