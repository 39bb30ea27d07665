//! The outbox: a ring of the last events.

use std::collections::VecDeque;

use async_trait::async_trait;
use mailcore::event::{Event, EventCursor, EventId, EventName, StoredEvent};
use mailcore::seams::{Outbox, StoreError};
use tokio::sync::watch;

use super::MemoryStore;

/// The last events, oldest first.
pub(super) struct EventLog {
    kept: VecDeque<StoredEvent>,
    newest: EventCursor,
    /// The last event dropped to make room.
    dropped: Option<StoredEvent>,
    limit: usize,
}

impl EventLog {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            newest: EventCursor::default(),
            dropped: None,
            limit,
        }
    }

    pub(super) fn newest(&self) -> EventCursor {
        self.newest
    }

    pub(super) fn push(&mut self, event: Event) {
        self.newest = EventCursor(self.newest.0 + 1);
        self.kept.push_back(StoredEvent {
            cursor: self.newest,
            event,
        });
        while self.kept.len() > self.limit {
            self.dropped = self.kept.pop_front();
        }
    }

    fn read(&self, after: EventCursor, limit: usize) -> Vec<StoredEvent> {
        let gap = self.dropped.iter().filter(|last| last.cursor > after);
        let start = self.kept.partition_point(|event| event.cursor <= after);
        gap.map(gap_up_to)
            .chain(self.kept.range(start..).cloned())
            .take(limit)
            .collect()
    }
}

/// Stands for all events up to the last one dropped. Its identity is that
/// event's, so that the same gap read twice is the same event.
fn gap_up_to(last: &StoredEvent) -> StoredEvent {
    StoredEvent {
        cursor: last.cursor,
        event: Event {
            id: EventId(last.event.id.0),
            at: last.event.at,
            name: EventName::Gap,
            trace: None,
            account: None,
            fields: Vec::new(),
        },
    }
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn read(&self, after: EventCursor, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        Ok(self.shared.locked(|core, _| core.events.read(after, limit)))
    }

    fn watch(&self) -> watch::Receiver<EventCursor> {
        self.shared.newest_event.subscribe()
    }
}
