//! [`State`] and [`Outbox`]: small values, and events in commit order.

use async_trait::async_trait;
use mailcore::batch::StateChange;
use mailcore::event::{Event, EventCursor, EventId, EventName, StoredEvent};
use mailcore::seams::{CommitError, Outbox, State, StateKey, StateValue, StoreError};
use tokio::sync::watch;

use super::index::read::{self, StateRange};
use super::store::EmbeddedStore;

#[async_trait]
impl State for EmbeddedStore {
    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError> {
        if !self.shared.namespaces.may_hold(&key.namespace) {
            return Ok(None);
        }
        let (key, now) = (key.clone(), self.shared.clock.now());
        self.shared
            .read(move |conn, _| read::state(conn, &key.namespace, &key.key, now))
            .await
    }

    async fn change(
        &self,
        changes: Vec<StateChange>,
    ) -> Result<Vec<Option<StateValue>>, StoreError> {
        let done = self
            .shared
            .submit(move |sequencer| sequencer.change_states(&changes))
            .await;
        done.map_err(|error| match error {
            CommitError::Store(error) => error,
            _ => StoreError::Unavailable("the change was refused"),
        })
    }

    async fn scan(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StateKey, StateValue)>, StoreError> {
        let (namespace, prefix, after) = (
            namespace.to_owned(),
            prefix.to_owned(),
            after.map(str::to_owned),
        );
        let now = self.shared.clock.now();
        self.shared
            .read(move |conn, _| {
                let range = StateRange {
                    namespace: &namespace,
                    prefix: &prefix,
                    after: after.as_deref(),
                    limit,
                };
                let found = read::state_scan(conn, &range, now)?;
                Ok(found
                    .into_iter()
                    .map(|(key, value)| (StateKey::new(&namespace, &key), value))
                    .collect())
            })
            .await
    }
}

#[async_trait]
impl Outbox for EmbeddedStore {
    async fn read(&self, after: EventCursor, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let (number, now) = (self.shared.number, self.shared.clock.now());
        let newest = self.shared.newest_event.borrow().0;
        self.shared
            .read(move |conn, _| {
                let mut events = read::events(conn, after, limit)?;
                // With none left, all up to the newest are gone.
                let first = read::first_event(conn)?.unwrap_or(newest.saturating_add(1));
                if first > after.0.saturating_add(1) && limit > 0 {
                    let before = EventCursor(first.saturating_sub(1));
                    let event = Event {
                        id: EventId(u128::from(number) << 64 | u128::from(before.0)),
                        at: now,
                        name: EventName::Gap,
                        trace: None,
                        account: None,
                        fields: Vec::new(),
                    };
                    events.truncate(limit - 1);
                    events.insert(
                        0,
                        StoredEvent {
                            cursor: before,
                            event,
                        },
                    );
                }
                Ok(events)
            })
            .await
    }

    fn watch(&self) -> watch::Receiver<EventCursor> {
        self.shared.newest_event.subscribe()
    }
}
