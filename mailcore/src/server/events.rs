//! A running server's events: reading them, and raising the host's own.

use std::sync::Arc;

use super::RunningServer;
use crate::batch::Batch;
use crate::event::{
    EventCursor, EventFilter, EventId, EventStream, HostEvent, RaiseError, StartAt, SubscribeError,
    Subscription, SubscriptionSeams,
};

impl RunningServer {
    /// Events after `cursor`; `None` without a store.
    pub fn events(&self, cursor: EventCursor) -> Option<EventStream> {
        let stores = self.parts().stores?;
        Some(EventStream::after(stores.outbox, cursor))
    }

    /// The cursor after the newest event.
    pub fn event_cursor(&self) -> EventCursor {
        self.parts()
            .stores
            .map(|stores| *stores.outbox.watch().borrow())
            .unwrap_or_default()
    }

    /// Reads events under a name: the store keeps the reader's place, so that it
    /// goes on after a restart. A name is read by one at a time.
    ///
    /// # Errors
    /// [`SubscribeError`].
    pub async fn subscribe(
        &self,
        name: &str,
        filter: EventFilter,
        start: StartAt,
    ) -> Result<Subscription, SubscribeError> {
        let parts = self.parts();
        let stores = parts.stores.as_ref().ok_or(SubscribeError::NoStore)?;
        let held = parts.holds.take(&format!("events {name}"));
        let hold = held.ok_or_else(|| SubscribeError::Open(name.to_owned()))?;
        let seams = SubscriptionSeams {
            outbox: Arc::clone(&stores.outbox),
            state: Arc::clone(&stores.state),
            clock: parts.clock(),
        };
        let reader = Subscription::open(name, seams, filter, start).await?;
        Ok(reader.holding(hold))
    }

    /// Raises an event of the host's own: on stable storage when this returns
    /// `Ok`.
    ///
    /// # Errors
    /// [`RaiseError`]: nothing was raised.
    pub async fn raise(&self, event: HostEvent) -> Result<EventId, RaiseError> {
        let parts = self.parts();
        let stores = parts.stores.as_ref().ok_or(RaiseError::NoStore)?;
        let now = parts.clock.now();
        let event = event.raised(parts.entropy.id(now), now)?;
        let id = event.id;
        let batch = Batch {
            events: vec![event],
            ..Batch::default()
        };
        stores.commit.commit(batch).await?;
        Ok(id)
    }

    /// Raises an event of the host's own without waiting: it is kept together
    /// with others a moment later. A crash before that loses it, and so does a
    /// flood of more than are gathered
    /// ([`RecorderConfig::waiting`](crate::event::RecorderConfig::waiting)),
    /// which is counted.
    ///
    /// # Errors
    /// [`RaiseError`].
    pub fn raise_soon(&self, event: HostEvent) -> Result<EventId, RaiseError> {
        let parts = self.parts();
        let recorder = parts.recorder();
        if !recorder.is_kept() {
            return Err(RaiseError::NoStore);
        }
        let now = parts.clock.now();
        let event = event.raised(parts.entropy.id(now), now)?;
        let id = event.id;
        recorder.record(event);
        Ok(id)
    }
}
