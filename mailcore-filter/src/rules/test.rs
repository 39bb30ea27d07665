//! [`ContentRules`]: rules asked of mail in the pipeline.

use std::sync::Arc;

use async_trait::async_trait;
use mailcore::plan::Stage;
use mailcore::seams::Clock;

use super::{Hit, RuleSet};
use crate::content::{View, ViewLimits};
use crate::pipeline::{Look, Reaction, Said, Test};

/// Rules that are named; those beyond are summed up in one finding.
const MOST_NAMED: usize = 50;

/// The test `content`: each rule that holds is a finding of its own with the
/// rule's score.
#[derive(Debug)]
pub struct ContentRules {
    rules: Arc<RuleSet>,
    limits: ViewLimits,
    clock: Arc<dyn Clock>,
}

impl ContentRules {
    /// Asks `rules`.
    pub fn new(rules: Arc<RuleSet>, limits: ViewLimits, clock: Arc<dyn Clock>) -> Self {
        Self {
            rules,
            limits,
            clock,
        }
    }
}

#[async_trait]
impl Test for ContentRules {
    fn name(&self) -> &'static str {
        "content"
    }

    fn stage(&self) -> Stage {
        Stage::Content
    }

    fn after(&self) -> &'static [&'static str] {
        &[
            "dkim",
            "dmarc",
            "arc",
            "uribl",
            "rhsbl-from",
            "vbr",
            "bayes",
        ]
    }

    fn results(&self) -> &'static [&'static str] {
        &["hit"]
    }

    /// What a hit scores is the rule's to say.
    fn reaction(&self, _result: &str) -> Reaction {
        Reaction::none()
    }

    async fn look(&self, at: &Look<'_>) -> Vec<Said> {
        let Some(view) = View::of(at, &self.limits).await else {
            return Vec::new();
        };
        match self.rules.judge(at, &view, self.clock.now()).await {
            Ok(hits) => say(hits),
            Err(error) => {
                tracing::warn!(%error, "rules can't read the message");
                Vec::new()
            }
        }
    }
}

/// The heaviest by name, the rest as one.
fn say(mut hits: Vec<Hit<'_>>) -> Vec<Said> {
    hits.sort_by(|a, b| b.score.abs().total_cmp(&a.score.abs()));
    let rest = hits.split_off(hits.len().min(MOST_NAMED));
    let named = hits.iter().map(|hit| {
        Said::new("hit", hit.name)
            .detail(hit.about)
            .score(hit.score)
    });
    let mut said: Vec<_> = named.collect();
    if !rest.is_empty() {
        let score = rest.iter().map(|hit| hit.score).sum();
        let others = format!("{} more rules", rest.len());
        said.push(Said::new("hit", others).score(score));
    }
    said
}
