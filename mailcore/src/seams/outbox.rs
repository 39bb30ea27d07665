//! Events as they were committed, readable again from any cursor that is still
//! kept.

use std::fmt::Debug;

use async_trait::async_trait;
use tokio::sync::watch;

use super::StoreError;
use crate::event::{EventCursor, StoredEvent};

/// The event log of a store.
///
/// Events stand in commit order and are read at least once: a consumer keeps
/// its own cursor and recognises repeats by [`Event::id`](crate::event::Event).
#[async_trait]
pub trait Outbox: Debug + Send + Sync {
    /// Up to `limit` events after `cursor`, oldest first. Where older ones were
    /// dropped by age or size, the first is a
    /// [`Gap`](crate::event::EventName::Gap).
    async fn read(&self, after: EventCursor, limit: usize) -> Result<Vec<StoredEvent>, StoreError>;

    /// The cursor of the newest event; changes when more are committed.
    fn watch(&self) -> watch::Receiver<EventCursor>;
}
