//! [`FaultyCommit`]: a store that runs full, fails, and recovers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::FaultPlan;
use super::rules::Rules;
use crate::batch::{Batch, Receipt};
use crate::message::Content;
use crate::seams::{Commit, CommitError, Stage, StoreError};

/// How a change to the store fails. Nothing of it was done then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFault {
    /// No space is left.
    DiskFull,
    /// The store has stopped taking changes.
    ReadOnly,
    /// The store is busy or going down.
    Unavailable,
    /// The disk reports an error.
    Io,
}

impl StoreFault {
    pub(super) fn error(self) -> StoreError {
        match self {
            Self::DiskFull => StoreError::DiskFull,
            Self::ReadOnly => StoreError::ReadOnly("put in by the test".to_owned()),
            Self::Unavailable => StoreError::Unavailable("put in by the test"),
            Self::Io => StoreError::io("writing the log", io::Error::other("put in by the test")),
        }
    }
}

/// A [`Commit`] by a [`FaultPlan`]. Batches that carry mail are counted and
/// struck: those with appends or changes to the queue. Staged content is counted
/// apart.
#[derive(Debug)]
pub struct FaultyCommit {
    inner: Arc<dyn Commit>,
    plan: FaultPlan,
    batches: Rules<StoreFault>,
    stages: Rules<StoreFault>,
    full: AtomicBool,
}

impl FaultyCommit {
    pub(super) fn new(plan: FaultPlan, inner: Arc<dyn Commit>) -> Self {
        Self {
            inner,
            batches: Rules::new(plan.clone(), "commit"),
            stages: Rules::new(plan.clone(), "stage"),
            plan,
            full: AtomicBool::new(false),
        }
    }

    /// The `call`-th batch that carries mail, counted from 1, fails so.
    pub fn at(&self, call: u64, fault: StoreFault) -> &Self {
        self.batches.at(call, fault);
        self
    }

    /// The `call`-th content that is staged, counted from 1, fails so at its
    /// first octets.
    pub fn stage_at(&self, call: u64, fault: StoreFault) -> &Self {
        self.stages.at(call, fault);
        self
    }

    /// Once in so many batches that carry mail fails in one of these ways.
    pub fn sometimes(&self, once_in: u64, faults: &[StoreFault]) -> &Self {
        self.batches.sometimes(once_in, faults);
        self
    }

    /// Fills the disk: it has no room, and nothing is taken, until
    /// [`FaultyCommit::free`].
    pub fn fill(&self) -> &Self {
        self.plan.note("commit", "disk", 0, "full");
        self.full.store(true, Ordering::Relaxed);
        self
    }

    /// Makes room again.
    pub fn free(&self) -> &Self {
        self.plan.note("commit", "disk", 0, "has room again");
        self.full.store(false, Ordering::Relaxed);
        self
    }

    /// True between [`FaultyCommit::fill`] and [`FaultyCommit::free`].
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Commit for FaultyCommit {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        let carries_mail = !batch.appends.is_empty() || !batch.spool.is_empty();
        if self.is_full() && !batch.is_empty() {
            self.plan.stir();
            return Err(StoreError::DiskFull.into());
        }
        if carries_mail && let Some(fault) = self.batches.meet("batch", |_| true) {
            return Err(fault.error().into());
        }
        let receipt = self.inner.commit(batch).await;
        self.plan.stir();
        receipt
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        if self.is_full() {
            return Err(StoreError::DiskFull);
        }
        let fault = self.stages.meet("content", |_| true);
        let inner = self.inner.stage().await?;
        Ok(Box::new(FaultyStage { inner, fault }))
    }

    fn has_room(&self, octets: u64) -> bool {
        !self.is_full() && self.inner.has_room(octets)
    }
}

#[derive(Debug)]
struct FaultyStage {
    inner: Box<dyn Stage>,
    fault: Option<StoreFault>,
}

#[async_trait]
impl Stage for FaultyStage {
    async fn write(&mut self, octets: Bytes) -> Result<(), StoreError> {
        match self.fault {
            Some(fault) => Err(fault.error()),
            None => self.inner.write(octets).await,
        }
    }

    async fn finish(self: Box<Self>) -> Result<Content, StoreError> {
        match self.fault {
            Some(fault) => Err(fault.error()),
            None => self.inner.finish().await,
        }
    }
}
