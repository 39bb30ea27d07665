//! [`Unmet`]: why an expectation was not met, so that whoever reads it need not
//! look any further.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::ledger::{Had, Refused};
use super::mail::CapturedMail;
use super::matchers::Matcher;

/// How many messages, and how many refusals, are shown.
const SHOWN: usize = 10;

/// An expectation that was not met. Its words list what did come, the nearest
/// first, with what of the matcher does not hold for each, and what was refused.
#[derive(Clone, Error)]
#[error("{words}")]
#[non_exhaustive]
pub struct Unmet {
    /// What did come, the nearest first.
    pub came: Vec<CapturedMail>,
    /// What was refused, in order.
    pub refused: Vec<Refused>,
    words: String,
}

impl fmt::Debug for Unmet {
    /// In words: `unwrap` shows this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl Unmet {
    pub(super) fn new(
        matcher: &Matcher,
        wanted: String,
        within: Duration,
        mut came: Vec<(Arc<CapturedMail>, Had)>,
        refused: Vec<Refused>,
    ) -> Self {
        came.sort_by(|(one, _), (other, _)| {
            let near = |mail| matcher.nearness(mail);
            near(other).total_cmp(&near(one))
        });
        let mut words = format!("expected {wanted}: {matcher:?}, within {within:?}");
        tell_mail(&mut words, matcher, &came);
        tell_refused(&mut words, &refused);
        Self {
            came: came
                .into_iter()
                .map(|(mail, _)| mail.as_ref().clone())
                .collect(),
            refused,
            words,
        }
    }
}

fn tell_mail(words: &mut String, matcher: &Matcher, came: &[(Arc<CapturedMail>, Had)]) {
    if came.is_empty() {
        words.push_str("\n  no mail came");
        return;
    }
    let _ = write!(words, "\n  {} came, the nearest first:", came.len());
    for (mail, had) in came.iter().take(SHOWN) {
        let _ = write!(words, "\n    {mail}");
        let misses = matcher.misses(mail);
        match (misses.is_empty(), had) {
            (true, Had::Yes) => words.push_str("\n      an expectation before has had it"),
            (true, Had::No) => words.push_str("\n      matches"),
            (false, _) => misses.iter().for_each(|miss| {
                let _ = write!(words, "\n      not: {miss}");
            }),
        }
    }
    if came.len() > SHOWN {
        let _ = write!(words, "\n    and {} more", came.len() - SHOWN);
    }
}

fn tell_refused(words: &mut String, refused: &[Refused]) {
    if refused.is_empty() {
        return;
    }
    let _ = write!(words, "\n  {} refused:", refused.len());
    let skipped = refused.len().saturating_sub(SHOWN);
    for refused in refused.iter().skip(skipped) {
        let _ = write!(words, "\n    {refused}");
    }
}
