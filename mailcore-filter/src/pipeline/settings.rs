//! [`FilterSettings`]: what is set about tests at one scope.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Pipeline, Reaction, ReactionError, Said};

/// What a setting of filters begins with in the directory.
pub const SETTING_PREFIX: &str = "filter.";

/// Scores that change what becomes of a message; `None` for never.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Scoring {
    /// From here on it is refused; 12.
    pub reject: Option<f32>,
    /// From here on it is kept apart; 5.
    pub quarantine: Option<f32>,
    /// From here on it is marked; never by default.
    pub tag: Option<f32>,
}

impl Default for Scoring {
    fn default() -> Self {
        Self {
            reject: Some(12.0),
            quarantine: Some(5.0),
            tag: None,
        }
    }
}

/// What is set at one scope; what is not holds as the next wider scope says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FilterSettings {
    /// By `test.result`.
    reactions: BTreeMap<String, Reaction>,
    /// By test.
    switches: BTreeMap<String, Switch>,
    /// `Some(None)`: never.
    reject: Option<Option<f32>>,
    quarantine: Option<Option<f32>>,
    tag: Option<Option<f32>>,
}

/// Whether a test has a say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    On,
    Off,
}

/// A setting that can't be taken.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SettingError {
    /// A key that is none.
    #[error(
        "{key:?} is no setting of filters; write score.reject, score.quarantine, score.tag, \
         TEST, or TEST.RESULT"
    )]
    Key {
        /// Which.
        key: String,
    },
    /// A test that is not there.
    #[error("there is no test {test:?}; there are {known}")]
    Test {
        /// Which.
        test: String,
        /// Those that are.
        known: String,
    },
    /// A result that its test never has.
    #[error("{test} never says {result:?}; it says {known}")]
    Result {
        /// The test.
        test: String,
        /// Which.
        result: String,
        /// Those it says.
        known: String,
    },
    /// A score that is no number.
    #[error("{value:?} is no score; write a number up to 1000, or never")]
    Score {
        /// Which.
        value: String,
    },
    /// A switch that is none.
    #[error("{value:?} is neither on nor off")]
    Switch {
        /// Which.
        value: String,
    },
    /// A reaction that is none.
    #[error(transparent)]
    Reaction(#[from] ReactionError),
}

impl FilterSettings {
    /// Sets `key` to `value`, both as text: `score.reject` to a number or
    /// `never`, `spf` to `on` or `off`, `spf.fail` to a reaction.
    ///
    /// # Errors
    /// What is wrong; whether there is such a test is
    /// [`FilterSettings::check_key`]'s to say.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SettingError> {
        let value = value.trim();
        match key.split_once('.') {
            Some(("score", which)) => {
                let score = threshold(value)?;
                match which {
                    "reject" => self.reject = Some(score),
                    "quarantine" => self.quarantine = Some(score),
                    "tag" => self.tag = Some(score),
                    _ => return Err(SettingError::Key { key: key.into() }),
                }
            }
            Some((test, result)) if !test.is_empty() && !result.is_empty() => {
                self.reactions.insert(key.into(), value.parse()?);
            }
            None if !key.is_empty() => {
                let switch = match value {
                    "on" | "yes" | "true" => Switch::On,
                    "off" | "no" | "false" => Switch::Off,
                    _ => {
                        return Err(SettingError::Switch {
                            value: value.into(),
                        });
                    }
                };
                self.switches.insert(key.into(), switch);
            }
            _ => return Err(SettingError::Key { key: key.into() }),
        }
        Ok(())
    }

    /// Whether the tests of `pipeline` know `key`.
    ///
    /// # Errors
    /// What it names that is not there.
    pub fn check_key(key: &str, pipeline: &Pipeline) -> Result<(), SettingError> {
        let (test, result) = match key.split_once('.') {
            Some(("score", "reject" | "quarantine" | "tag")) => return Ok(()),
            Some(("score", _)) => return Err(SettingError::Key { key: key.into() }),
            Some((test, result)) => (test, Some(result)),
            None => (key, None),
        };
        let Some(known) = pipeline.find(test) else {
            return Err(SettingError::Test {
                test: test.into(),
                known: pipeline.names().collect::<Vec<_>>().join(", "),
            });
        };
        match result {
            Some(result) if !known.results().contains(&result) => Err(SettingError::Result {
                test: test.into(),
                result: result.into(),
                known: known.results().join(", "),
            }),
            _ => Ok(()),
        }
    }

    /// With another reaction to a result.
    #[must_use]
    pub fn reaction(mut self, test: &str, result: &str, reaction: Reaction) -> Self {
        self.reactions.insert(format!("{test}.{result}"), reaction);
        self
    }

    /// With other scores that count.
    #[must_use]
    pub fn scoring(mut self, scoring: Scoring) -> Self {
        self.reject = Some(scoring.reject);
        self.quarantine = Some(scoring.quarantine);
        self.tag = Some(scoring.tag);
        self
    }

    /// The keys that are set, but for the scores that count.
    pub fn keys(&self) -> impl Iterator<Item = String> {
        self.reactions.keys().chain(self.switches.keys()).cloned()
    }

    /// True when nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn reaction_to(&self, test: &str, result: &str) -> Option<Reaction> {
        if self.reactions.is_empty() {
            return None;
        }
        self.reactions.get(&format!("{test}.{result}")).copied()
    }

    pub(super) fn switch(&self, test: &str) -> Option<Switch> {
        self.switches.get(test).copied()
    }
}

