//! Which messages rules sent, so that none raises a rule again.

use std::sync::Arc;
use std::time::Duration;

use super::message::is_ours;
use crate::address::Domain;
use crate::batch::StateChange;
use crate::event::{Event, EventName, TraceId};
use crate::seams::{State, StateKey, StoreError};
use crate::time::Timestamp;

/// Where marks are.
const NAMESPACE: &str = "events";
/// How long a message is known as one's own: longer than it stays in any queue.
const KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Characters of a Message-ID that are looked at.
const MAX_ID: usize = 100;

/// Knows the tracks of mail that rules sent.
#[derive(Debug)]
pub(super) struct OwnMail {
    pub(super) state: Arc<dyn State>,
    pub(super) hostname: Domain,
}

impl OwnMail {
    /// Marks a track.
    pub(super) fn mark(trace: TraceId, now: Timestamp) -> StateChange {
        put(key(trace), now)
    }

    /// Marks a Message-ID.
    pub(super) fn mark_id(message_id: &str, now: Timestamp) -> StateChange {
        put(id_key(message_id), now)
    }

    /// A track that has to be marked since an event shows it to be ours: our
    /// mail came back, a notice tells of it, or a recipient's rules answer it.
    pub(super) async fn learn(&self, event: &Event) -> Result<Option<TraceId>, StoreError> {
        match event.name {
            EventName::MessageReceived => {
                let id = event.field("message-id").unwrap_or_default();
                // Strangers can write such an id: it must be one that we gave.
                let ours = is_ours(id, &self.hostname)
                    && self.state.read(&id_key(id)).await?.is_some()
                    && !self.has(event).await?;
                Ok(event.trace.filter(|_| ours))
            }
            EventName::NoticeSent | EventName::LetterSent => {
                let notice = event.field("notice").or_else(|| event.field("letter"));
                let notice = notice.unwrap_or_default();
                let Ok(notice) = u128::from_str_radix(notice, 16) else {
                    return Ok(None);
                };
                Ok(self.has(event).await?.then_some(TraceId(notice)))
            }
            _ => Ok(None),
        }
    }

    /// Whether an event is about mail that a rule sent.
    pub(super) async fn has(&self, event: &Event) -> Result<bool, StoreError> {
        match event.trace {
            Some(trace) => Ok(self.state.read(&key(trace)).await?.is_some()),
            None => Ok(false),
        }
    }
}

fn put(key: StateKey, now: Timestamp) -> StateChange {
    StateChange::Put {
        key,
        value: Vec::new(),
        expires: Some(now.after(KEEP)),
    }
}

fn id_key(message_id: &str) -> StateKey {
    let id: String = message_id.chars().take(MAX_ID).collect();
    StateKey::new(NAMESPACE, &format!("mail-id:{id}"))
}

fn key(trace: TraceId) -> StateKey {
    StateKey::new(NAMESPACE, &format!("mail-own:{trace}"))
}
