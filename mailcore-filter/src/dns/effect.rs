//! [`Effect`]: what an answer of a list means.

use std::str::FromStr;

use thiserror::Error;

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effect {
    /// Listed: the test's reaction to that follows, shipped as a refusal.
    Listed,
    /// So much is added to the message's score.
    Score(f32),
    /// The subject is known for good mail: so much is taken from the score, and
    /// other lists refuse nothing.
    Allowed(f32),
    /// Nothing.
    Ignored,
}

/// Text that is no effect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no meaning of an answer; write listed, score 2.5, allowed -3 or ignored")]
pub struct EffectError(String);

impl FromStr for Effect {
    type Err = EffectError;

    fn from_str(text: &str) -> Result<Self, EffectError> {
        let number = |text: &str| {
            let number: f32 = text.parse().ok()?;
            (-100.0..=100.0).contains(&number).then_some(number)
        };
        let mut words = text.split_ascii_whitespace();
        let effect = match (words.next(), words.next(), words.next()) {
            (Some("listed"), None, None) => Some(Self::Listed),
            (Some("ignored"), None, None) => Some(Self::Ignored),
            (Some("score"), Some(score), None) => number(score).map(Self::Score),
            (Some("allowed"), Some(score), None) => number(score)
                .filter(|score| *score <= 0.0)
                .map(Self::Allowed),
            _ => None,
        };
        effect.ok_or_else(|| EffectError(text.chars().take(64).collect()))
    }
}

/// Which of several answers of one list counts: the heavier.
pub(super) fn weight(effect: Effect) -> (u8, f32) {
    match effect {
        Effect::Listed => (3, 0.0),
        Effect::Score(score) => (2, score),
        Effect::Allowed(score) => (1, -score),
        Effect::Ignored => (0, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meanings_are_read_as_operators_write_them() {
        for (text, want) in [
            ("listed", Some(Effect::Listed)),
            ("ignored", Some(Effect::Ignored)),
            ("score 2.5", Some(Effect::Score(2.5))),
            ("allowed -3", Some(Effect::Allowed(-3.0))),
            ("allowed 3", None),
            ("score", None),
            ("score nan", None),
            ("score 1e9", None),
            ("listed twice", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Effect>().ok(), want, "{text:?}");
        }
    }
}
