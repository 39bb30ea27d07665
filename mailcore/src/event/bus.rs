//! The outbox as a Rust stream of events.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::{EventCursor, StoredEvent};
use crate::seams::{Outbox, StoreError};

/// Events read at a time.
const PAGE: usize = 256;

/// Reads an [`Outbox`] from a cursor on, waiting for more when it has read all.
/// Holds at most one page of events.
#[derive(Debug)]
pub struct EventStream {
    outbox: Arc<dyn Outbox>,
    page: VecDeque<StoredEvent>,
    cursor: EventCursor,
}

impl EventStream {
    /// Events after `cursor`.
    pub fn after(outbox: Arc<dyn Outbox>, cursor: EventCursor) -> Self {
        Self {
            outbox,
            page: VecDeque::new(),
            cursor,
        }
    }

    /// Events already read from the store: [`EventStream::next`] gives so many
    /// without asking it.
    pub fn buffered(&self) -> usize {
        self.page.len()
    }

    /// The next event; waits until there is one. `None` when the store is gone.
    /// Cancel-safe: an event is lost to no one when this future is dropped.
    ///
    /// # Errors
    /// What the store reports; the next call tries again.
    pub async fn next(&mut self) -> Option<Result<StoredEvent, StoreError>> {
        let mut newest = self.outbox.watch();
        loop {
            if let Some(event) = self.page.pop_front() {
                self.cursor = event.cursor;
                return Some(Ok(event));
            }
            newest.borrow_and_update();
            match self.outbox.read(self.cursor, PAGE).await {
                Err(error) => return Some(Err(error)),
                Ok(events) if events.is_empty() => newest.changed().await.ok()?,
                Ok(events) => self.page = events.into(),
            }
        }
    }
}
