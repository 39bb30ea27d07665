//! How far a message to a list has come: written down with what it became, so
//! that an attempt repeated after a crash goes on where the last one was.

use std::time::Duration;

use super::{ListAgent, later};
use crate::batch::{Precondition, StateChange};
use crate::envelope::Recipient;
use crate::event::TraceId;
use crate::seams::{ListRecord, StateKey};
use crate::status::Status;

const NAMESPACE: &str = "list-post";
/// Messages that lists sent out.
const SENT: &str = "list-sent";
/// Longer than a queue tries.
pub(super) const KEPT: Duration = Duration::from_secs(14 * 24 * 3_600);
const DONE: &str = "done";

/// A message's mark for one address of a list.
#[derive(Debug)]
pub(super) struct Mark {
    key: StateKey,
    version: Option<u64>,
    /// The last member that entries were queued for.
    at: Option<String>,
}

impl Mark {
    /// True when all is done.
    pub(super) fn is_done(&self) -> bool {
        self.at.as_deref() == Some(DONE)
    }

    /// The last place that was written down.
    pub(super) fn at(&self) -> Option<&str> {
        self.at.as_deref()
    }

    /// Nobody else has gone on meanwhile.
    pub(super) fn stands(&self) -> Precondition {
        Precondition::StateIs {
            key: self.key.clone(),
            version: self.version,
        }
    }

    /// Takes up what a commit made of it.
    pub(super) fn moved(&mut self, version: Option<u64>) {
        self.version = version;
    }
}

impl ListAgent {
    /// The mark of a message for one address.
    pub(super) async fn mark(&self, trace: TraceId, to: &Recipient) -> Result<Mark, Status> {
        let key = StateKey::new(NAMESPACE, &format!("{trace} {}", to.address.folded()));
        let kept = self.seams.state.read(&key).await.map_err(later)?;
        Ok(Mark {
            key,
            version: kept.as_ref().map(|it| it.version),
            at: kept.map(|it| String::from_utf8_lossy(&it.value).into_owned()),
        })
    }

    /// Says that a list sent a message out, so that notices about it are known.
    pub(super) fn mark_sent(&self, list: &ListRecord, trace: TraceId) -> StateChange {
        StateChange::Put {
            key: sent(list, &trace.to_string()),
            value: Vec::new(),
            expires: Some(self.seams.clock.now().after(KEPT)),
        }
    }

    /// True when a list sent this message out.
    pub(super) async fn has_sent(&self, list: &ListRecord, trace: &str) -> Result<bool, Status> {
        // Others are not of this server's writing, and a key has its limit.
        if trace.len() != 32 {
            return Ok(false);
        }
        let kept = self.seams.state.read(&sent(list, trace)).await;
        Ok(kept.map_err(later)?.is_some())
    }

    /// All is done.
    pub(super) fn mark_done(&self, mark: &Mark) -> StateChange {
        self.mark_at(mark, DONE)
    }

    /// All up to `at` is.
    pub(super) fn mark_at(&self, mark: &Mark, at: &str) -> StateChange {
        StateChange::Put {
            key: mark.key.clone(),
            value: at.as_bytes().to_vec(),
            expires: Some(self.seams.clock.now().after(KEPT)),
        }
    }
}

fn sent(list: &ListRecord, trace: &str) -> StateKey {
    StateKey::new(SENT, &format!("{trace} {}", list.address.folded()))
}
