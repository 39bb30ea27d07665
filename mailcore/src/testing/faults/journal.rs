//! [`FaultyJournal`]: a journal that fails or hangs, and catches up later.

use std::sync::Arc;

use async_trait::async_trait;

use super::FaultPlan;
use super::rules::{Rules, planned};
use crate::event::{EventCursor, StoredEvent};
use crate::seams::{Journal, JournalError, JournalPage, JournalQuery, JournalRetention, Purged};
use crate::time::Timestamp;

/// What can be wrong with a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalFault {
    /// It fails; nothing was done.
    Unavailable,
    /// No answer, ever.
    Hangs,
    /// It did what it was asked, and fails all the same.
    LosesAnswer,
}

/// A [`Journal`] by a [`FaultPlan`]. Its subjects are `append`, `cursor`,
/// `query` and `purge`.
#[derive(Debug)]
pub struct FaultyJournal {
    inner: Arc<dyn Journal>,
    rules: Rules<JournalFault>,
}

planned!(FaultyJournal, JournalFault);

impl FaultyJournal {
    pub(super) fn new(plan: FaultPlan, inner: Arc<dyn Journal>) -> Self {
        Self {
            inner,
            rules: Rules::new(plan, "journal"),
        }
    }

    async fn meet<T>(
        &self,
        subject: &str,
        call: impl Future<Output = Result<T, JournalError>>,
    ) -> Result<T, JournalError> {
        let failed = || Err(JournalError("put in by the test".to_owned()));
        match self.rules.strike(subject) {
            None => call.await,
            Some(JournalFault::Unavailable) => failed(),
            Some(JournalFault::Hangs) => std::future::pending().await,
            Some(JournalFault::LosesAnswer) => {
                call.await?;
                failed()
            }
        }
    }
}

#[async_trait]
impl Journal for FaultyJournal {
    async fn append(&self, events: &[StoredEvent]) -> Result<(), JournalError> {
        self.meet("append", self.inner.append(events)).await
    }

    async fn cursor(&self) -> Result<EventCursor, JournalError> {
        self.meet("cursor", self.inner.cursor()).await
    }

    async fn query(&self, query: &JournalQuery) -> Result<JournalPage, JournalError> {
        self.meet("query", self.inner.query(query)).await
    }

    async fn purge(
        &self,
        now: Timestamp,
        retention: &JournalRetention,
    ) -> Result<Purged, JournalError> {
        self.meet("purge", self.inner.purge(now, retention)).await
    }
}