fn threshold(value: &str) -> Result<Option<f32>, SettingError> {
    if matches!(value, "never" | "off") {
        return Ok(None);
    }
    let score: Option<f32> = value.parse().ok();
    let score = score.filter(|score| (-1_000.0..=1_000.0).contains(score));
    score.map(Some).ok_or_else(|| SettingError::Score {
        value: value.into(),
    })
}

/// What holds at a scope: the settings of it and of those around it, nearest
/// first.
#[derive(Debug, Clone, Default)]
pub(super) struct Effective(pub(super) Vec<std::sync::Arc<FilterSettings>>);

impl Effective {
    pub(super) fn reaction(&self, test: &str, result: &str, shipped: Reaction) -> Reaction {
        let off = self.0.iter().find_map(|set| set.switch(test)) == Some(Switch::Off);
        if off {
            return Reaction::none();
        }
        let set = self.0.iter().find_map(|set| set.reaction_to(test, result));
        set.unwrap_or(shipped)
    }

    pub(super) fn is_off(&self, test: &str) -> bool {
        self.0.iter().find_map(|set| set.switch(test)) == Some(Switch::Off)
    }

    /// A result's score: a setting for it, else the result's own, else what is
    /// shipped for it.
    pub(super) fn score(
        &self,
        (test, result): (&str, &str),
        own: Option<f32>,
        shipped: Reaction,
    ) -> f32 {
        if self.is_off(test) {
            return 0.0;
        }
        let set = self.0.iter().find_map(|set| set.reaction_to(test, result));
        match set {
            Some(reaction) => reaction.score,
            None => own.unwrap_or(shipped.score),
        }
    }

    pub(super) fn scoring(&self) -> Scoring {
        let shipped = Scoring::default();
        let first = |of: fn(&FilterSettings) -> Option<Option<f32>>, or: Option<f32>| {
            self.0.iter().find_map(|set| of(set)).unwrap_or(or)
        };
        Scoring {
            reject: first(|set| set.reject, shipped.reject),
            quarantine: first(|set| set.quarantine, shipped.quarantine),
            tag: first(|set| set.tag, shipped.tag),
        }
    }

    /// As [`Effective::score`], of what was just said.
    pub(super) fn score_of(&self, test: &str, said: &Said, shipped: Reaction) -> f32 {
        let own = said.score.filter(|score| score.is_finite());
        self.score((test, said.result), own, shipped)
    }
}
