//! The only durable write on the mail path.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use super::StoreError;
use crate::batch::{Batch, Receipt};
use crate::message::Content;

/// Commits batches, all or nothing.
///
/// *Durability*: `Ok` means on stable storage: a 250 may be sent. *Ordering*:
/// a batch is seen by readers as a whole, after every batch that was
/// acknowledged before it. *Cancellation*: dropping the future does not stop a
/// commit that has begun. *Cost*: one sync, shared by all who wait.
#[async_trait]
pub trait Commit: Debug + Send + Sync {
    /// Commits.
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError>;

    /// Begins to stage content that is too large to hold. What is staged and
    /// not committed is swept.
    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError>;

    /// False when new mail of about so many octets should be refused before it
    /// is sent: the store's space runs low, or it takes no changes now. A guess
    /// that costs next to nothing; what is committed all the same has its own
    /// answer.
    fn has_room(&self, octets: u64) -> bool {
        let _ = octets;
        true
    }
}

/// Content on its way into the store.
#[async_trait]
pub trait Stage: Debug + Send {
    /// Adds octets. May return before they are on disk.
    async fn write(&mut self, octets: Bytes) -> Result<(), StoreError>;

    /// Ends it; the content is on stable storage and may be put in a batch.
    async fn finish(self: Box<Self>) -> Result<Content, StoreError>;
}

/// Why nothing was committed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A precondition did not hold: its place in the batch.
    #[error("precondition {0} does not hold; read again and decide anew")]
    Precondition(usize),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
