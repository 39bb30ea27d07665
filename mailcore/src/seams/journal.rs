//! The record of what happened, for people to ask: message log, sessions,
//! statistics.

use std::fmt::Debug;

use async_trait::async_trait;
use thiserror::Error;

use crate::event::{EventName, StoredEvent, TraceId};
use crate::time::Timestamp;

/// Keeps events beyond the outbox's life, queryable. Fed from the outbox by
/// cursor; appending an event twice keeps it once (by its id).
#[async_trait]
pub trait Journal: Debug + Send + Sync {
    /// Adds events.
    async fn append(&self, events: &[StoredEvent]) -> Result<(), JournalError>;

    /// Events that fit, newest first.
    async fn query(&self, query: &JournalQuery) -> Result<Vec<StoredEvent>, JournalError>;
}

/// Which events to read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalQuery {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// About this message.
    pub trace: Option<TraceId>,
    /// Of this name.
    pub name: Option<EventName>,
    /// At most so many.
    pub limit: usize,
}

impl Default for JournalQuery {
    fn default() -> Self {
        Self {
            from: None,
            until: None,
            trace: None,
            name: None,
            limit: 100,
        }
    }
}

/// The journal failed; mail goes on without it.
#[derive(Debug, Clone, Error)]
#[error("the journal is not available: {0}")]
pub struct JournalError(pub String);
