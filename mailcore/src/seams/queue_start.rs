//! Asking the queue to try mail now.

use std::fmt::Debug;

use async_trait::async_trait;

use super::StoreError;
use crate::address::Domain;

/// The queue, as one who waits for its mail sees it (ETRN, RFC 1985).
#[async_trait]
pub trait QueueStart: Debug + Send + Sync {
    /// Makes the mail that waits for `domain` due now, and says how many
    /// messages that is. Does not wait for the attempts.
    async fn start(&self, domain: &Domain) -> Result<u64, StoreError>;

    /// False when nobody has worked on the queue for minutes, though somebody
    /// should: it stands still, or can't be read.
    fn is_at_work(&self) -> bool {
        true
    }
}
