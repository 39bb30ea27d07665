//! [`FilterSettings`]: what is set about tests at one scope.

use std::collections::BTreeMap;
use std::sync::Arc;

use mailcore::plan::Stage;
use thiserror::Error;

use super::{Pipeline, Reaction, ReactionError};

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
    /// By test, by result.
    reactions: BTreeMap<String, BTreeMap<String, Reaction>>,
    /// By test.
    switches: BTreeMap<String, Switch>,
    /// `Some(None)`: never.
    pub(super) reject: Option<Option<f32>>,
    pub(super) quarantine: Option<Option<f32>>,
    pub(super) tag: Option<Option<f32>>,
    pub(super) place: Option<SpamPlace>,
    /// Empty for none.
    pub(super) subject_tag: Option<Arc<str>>,
}

/// Characters that a subject's tag may have.
const LONGEST_TAG: usize = 60;

/// Where mail goes that is kept apart for looking like spam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SpamPlace {
    /// Where the operator says for all quarantined mail.
    #[default]
    Usual,
    /// The recipient's junk folder.
    Folder,
    /// The quarantine, where the recipient sees it.
    Quarantine,
    /// The quarantine, where administrators alone see it.
    Admin,
    /// The inbox: it is marked, and delivered.
    Inbox,
}

impl SpamPlace {
    const WORDS: [(&'static str, Self); 5] = [
        ("usual", Self::Usual),
        ("folder", Self::Folder),
        ("quarantine", Self::Quarantine),
        ("admin", Self::Admin),
        ("inbox", Self::Inbox),
    ];

    /// The place of this name.
    pub fn parse(name: &str) -> Option<Self> {
        let known = Self::WORDS.iter().find(|(word, _)| *word == name);
        known.map(|(_, place)| *place)
    }

    /// `usual`, `folder`, ...
    pub fn as_str(self) -> &'static str {
        let known = Self::WORDS.iter().find(|(_, place)| *place == self);
        known.map_or("usual", |(word, _)| word)
    }
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
         spam.place, spam.subject_tag, TEST, or TEST.RESULT"
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
    /// A place that is none.
    #[error("{value:?} is no place; write usual, folder, quarantine, admin or inbox")]
    Place {
        /// Which.
        value: String,
    },
    /// A text that no subject can begin with.
    #[error("{value:?} is no tag; write up to 60 characters in one line, or off")]
    SubjectTag {
        /// Which.
        value: String,
    },
    /// A test that can't be asked at another stage.
    #[error("{test} can't be asked at {stage}: {reason}")]
    Stage {
        /// The test.
        test: String,
        /// When it was to be asked.
        stage: Stage,
        /// Why not.
        reason: &'static str,
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
            Some(("spam", "place")) => {
                let wrong = || SettingError::Place {
                    value: value.into(),
                };
                self.place = Some(SpamPlace::parse(value).ok_or_else(wrong)?);
            }
            Some(("spam", "subject_tag")) => self.subject_tag = Some(subject_tag(value)?),
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
                let reaction = value.parse()?;
                let of_test = self.reactions.entry(test.into()).or_default();
                of_test.insert(result.into(), reaction);
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
            Some(("score", "reject" | "quarantine" | "tag"))
            | Some(("spam", "place" | "subject_tag")) => return Ok(()),
            Some(("score" | "spam", _)) => return Err(SettingError::Key { key: key.into() }),
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
        let of_test = self.reactions.entry(test.into()).or_default();
        of_test.insert(result.into(), reaction);
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

    /// With another place for what looks like spam.
    #[must_use]
    pub fn place(mut self, place: SpamPlace) -> Self {
        self.place = Some(place);
        self
    }

    /// With a text before the subject of spam that is delivered.
    ///
    /// # Errors
    /// [`SettingError::SubjectTag`].
    pub fn subject_tag(mut self, text: &str) -> Result<Self, SettingError> {
        self.subject_tag = Some(subject_tag(text)?);
        Ok(self)
    }

    /// The tests and results that are set.
    pub fn keys(&self) -> impl Iterator<Item = String> {
        let reactions = self.reactions.iter().flat_map(|(test, results)| {
            let key = move |result| format!("{test}.{result}");
            results.keys().map(key)
        });
        reactions.chain(self.switches.keys().cloned())
    }

    /// True when nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn reaction_to(&self, test: &str, result: &str) -> Option<Reaction> {
        self.reactions.get(test)?.get(result).copied()
    }

    pub(super) fn switch(&self, test: &str) -> Option<Switch> {
        self.switches.get(test).copied()
    }
}

fn subject_tag(value: &str) -> Result<Arc<str>, SettingError> {
    let fits = value.chars().count() <= LONGEST_TAG && !value.chars().any(char::is_control);
    match value.trim() {
        "off" => Ok("".into()),
        tag if fits => Ok(tag.into()),
        _ => Err(SettingError::SubjectTag {
            value: value.into(),
        }),
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
