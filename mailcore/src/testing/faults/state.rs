//! [`FaultyState`]: small values that can't be read or written.

use std::sync::Arc;

use async_trait::async_trait;

use super::rules::{Rules, planned};
use super::{FaultPlan, StoreFault};
use crate::batch::StateChange;
use crate::seams::{State, StateKey, StateValue, StoreError};

/// A [`State`] by a [`FaultPlan`]. Its subjects are namespaces: `greylist`. A
/// call that is struck did nothing. Changes within a batch are
/// [`FaultyCommit`](super::FaultyCommit)'s.
#[derive(Debug)]
pub struct FaultyState {
    inner: Arc<dyn State>,
    rules: Rules<StoreFault>,
}

planned!(FaultyState, StoreFault);

impl FaultyState {
    pub(super) fn new(plan: FaultPlan, inner: Arc<dyn State>) -> Self {
        Self {
            inner,
            rules: Rules::new(plan, "state"),
        }
    }

    fn may_go_on(&self, namespace: &str) -> Result<(), StoreError> {
        match self.rules.strike(namespace) {
            Some(fault) => Err(fault.error()),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl State for FaultyState {
    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    async fn read(&self, key: &StateKey) -> Result<Option<StateValue>, StoreError> {
        self.may_go_on(&key.namespace)?;
        self.inner.read(key).await
    }

    async fn change(
        &self,
        changes: Vec<StateChange>,
    ) -> Result<Vec<Option<StateValue>>, StoreError> {
        let namespace = changes.first().map(|change| match change {
            StateChange::Put { key, .. }
            | StateChange::Remove { key }
            | StateChange::Add { key, .. } => Arc::clone(&key.namespace),
        });
        self.may_go_on(namespace.as_deref().unwrap_or_default())?;
        self.inner.change(changes).await
    }

    async fn scan(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StateKey, StateValue)>, StoreError> {
        self.may_go_on(namespace)?;
        self.inner.scan(namespace, prefix, after, limit).await
    }
}
