//! How far a message to a list has come: written down with what it became, so
//! that an attempt repeated after a crash goes on where the last one was.

use std::time::Duration;

use super::{ListAgent, later};
use crate::batch::{Precondition, StateChange};
use crate::envelope::Recipient;
use crate::event::TraceId;
use crate::seams::StateKey;
use crate::status::Status;

const NAMESPACE: &str = "list-post";
/// Longer than a queue tries.
const KEPT: Duration = Duration::from_secs(14 * 24 * 3_600);
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
