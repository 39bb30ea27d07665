//! Copies of mail that is done with, for those who look it up.

use super::QueueRunner;
use crate::batch::{AfterUpdate, Batch, SpoolChange};
use crate::queue::{EntryState, QueueId, QueueProgress};
use crate::seams::{Commit, CommitError, Spool};
use crate::time::Timestamp;

/// Copies removed by one batch.
const REMOVED_AT_ONCE: usize = 500;

impl QueueRunner {
    /// What becomes of an entry that nothing is left of.
    pub(super) fn done_with(&self, id: QueueId, progress: QueueProgress) -> SpoolChange {
        let Some(keep_for) = self.config.keep_delivered else {
            return SpoolChange::Remove { id };
        };
        let until = self.seams.clock.now().after(keep_for);
        SpoolChange::Update {
            id,
            progress: progress.in_state(EntryState::Kept { until }),
            lease: AfterUpdate::EndLease,
        }
    }
}

/// Removes some of the copies whose time was over at `now`; how many. What they
/// held of the store is freed by the store's own upkeep.
///
/// # Errors
/// [`CommitError`] when the store fails.
pub async fn remove_outlived(
    spool: &dyn Spool,
    commit: &dyn Commit,
    now: Timestamp,
) -> Result<usize, CommitError> {
    let outlived = spool.outlived(now, REMOVED_AT_ONCE).await?;
    let count = outlived.len();
    if count > 0 {
        let removed = outlived.into_iter().map(|id| SpoolChange::Remove { id });
        let batch = Batch {
            spool: removed.collect(),
            ..Batch::default()
        };
        commit.commit(batch).await?;
    }
    Ok(count)
}
