//! Removing what has had its time at once, for whoever does that at set times:
//! the writer does it a step at a time while there is work, and not at all while
//! nobody writes.

use mailcore::seams::{CommitError, StoreError};

use super::sequencer::Refusal;
use super::store::EmbeddedStore;

impl EmbeddedStore {
    /// Removes everything that [`Retention`](super::Retention) keeps no longer:
    /// expired state, old events and deliveries, messages that can't be brought
    /// back any more. What they took in the log is for
    /// [`EmbeddedStore::compact`]. Others' changes go in between.
    ///
    /// # Errors
    /// When the index cannot be written; what was removed before stays so.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        self.shared.health.may_change()?;
        let keep = self.retention;
        loop {
            let step = self.shared.submit(move |sequencer| {
                let now = sequencer.now;
                sequencer
                    .index
                    .tidy_step(now, &keep)
                    .map_err(Refusal::Index)
            });
            let more = step.await.map_err(|error| match error {
                CommitError::Store(error) => error,
                _ => StoreError::Unavailable("the store could not be tidied"),
            })?;
            if !more {
                return Ok(());
            }
        }
    }
}
