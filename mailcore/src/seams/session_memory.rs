//! What filters remember of a session from one stage to the next.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::plan::{Finding, Stage};

/// Findings kept of one stage; later ones are left out. Each stage has its own, so
/// that many recipients leave room for what is found in the message.
const MOST_FINDINGS: usize = 128;

/// Values and findings that filters leave for filters asked later: some for the
/// whole session, some for one message of it.
///
/// Clones share what is kept. A value is known by its type, so that a filter's
/// own type can't be mistaken for another's.
#[derive(Clone, Default)]
pub struct SessionMemory {
    session: Arc<Mutex<Kept>>,
    message: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    values: Vec<(TypeId, Arc<dyn Any + Send + Sync>)>,
    findings: Vec<Finding>,
}

impl Kept {
    fn keep<T: Any + Send + Sync>(&mut self, value: Arc<T>) {
        let id = TypeId::of::<T>();
        match self.values.iter_mut().find(|(known, _)| *known == id) {
            Some((_, old)) => *old = value,
            None => self.values.push((id, value)),
        }
    }

    fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let id = TypeId::of::<T>();
        let (_, value) = self.values.iter().find(|(known, _)| *known == id)?;
        Arc::clone(value).downcast().ok()
    }
}

impl SessionMemory {
    /// Keeps a value until the session ends, in place of one of its type.
    pub fn keep_for_session<T: Any + Send + Sync>(&self, value: T) {
        lock(&self.session).keep(Arc::new(value));
    }

    /// Keeps a value for the message at hand, in place of one of its type.
    pub fn keep_for_message<T: Any + Send + Sync>(&self, value: T) {
        lock(&self.message).keep(Arc::new(value));
    }

    /// The value of this type: the message's, else the session's.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let of_message = lock(&self.message).get();
        of_message.or_else(|| lock(&self.session).get())
    }

    /// Keeps a finding: of the session until there is a sender, of the message
    /// from then on. The same test's on the same thing at the same stage gives
    /// way.
    pub fn note(&self, finding: Finding) {
        let kept = match finding.stage {
            Stage::Connect | Stage::Helo | Stage::Auth => &self.session,
            Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Content => &self.message,
        };
        let findings = &mut lock(kept).findings;
        let same = |it: &Finding| {
            it.stage == finding.stage
                && it.test == finding.test
                && it.input == finding.input
                && it.result == finding.result
        };
        let known = findings.iter().position(same);
        if let Some(known) = known.and_then(|at| findings.get_mut(at)) {
            *known = finding;
        } else if (findings.iter().filter(|it| it.stage == finding.stage)).count() < MOST_FINDINGS {
            findings.push(finding);
        }
    }

    /// What was found of the session and of the message at hand, in order.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = lock(&self.session).findings.clone();
        findings.extend_from_slice(&lock(&self.message).findings);
        findings
    }

    /// Forgets the findings of a stage that is gone through again.
    pub fn forget_findings(&self, stage: Stage) {
        for kept in [&self.session, &self.message] {
            lock(kept).findings.retain(|finding| finding.stage != stage);
        }
    }

    /// Forgets all.
    pub fn clear(&self) {
        for kept in [&self.session, &self.message] {
            *lock(kept) = Kept::default();
        }
    }

    /// The memory for a new message of the session.
    #[must_use]
    pub fn for_message(&self) -> Self {
        Self {
            session: Arc::clone(&self.session),
            message: Arc::default(),
        }
    }
}

/// Nothing panics while it holds the lock.
fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for SessionMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.findings()).finish()
    }
}

/// What is remembered of a session makes it no other session.
impl PartialEq for SessionMemory {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for SessionMemory {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_a_message_ends_with_it() {
        let session = SessionMemory::default();
        session.keep_for_session(1u8);
        session.note(Finding::new(Stage::Connect, "a", "x"));
        let first = session.for_message();
        first.keep_for_message(2u8);
        first.keep_for_message("text");
        first.note(Finding::new(Stage::Mail, "b", "x"));
        assert_eq!(first.get::<u8>().as_deref(), Some(&2));
        assert_eq!(first.findings().len(), 2);
        let second = session.for_message();
        assert_eq!(second.get::<u8>().as_deref(), Some(&1));
        assert_eq!(second.get::<&str>(), None);
        assert_eq!(second.findings().len(), 1);
        second.clear();
        assert_eq!(session.get::<u8>(), None);
    }

    #[test]
    fn findings_are_bounded_and_not_said_twice() {
        let memory = SessionMemory::default();
        for score in [1.0, 2.0] {
            memory.note(Finding::new(Stage::Mail, "a", "x").score(score));
        }
        let scores: Vec<_> = memory.findings().iter().map(|it| it.score).collect();
        assert_eq!(scores, [2.0]);
        for input in 0..1_000 {
            memory.note(Finding::new(Stage::Rcpt, "a", "x").on(input.to_string()));
        }
        assert_eq!(memory.findings().len(), MOST_FINDINGS + 1);
        memory.note(Finding::new(Stage::Content, "b", "x"));
        assert_eq!(memory.findings().len(), MOST_FINDINGS + 2);
        memory.forget_findings(Stage::Rcpt);
        assert_eq!(memory.findings().len(), 2);
    }
}
