//! [`Effective`]: what holds at a scope, of all that is set around it.

use std::sync::Arc;

use super::settings::Switch;
use super::{FilterSettings, Reaction, Said, Scoring, SpamPlace};

/// What holds at a scope: the settings of it and of those around it, nearest
/// first.
#[derive(Debug, Clone, Default)]
pub(super) struct Effective(pub(super) Vec<Arc<FilterSettings>>);

impl Effective {
    pub(super) fn reaction(&self, test: &str, result: &str, shipped: Reaction) -> Reaction {
        if self.is_off(test) {
            return Reaction::none();
        }
        self.set_for(test, result).unwrap_or(shipped)
    }

    pub(super) fn is_off(&self, test: &str) -> bool {
        self.0.iter().find_map(|set| set.switch(test)) == Some(Switch::Off)
    }

    fn set_for(&self, test: &str, result: &str) -> Option<Reaction> {
        self.0.iter().find_map(|set| set.reaction_to(test, result))
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
        match self.set_for(test, result) {
            Some(reaction) => reaction.score,
            None => own.unwrap_or(shipped.score),
        }
    }

    /// As [`Effective::score`], of what was just said.
    pub(super) fn score_of(&self, test: &str, said: &Said, shipped: Reaction) -> f32 {
        let own = said.score.filter(|score| score.is_finite());
        self.score((test, said.result), own, shipped)
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

    pub(super) fn place(&self) -> SpamPlace {
        let set = self.0.iter().find_map(|set| set.place);
        set.unwrap_or_default()
    }

    /// What the subject of spam that is delivered begins with.
    pub(super) fn subject_tag(&self) -> Option<&str> {
        let set = self.0.iter().find_map(|set| set.subject_tag.as_deref());
        set.filter(|tag| !tag.is_empty())
    }

    /// True when both are made of the same settings.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        self.0.len() == other.0.len() && pairs.into_iter().all(|(a, b)| Arc::ptr_eq(a, b))
    }
}
