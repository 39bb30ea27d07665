//! Attempts that end in a panic: they are counted, and an entry that breaks one
//! after the other is taken out of the way of all other mail.

use std::time::Duration;

use super::QueueRunner;
use crate::batch::{AfterUpdate, Batch, Precondition, SpoolChange};
use crate::queue::{EntryState, EntryStateKind, QueueId, QueueProgress};
use crate::seams::{CommitError, Lease};

/// Attempts that may end in a panic one after the other.
pub(super) const MOST_BROKEN: u32 = 5;
/// Why such an entry waits for an operator.
pub(super) const BREAKS: &str = "each of the last attempts ended in an error of this program";

impl QueueRunner {
    /// The state of an entry that an operator has to decide on.
    pub(super) fn bad(&self, reason: &str) -> EntryState {
        EntryState::Bad {
            reason: reason.to_owned(),
            until: self.seams.clock.now().after(self.config.keep_bad),
        }
    }

    /// Counts an attempt that panicked outside of its agents, and has the entry
    /// wait its turn. What the attempt wrote down stays.
    ///
    /// # Errors
    /// [`CommitError`]: the entry waits for its lease to end.
    pub(super) async fn count_broken(&self, id: QueueId, lease: Lease) -> Result<(), CommitError> {
        let now = self.seams.clock.now();
        let entry = self.seams.spool.entry(id).await?;
        let waits = |kind| kind == EntryStateKind::Waiting;
        let Some(entry) = entry.filter(|entry| waits(entry.progress.state.kind())) else {
            return Ok(());
        };
        let progress = &entry.progress;
        let (attempts, broken) = (
            progress.attempts.saturating_add(1),
            progress.broken.saturating_add(1),
        );
        // Not by the schedule alone: an entry at its end would break at once.
        let pause = now.after(Duration::from_secs(60));
        let schedule = &self.config.schedule;
        let next = schedule.next_attempt(now, attempts, progress.expires_at);
        let progress = QueueProgress {
            attempts,
            broken,
            next_attempt: next.max(pause),
            state: match broken >= MOST_BROKEN {
                true => self.bad(BREAKS),
                false => EntryState::Waiting,
            },
            ..progress.clone()
        };
        let batch = Batch {
            preconditions: vec![Precondition::LeaseHeld { id, lease }],
            spool: vec![SpoolChange::Update {
                id,
                progress,
                lease: AfterUpdate::EndLease,
            }],
            ..Batch::default()
        };
        self.seams.commit.commit(batch).await.map(drop)
    }
}
