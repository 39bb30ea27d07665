//! Wall clocks that are set back. What was put off by a clock that was ahead
//! would wait for as long as that was.

use std::time::Duration;

use super::QueueRunner;
use crate::batch::{AfterUpdate, Batch, SpoolChange};
use crate::queue::{EntryState, QueueProgress};
use crate::seams::CommitError;
use crate::time::{Monotonic, Timestamp};

/// A wall clock that is behind by less is left to run.
const TOLERATED: Duration = Duration::from_secs(60);
/// Entries looked at at most.
const MOST: usize = 1_000_000;
/// Entries changed by one batch.
const AT_ONCE: usize = 500;

/// Tells when wall time went back, by steady time.
#[derive(Debug)]
pub(super) struct Pace {
    wall: Timestamp,
    steady: Monotonic,
}

impl Pace {
    pub(super) fn new(wall: Timestamp, steady: Monotonic) -> Self {
        Self { wall, steady }
    }

    /// True when wall time went back since it was last asked.
    pub(super) fn went_back(&mut self, wall: Timestamp, steady: Monotonic) -> bool {
        let expected = self.wall.after(steady.since(self.steady));
        *self = Self { wall, steady };
        expected.since(wall) > TOLERATED
    }
}

impl QueueRunner {
    /// Has those entries tried now that wait longer than any wait of the
    /// schedule or of a destination, and longer than their sender asked for.
    ///
    /// # Errors
    /// [`CommitError`].
    pub(super) async fn end_false_waits(&self) -> Result<(), CommitError> {
        let longest = self
            .config
            .schedule
            .longest_wait()
            .max(self.config.destinations.longest_pause * 2);
        let now = self.seams.clock.now();
        let farthest = now.after(longest.saturating_add(TOLERATED));
        let mut ended = 0;
        let found = self.seams.spool.due_after(farthest, MOST).await?;
        for ids in found.chunks(AT_ONCE) {
            // Held to the end: none of them is taken up before it is changed.
            let active = self.active.lock().await;
            let mut batch = Batch::default();
            for id in ids.iter().filter(|id| !active.contains(id)) {
                let Some(entry) = self.seams.spool.entry(*id).await? else {
                    continue;
                };
                let asked = entry.params.hold_until.is_some_and(|until| until > now);
                if asked || entry.progress.state != EntryState::Waiting {
                    continue;
                }
                ended += 1;
                batch.spool.push(SpoolChange::Update {
                    id: *id,
                    progress: QueueProgress {
                        next_attempt: now,
                        ..entry.progress.clone()
                    },
                    lease: AfterUpdate::EndLease,
                });
            }
            if !batch.spool.is_empty() {
                self.seams.commit.commit(batch).await?;
            }
        }
        if ended > 0 {
            tracing::warn!(
                entries = ended,
                "the clock was ahead when these entries were put off; they are tried now"
            );
        }
        Ok(())
    }
}
