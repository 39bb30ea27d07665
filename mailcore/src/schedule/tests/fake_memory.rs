//! A store's state and events in memory, just enough for a scheduler.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::batch::{Batch, Receipt, StateChange};
use crate::event::Event;
use crate::schedule::JobMemory;
use crate::seams::{Commit, CommitError, Stage, State, StateKey, StateValue, StoreError};

#[derive(Debug, Default)]
pub(super) struct FakeMemory {
    values: Mutex<HashMap<StateKey, Vec<u8>>>,
    events: Mutex<Vec<Event>>,
    /// Takes no changes.
    pub(super) full: AtomicBool,
}

impl FakeMemory {
    pub(super) fn seams(self: &Arc<Self>) -> JobMemory {
        JobMemory {
            state: self.clone(),
            commit: self.clone(),
        }
    }

    /// The events so far: what happened to which job, and what was said.
    pub(super) fn told(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let told = events.iter().map(|event| {
            let said = event.field("result").or(event.field("error")).unwrap();
            format!(
                "{} {}: {said}",
                event.name.as_str(),
                event.field("job").unwrap()
            )
        });
        told.collect()
    }
}

#[async_trait]
impl State for FakeMemory {
    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError> {
        let value = self.values.lock().unwrap().get(key).cloned();
        Ok(value.map(|value| StateValue {
            value,
            version: 1,
            expires: None,
        }))
    }

    async fn change(&self, _: Vec<StateChange>) -> Result<Vec<Option<StateValue>>, StoreError> {
        Err(StoreError::Unsupported("changes by themselves"))
    }

    async fn scan(
        &self,
        _: &str,
        _: &str,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<(StateKey, StateValue)>, StoreError> {
        Err(StoreError::Unsupported("scans"))
    }
}

#[async_trait]
impl Commit for FakeMemory {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(StoreError::DiskFull.into());
        }
        for change in batch.state {
            let StateChange::Put { key, value, .. } = change else {
                return Err(StoreError::Unsupported("other changes").into());
            };
            self.values.lock().unwrap().insert(key, value);
        }
        self.events.lock().unwrap().extend(batch.events);
        Ok(Receipt::default())
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        Err(StoreError::Unsupported("staging"))
    }
}
