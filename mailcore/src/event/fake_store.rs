//! A store in memory for the tests of this module: events, state and commits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Event, EventCursor, EventId, EventName, StoredEvent};
use crate::batch::{Batch, Receipt, StateChange};
use crate::seams::{Commit, CommitError, Outbox, Stage, State, StateKey, StateValue, StoreError};
use crate::time::Timestamp;

#[derive(Debug)]
pub(super) struct FakeStore {
    events: Mutex<Vec<StoredEvent>>,
    state: Mutex<BTreeMap<StateKey, Vec<u8>>>,
    newest: watch::Sender<EventCursor>,
    pub(super) fails: AtomicBool,
}

impl FakeStore {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            events: Mutex::default(),
            state: Mutex::default(),
            newest: watch::channel(EventCursor::default()).0,
            fails: AtomicBool::new(false),
        })
    }

    /// Adds an event, whose id is its cursor.
    pub(super) fn raise(&self, name: EventName, at: Timestamp, fields: &[(&str, &str)]) {
        let id = EventId(u128::from(self.newest.borrow().0 + 1));
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        self.push(Event {
            id,
            at,
            name,
            trace: None,
            account: None,
            fields: fields.collect(),
        });
    }

    pub(super) fn push(&self, event: Event) {
        let cursor = EventCursor(self.newest.borrow().0 + 1);
        self.events
            .lock()
            .unwrap()
            .push(StoredEvent { cursor, event });
        self.newest.send_replace(cursor);
    }

    /// All that was raised, by name.
    #[cfg(feature = "http")]
    pub(super) fn names(&self) -> Vec<EventName> {
        let events = self.events.lock().unwrap();
        events.iter().map(|it| it.event.name.clone()).collect()
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.fails.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("a test")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Outbox for FakeStore {
    async fn read(&self, after: EventCursor, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.check()?;
        let events = self.events.lock().unwrap();
        let rest = events.iter().filter(|event| event.cursor > after);
        Ok(rest.take(limit).cloned().collect())
    }

    fn watch(&self) -> watch::Receiver<EventCursor> {
        self.newest.subscribe()
    }
}

#[async_trait]
impl State for FakeStore {
    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError> {
        self.check()?;
        let state = self.state.lock().unwrap();
        Ok(state.get(key).map(|value| StateValue {
            value: value.clone(),
            version: 1,
            expires: None,
        }))
    }

    async fn change(
        &self,
        changes: Vec<StateChange>,
    ) -> Result<Vec<Option<StateValue>>, StoreError> {
        self.check()?;
        let mut state = self.state.lock().unwrap();
        for change in changes {
            match change {
                StateChange::Put { key, value, .. } => drop(state.insert(key, value)),
                StateChange::Remove { key } => drop(state.remove(&key)),
                StateChange::Add { .. } => return Err(StoreError::Unsupported("counters")),
            }
        }
        Ok(Vec::new())
    }

    async fn scan(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StateKey, StateValue)>, StoreError> {
        self.check()?;
        let state = self.state.lock().unwrap();
        let fits = |key: &StateKey| {
            &*key.namespace == namespace
                && key.key.starts_with(prefix)
                && after.is_none_or(|after| &*key.key > after)
        };
        let found = state.iter().filter(|(key, _)| fits(key)).take(limit);
        let value = |value: &Vec<u8>| StateValue {
            value: value.clone(),
            version: 1,
            expires: None,
        };
        Ok(found
            .map(|(key, octets)| (key.clone(), value(octets)))
            .collect())
    }
}

#[async_trait]
impl Commit for FakeStore {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        self.change(batch.state).await?;
        batch.events.into_iter().for_each(|event| self.push(event));
        Ok(Receipt::default())
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        Err(StoreError::Unsupported("stage"))
    }
}
