//! What a plan has injected.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::time::Timestamp;

/// One fault that took place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Injected {
    /// When.
    pub at: Timestamp,
    /// Where: `dns`, `dial`, `commit`, `stage`, `state`, `directory`, `login`,
    /// `filter`, `agent`, `journal`, or a test's own word.
    pub seam: &'static str,
    /// What was asked for: a name, an address.
    pub subject: String,
    /// How often that subject had been asked for, this time included.
    pub count: u64,
    /// What went wrong.
    pub fault: String,
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            seam,
            subject,
            count,
            fault,
        } = self;
        write!(f, "{} {seam} {subject} {count}: {fault}", at.millis())
    }
}

/// The list of them.
#[derive(Debug, Default)]
pub(super) struct Record(Mutex<Vec<Injected>>);

impl Record {
    pub(super) fn add(&self, injected: Injected) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(injected);
    }

    pub(super) fn all(&self) -> Vec<Injected> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }
}
