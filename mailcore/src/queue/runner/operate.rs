//! What operators do to entries: try now, hold, release, delete, return.

use thiserror::Error;

use super::QueueRunner;
use crate::batch::{AfterUpdate, Batch, SpoolChange};
use crate::event::EventName;
use crate::queue::dsn::{ReportedAction, ReportedRecipient};
use crate::queue::{EntryState, EntryStateKind, QueueEntry, QueueId, QueueProgress};
use crate::seams::{CommitError, StoreError};
use crate::status::{Failure, Status};

/// A change that an operator makes to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Try at once. An entry on hold stays so.
    Retry,
    /// Keep it from being tried.
    Hold,
    /// Let it be tried again, at once.
    Release,
    /// Give it up and tell the sender.
    Bounce,
    /// Remove it without a word.
    Delete,
}

/// Why an operation was not done.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum OperateError {
    /// There is no such entry: it was delivered or given up.
    #[error("there is no such entry in the queue; list the queue again")]
    NotFound,
    /// An attempt is running; its outcome must not be lost.
    #[error("a delivery attempt is running; try again when it has ended")]
    Running,
    /// The store failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<StoreError> for OperateError {
    fn from(error: StoreError) -> Self {
        Self::Commit(error.into())
    }
}

impl QueueRunner {
    /// Sets the next attempt of an entry to now.
    ///
    /// # Errors
    /// [`OperateError`].
    pub async fn retry_now(&self, id: QueueId) -> Result<(), OperateError> {
        self.operate(id, Operation::Retry).await
    }

    /// Does `operation` to an entry that no attempt is running for.
    ///
    /// # Errors
    /// [`OperateError`].
    pub async fn operate(&self, id: QueueId, operation: Operation) -> Result<(), OperateError> {
        // Held to the end: no attempt starts between the look and the change,
        // so the change cannot end the lease of one.
        let active = self.active.lock().await;
        if active.contains(&id) {
            return Err(OperateError::Running);
        }
        let entry = self.seams.spool.entry(id).await?;
        // A kept copy is no mail on its way: there is nothing to do with it here.
        let entry = entry
            .filter(|entry| entry.progress.state.kind() != EntryStateKind::Kept)
            .ok_or(OperateError::NotFound)?;
        let batch = self.operation(&entry, operation).await;
        self.seams.commit.commit(batch).await?;
        drop(active);
        Ok(())
    }

    async fn operation(&self, entry: &QueueEntry, operation: Operation) -> Batch {
        let id = entry.id;
        let now = self.seams.clock.now();
        let mut batch = Batch::default();
        let update = |next_attempt, state| SpoolChange::Update {
            id,
            progress: QueueProgress {
                next_attempt,
                state,
                ..entry.progress.clone()
            },
            lease: AfterUpdate::EndLease,
        };
        let state = entry.progress.state.clone();
        batch.spool.push(match operation {
            Operation::Retry => match state {
                EntryState::Held => update(now, EntryState::Held),
                _ => update(now, EntryState::Waiting),
            },
            Operation::Hold => update(entry.progress.next_attempt, EntryState::Held),
            Operation::Release => update(now, EntryState::Waiting),
            Operation::Bounce | Operation::Delete => SpoolChange::Remove { id },
        });
        match operation {
            Operation::Bounce => self.return_to_sender(entry, &mut batch).await,
            Operation::Delete => self.tell_removed(entry, &mut batch),
            _ => {}
        }
        batch
    }

    /// The sender hears nothing of it; who asks the log does.
    fn tell_removed(&self, entry: &QueueEntry, batch: &mut Batch) {
        let status = Status::permanent(7, 0, "removed by the server's administrator");
        for queued in &entry.progress.recipients {
            let failure = Some(Failure::local(status.clone()));
            let name = EventName::RecipientFailed;
            let event = self.recipient_event(entry, name, &queued.recipient, failure);
            batch.events.push(event);
        }
    }

    async fn return_to_sender(&self, entry: &QueueEntry, batch: &mut Batch) {
        let status = Status::permanent(7, 0, "returned by the server's administrator");
        let mut told = Vec::new();
        for queued in &entry.progress.recipients {
            let failure = Failure::local(status.clone());
            let recipient = queued.recipient.clone();
            let name = EventName::RecipientFailed;
            let event = self.recipient_event(entry, name, &recipient, Some(failure.clone()));
            batch.events.push(event);
            if recipient.notify.failure {
                let action = ReportedAction::Failed;
                told.push(ReportedRecipient::unreached(recipient, action, failure));
            }
        }
        self.tell(entry, told, batch).await;
    }
}
