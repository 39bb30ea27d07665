//! What was said of a session and of its message, for the stages that follow.

use std::sync::{Arc, Mutex, PoisonError};

use mailcore::address::Address;
use mailcore::plan::Stage;
use mailcore::seams::SessionMemory;

use super::{Reaction, TestClass};

/// Results kept of one session, and of one message.
const MOST: usize = 1_024;

/// A test's result, and what the test itself would do about it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub(super) stage: Stage,
    pub(super) test: &'static str,
    pub(super) class: TestClass,
    pub(super) result: &'static str,
    pub(super) detail: String,
    /// Its own score, in place of the reaction's.
    pub(super) score: Option<f32>,
    /// What is done unless a setting says otherwise.
    pub(super) shipped: Reaction,
    /// The one recipient it is about.
    pub(super) recipient: Option<Address>,
}

impl Judged {
    /// True when it is about this recipient, or about all.
    pub(super) fn concerns(&self, recipient: &Address) -> bool {
        self.recipient.as_ref().is_none_or(|it| it == recipient)
    }
}

/// Of the session.
#[derive(Debug, Default)]
struct OfSession(Mutex<Vec<Judged>>);
/// Of the message.
#[derive(Debug, Default)]
struct OfMessage(Mutex<Vec<Judged>>);

/// Keeps results.
pub(super) fn keep(memory: &SessionMemory, stage: Stage, judged: Vec<Judged>) {
    let push = |kept: &Mutex<Vec<Judged>>| {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST.saturating_sub(kept.len());
        kept.extend(judged.into_iter().take(room));
    };
    if stage < Stage::Mail {
        push(&of_session(memory).0);
    } else {
        push(&of_message(memory).0);
    }
}

/// Everything said so far.
pub(super) fn all(memory: &SessionMemory) -> Vec<Judged> {
    let of_session = of_session(memory);
    let mut all = (of_session.0.lock())
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let of_message = of_message(memory);
    let kept = of_message.0.lock().unwrap_or_else(PoisonError::into_inner);
    all.extend_from_slice(&kept);
    all
}

/// Forgets what a session stage said that is gone through again.
pub(super) fn forget(memory: &SessionMemory, stage: Stage) {
    memory.forget_findings(stage);
    let of_session = of_session(memory);
    let mut kept = of_session.0.lock().unwrap_or_else(PoisonError::into_inner);
    kept.retain(|judged| judged.stage != stage);
}

fn of_session(memory: &SessionMemory) -> Arc<OfSession> {
    memory.get().unwrap_or_else(|| {
        memory.keep_for_session(OfSession::default());
        memory.get().unwrap_or_default()
    })
}

fn of_message(memory: &SessionMemory) -> Arc<OfMessage> {
    memory.get().unwrap_or_else(|| {
        memory.keep_for_message(OfMessage::default());
        memory.get().unwrap_or_default()
    })
}
