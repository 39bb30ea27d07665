//! What was said of a session and of its message, for the stages that follow.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use mailcore::address::Address;
use mailcore::plan::Stage;
use mailcore::seams::SessionMemory;

use super::{Reaction, TestClass};

/// Results kept of one stage: what a peer does at one must not crowd out what
/// is found at the next.
const MOST: usize = 512;
/// The same of [`Stage::Rcpt`], for all recipients together.
const MOST_RCPT: usize = 4_096;

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
    pub(super) fn concerns(&self, recipient: Option<&Address>) -> bool {
        self.recipient.is_none() || self.recipient.as_ref() == recipient
    }
}

/// Of the session.
#[derive(Debug, Default)]
struct OfSession(Mutex<Vec<Judged>>);
/// Of the message.
#[derive(Debug, Default)]
struct OfMessage(Mutex<Vec<Judged>>);

/// Keeps results of a stage.
pub(super) fn keep(memory: &SessionMemory, stage: Stage, judged: Vec<Judged>) {
    let most = if stage == Stage::Rcpt {
        MOST_RCPT
    } else {
        MOST
    };
    change(memory, stage, |kept| {
        let known = kept.iter().filter(|it| it.stage == stage).count();
        kept.extend(judged.into_iter().take(most.saturating_sub(known)));
    });
}

/// Of what was said so far, all that is `wanted`.
pub(super) fn said(memory: &SessionMemory, wanted: impl Fn(&Judged) -> bool) -> Vec<Judged> {
    let of_session = memory.get::<OfSession>();
    let of_message = memory.get::<OfMessage>();
    let both = [
        of_session.as_ref().map(|it| &it.0),
        of_message.as_ref().map(|it| &it.0),
    ];
    let mut said = Vec::new();
    for kept in both.into_iter().flatten() {
        let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend(kept.iter().filter(|it| wanted(it)).cloned());
    }
    said
}

/// Forgets what was said at a stage that is gone through again: of one recipient,
/// or of all.
pub(super) fn forget(memory: &SessionMemory, stage: Stage, recipient: Option<&Address>) {
    if recipient.is_none() {
        memory.forget_findings(stage);
    }
    change(memory, stage, |kept| {
        kept.retain(|it| {
            it.stage != stage || recipient.is_some() && it.recipient.as_ref() != recipient
        });
    });
}

fn change(memory: &SessionMemory, stage: Stage, change: impl FnOnce(&mut Vec<Judged>)) {
    let (of_session, of_message);
    let kept = if stage < Stage::Mail {
        of_session = memory.get::<OfSession>().unwrap_or_else(|| {
            memory.keep_for_session(OfSession::default());
            memory.get().unwrap_or_default()
        });
        &of_session.0
    } else {
        of_message = memory.get::<OfMessage>().unwrap_or_else(|| {
            memory.keep_for_message(OfMessage::default());
            memory.get().unwrap_or_default()
        });
        &of_message.0
    };
    change(&mut kept.lock().unwrap_or_else(PoisonError::into_inner));
}

/// The stages of the session that let it through.
#[derive(Debug, Clone, Default)]
struct AllowedSession(Vec<Stage>);
/// Whether the message is let through, and to whom.
#[derive(Debug, Default)]
struct AllowedMessage(Mutex<Allowed>);
#[derive(Debug, Default)]
struct Allowed {
    all: bool,
    recipients: HashSet<Address>,
}

/// Lets through what a stage is about; where there is a recipient, to it alone.
pub(super) fn allow(memory: &SessionMemory, stage: Stage, recipient: Option<&Address>) {
    if stage < Stage::Mail {
        let known = memory.get::<AllowedSession>();
        let mut allowed = known
            .map(|it| AllowedSession::clone(&it))
            .unwrap_or_default();
        allowed.0.push(stage);
        memory.keep_for_session(allowed);
        return;
    }
    let allowed: Arc<AllowedMessage> = memory.get().unwrap_or_else(|| {
        memory.keep_for_message(AllowedMessage::default());
        memory.get().unwrap_or_default()
    });
    let mut allowed = allowed.0.lock().unwrap_or_else(PoisonError::into_inner);
    match recipient {
        Some(recipient) => {
            allowed.recipients.insert(recipient.clone());
        }
        None => allowed.all = true,
    }
}

/// Takes back what a stage of the session allowed that is gone through again.
pub(super) fn disallow(memory: &SessionMemory, stage: Stage) {
    let Some(allowed) = memory.get::<AllowedSession>() else {
        return;
    };
    if allowed.0.contains(&stage) {
        let mut allowed = AllowedSession::clone(&allowed);
        allowed.0.retain(|it| *it != stage);
        memory.keep_for_session(allowed);
    }
}

/// True when the session or the message was let through, or the message to this
/// recipient.
pub(super) fn is_allowed(memory: &SessionMemory, recipient: Option<&Address>) -> bool {
    let session = memory.get::<AllowedSession>();
    if session.is_some_and(|it| !it.0.is_empty()) {
        return true;
    }
    let Some(message) = memory.get::<AllowedMessage>() else {
        return false;
    };
    let message = message.0.lock().unwrap_or_else(PoisonError::into_inner);
    message.all || recipient.is_some_and(|to| message.recipients.contains(to))
}
