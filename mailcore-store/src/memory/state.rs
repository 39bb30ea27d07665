//! Keys and values with expiry.

use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;
use mailcore::batch::StateChange;
use mailcore::seams::{State, StateKey, StateValue, StoreError};
use mailcore::time::Timestamp;

use super::MemoryStore;

/// Octets allowed in a key ([`StateKey::key`]).
const MAX_KEY: usize = 512;
/// Octets allowed in a value.
const MAX_VALUE: usize = 1 << 20;

/// The values, in key order.
pub(super) struct StateTable {
    values: BTreeMap<StateKey, StateValue>,
    /// Versions come from one counter, so that a key that was removed and set
    /// again never has a version it had before.
    last_version: u64,
    changes_since_sweep: usize,
    limit: usize,
}

impl StateTable {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            values: BTreeMap::new(),
            last_version: 0,
            changes_since_sweep: 0,
            limit,
        }
    }

    pub(super) fn read(&self, key: &StateKey, now: Timestamp) -> Option<&StateValue> {
        self.values.get(key).filter(|value| is_live(value, now))
    }

    /// Whether all of `changes` can be applied.
    pub(super) fn check(&self, changes: &[StateChange]) -> Result<(), StoreError> {
        for change in changes {
            let (key, value) = match change {
                StateChange::Put { key, value, .. } => (key, value.len()),
                StateChange::Remove { key } | StateChange::Add { key, .. } => (key, 0),
            };
            if key.key.len() > MAX_KEY || key.namespace.len() > MAX_KEY {
                return Err(StoreError::Limit("a state key has at most 512 octets"));
            }
            if value > MAX_VALUE {
                return Err(StoreError::TooLarge {
                    limit: MAX_VALUE as u64,
                });
            }
        }
        if !changes.is_empty() && self.values.len() + changes.len() > self.limit {
            return Err(StoreError::Limit("keys in the state"));
        }
        Ok(())
    }

    /// Applies checked changes; the values after them.
    pub(super) fn apply(
        &mut self,
        changes: Vec<StateChange>,
        now: Timestamp,
    ) -> Vec<Option<StateValue>> {
        self.sweep(changes.len(), now);
        changes
            .into_iter()
            .map(|change| self.apply_one(change, now))
            .collect()
    }

    fn apply_one(&mut self, change: StateChange, now: Timestamp) -> Option<StateValue> {
        let (key, value, expires) = match change {
            StateChange::Remove { key } => {
                self.values.remove(&key);
                return None;
            }
            StateChange::Put {
                key,
                value,
                expires,
            } => (key, value, expires),
            StateChange::Add {
                key,
                amount,
                expires,
            } => {
                let old = self.read(&key, now);
                let sum = old
                    .and_then(StateValue::counter)
                    .unwrap_or(0)
                    .saturating_add(amount);
                let expires = old.map_or(expires, |old| old.expires);
                (key, sum.to_be_bytes().to_vec(), expires)
            }
        };
        self.last_version += 1;
        let value = StateValue {
            value,
            version: self.last_version,
            expires,
        };
        self.values.insert(key, value.clone());
        Some(value)
    }

    /// Drops expired values once as many changes were made as there are
    /// values, so that the cost of a sweep is spread over them.
    fn sweep(&mut self, changes: usize, now: Timestamp) {
        self.changes_since_sweep += changes;
        if self.changes_since_sweep > self.values.len() {
            self.values.retain(|_, value| is_live(value, now));
            self.changes_since_sweep = 0;
        }
    }

    fn scan(
        &self,
        range: &ScanRange<'_>,
        limit: usize,
        now: Timestamp,
    ) -> Vec<(StateKey, StateValue)> {
        let start = match range.after {
            Some(after) if after >= range.prefix => {
                Bound::Excluded(StateKey::new(range.namespace, after))
            }
            _ => Bound::Included(StateKey::new(range.namespace, range.prefix)),
        };
        self.values
            .range((start, Bound::Unbounded))
            .take_while(|(key, _)| {
                *key.namespace == *range.namespace && key.key.starts_with(range.prefix)
            })
            .filter(|(_, value)| is_live(value, now))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

struct ScanRange<'a> {
    namespace: &'a str,
    prefix: &'a str,
    after: Option<&'a str>,
}

fn is_live(value: &StateValue, now: Timestamp) -> bool {
    value.expires.is_none_or(|expires| expires > now)
}

#[async_trait]
impl State for MemoryStore {
    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError> {
        Ok(self
            .shared
            .locked(|core, moment| core.state.read(key, moment.now).cloned()))
    }

    async fn change(
        &self,
        changes: Vec<StateChange>,
    ) -> Result<Vec<Option<StateValue>>, StoreError> {
        self.shared.locked(|core, moment| {
            core.state.check(&changes)?;
            Ok(core.state.apply(changes, moment.now))
        })
    }

    async fn scan(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StateKey, StateValue)>, StoreError> {
        let range = ScanRange {
            namespace,
            prefix,
            after,
        };
        Ok(self
            .shared
            .locked(|core, moment| core.state.scan(&range, limit, moment.now)))
    }
}
