//! A state in memory, for tests.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use mailcore::batch::StateChange;
use mailcore::seams::{State, StateKey, StateValue, StoreError};

#[derive(Debug, Default)]
pub(super) struct FakeState(Mutex<BTreeMap<StateKey, Vec<u8>>>);

impl FakeState {
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

fn shown(octets: &[u8]) -> StateValue {
    StateValue {
        value: octets.to_vec(),
        version: 1,
        expires: None,
    }
}

#[async_trait]
impl State for FakeState {
    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError> {
        Ok(self.0.lock().unwrap().get(key).map(|value| shown(value)))
    }

    async fn change(
        &self,
        changes: Vec<StateChange>,
    ) -> Result<Vec<Option<StateValue>>, StoreError> {
        let mut state = self.0.lock().unwrap();
        let mut after = Vec::new();
        for change in changes {
            match change {
                StateChange::Put { key, value, .. } => {
                    after.push(Some(shown(&value)));
                    state.insert(key, value);
                }
                StateChange::Remove { key } => {
                    after.push(None);
                    state.remove(&key);
                }
                StateChange::Add { key, amount, .. } => {
                    let old = state.get(&key).map(|value| shown(value));
                    let sum = old.and_then(|it| it.counter()).unwrap_or(0) + amount;
                    let sum = sum.to_be_bytes().to_vec();
                    after.push(Some(shown(&sum)));
                    state.insert(key, sum);
                }
            }
        }
        Ok(after)
    }

    async fn scan(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StateKey, StateValue)>, StoreError> {
        let state = self.0.lock().unwrap();
        let fits = |key: &StateKey| {
            &*key.namespace == namespace
                && key.key.starts_with(prefix)
                && after.is_none_or(|after| &*key.key > after)
        };
        let found = state.iter().filter(|(key, _)| fits(key)).take(limit);
        Ok(found
            .map(|(key, value)| (key.clone(), shown(value)))
            .collect())
    }
}
