//! Namespaced keys and values with expiry: greylist, bans, tokens, caches.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::StoreError;
use crate::batch::StateChange;
use crate::time::Timestamp;

/// Small values that components remember, implemented by every store.
///
/// *Durability*: a change alone, or within a [`Batch`](crate::batch::Batch),
/// is durable when it returns. *Expiry* is by the store's clock: an expired
/// value is never returned. *Cost*: a read is a lookup.
#[async_trait]
pub trait State: Debug + Send + Sync {
    /// True when others change it, too, from processes of their own: who
    /// remembers what it read then looks again now and then.
    fn is_shared(&self) -> bool {
        false
    }

    /// The value of a key.
    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError>;

    /// Applies changes, all or none; the values after them, in order. Compare
    /// and set is [`Precondition::StateIs`](crate::batch::Precondition) in a
    /// batch.
    async fn change(
        &self,
        changes: Vec<StateChange>,
    ) -> Result<Vec<Option<StateValue>>, StoreError>;

    /// Up to `limit` entries of a namespace whose key starts with `prefix`,
    /// in key order, after `after`.
    async fn scan(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StateKey, StateValue)>, StoreError>;
}

/// A component's namespace and its key in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateKey {
    /// `greylist`, `ban`, `vacation`, ...
    pub namespace: Arc<str>,
    /// Any text up to 512 octets.
    pub key: Arc<str>,
}

impl StateKey {
    /// A key.
    pub fn new(namespace: &str, key: &str) -> Self {
        Self {
            namespace: namespace.into(),
            key: key.into(),
        }
    }
}

/// A value as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateValue {
    /// The octets.
    pub value: Vec<u8>,
    /// Grows with each change of the key.
    pub version: u64,
    /// When it vanishes.
    pub expires: Option<Timestamp>,
}

impl StateValue {
    /// The value as a counter, when it has the form of one.
    pub fn counter(&self) -> Option<i64> {
        self.value
            .as_slice()
            .try_into()
            .ok()
            .map(i64::from_be_bytes)
    }
}
