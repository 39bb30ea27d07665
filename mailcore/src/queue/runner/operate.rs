//! What operators do to entries: try now, hold, release, delete, return, send
//! elsewhere or once more.

use std::collections::HashSet;
use std::sync::Arc;

use thiserror::Error;

use super::QueueRunner;
use crate::address::{Address, Domain};
use crate::batch::{AfterUpdate, Batch, SpoolChange};
use crate::envelope::{Notify, OriginalRecipient, Recipient};
use crate::event::{EventName, TraceId};
use crate::intake::tell::named;
use crate::queue::dsn::{ReportedAction, ReportedRecipient};
use crate::queue::{
    EntryState, EntryStateKind, QueueEntry, QueueId, QueueProgress, QueueRecipient,
};
use crate::seams::{CommitError, NextHop, Route, RouteQuery, StoreError};
use crate::status::{Failure, Status};

/// A change that an operator makes to an entry. Kept copies are not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Try at once. An entry on hold stays so; a bad one gets another chance.
    Retry,
    /// Keep it from being tried.
    Hold,
    /// Let it be tried again, at once.
    Release,
    /// Give it up and tell the sender.
    Bounce,
    /// The same in words of the operator's own.
    Return {
        /// Why, for the sender.
        reason: String,
    },
    /// Remove it without a word.
    Delete,
    /// Send it to another address, at once.
    Reroute {
        /// Which recipient; `None` for all.
        from: Option<Address>,
        /// Where it goes instead.
        to: Address,
    },
}

/// What came of an operation on several entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Operated {
    /// Changed.
    pub changed: usize,
    /// Left alone, since an attempt is running.
    pub running: usize,
    /// Not there any more.
    pub gone: usize,
}

/// Entries changed by one batch.
const AT_ONCE: usize = 200;
/// Recipients of the entries in one batch, from which on another one is begun:
/// a store takes no batch of any size.
const RECIPIENTS_AT_ONCE: usize = 3_000;

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
        match self.operate_all(&[id], &operation).await? {
            Operated { running: 1, .. } => Err(OperateError::Running),
            Operated { gone: 1, .. } => Err(OperateError::NotFound),
            _ => Ok(()),
        }
    }

    /// Does `operation` to those of some entries that no attempt is running for.
    /// When it fails, those before are changed.
    ///
    /// # Errors
    /// [`OperateError`], when the store failed.
    pub async fn operate_all(
        &self,
        ids: &[QueueId],
        operation: &Operation,
    ) -> Result<Operated, OperateError> {
        let mut operated = Operated::default();
        let mut forgiven = HashSet::new();
        for ids in ids.chunks(AT_ONCE) {
            // Held to the end: no attempt starts between the look and the change,
            // so the change cannot end the lease of one.
            let active = self.active.lock().await;
            let mut batch = Batch::default();
            let mut recipients = 0;
            for id in ids {
                if active.contains(id) {
                    operated.running += 1;
                    continue;
                }
                // A kept copy is no mail on its way.
                let on_its_way =
                    |entry: &Arc<QueueEntry>| entry.progress.state.kind() != EntryStateKind::Kept;
                match self.seams.spool.entry(*id).await?.filter(on_its_way) {
                    Some(entry) => {
                        if matches!(operation, Operation::Retry | Operation::Release) {
                            self.forgive(&entry, &mut forgiven).await;
                        }
                        self.operation(&entry, operation, &mut batch).await;
                        operated.changed += 1;
                        let QueueProgress {
                            recipients: left,
                            done,
                            ..
                        } = &entry.progress;
                        recipients += left.len() + done.len();
                        if recipients >= RECIPIENTS_AT_ONCE {
                            recipients = 0;
                            self.seams.commit.commit(std::mem::take(&mut batch)).await?;
                        }
                    }
                    None => operated.gone += 1,
                }
            }
            if !batch.is_empty() {
                self.seams.commit.commit(batch).await?;
            }
            drop(active);
        }
        Ok(operated)
    }

    async fn operation(&self, entry: &QueueEntry, operation: &Operation, batch: &mut Batch) {
        let id = entry.id;
        let progress = match operation {
            Operation::Retry if entry.progress.state == EntryState::Held => QueueProgress {
                next_attempt: self.seams.clock.now(),
                ..entry.progress.clone()
            },
            Operation::Retry | Operation::Release => self.afresh(entry),
            Operation::Reroute { from, to } => QueueProgress {
                recipients: rerouted(entry, from.as_ref(), to),
                ..self.afresh(entry)
            },
            Operation::Hold => entry.progress.clone().in_state(EntryState::Held),
            Operation::Bounce => {
                let why = "returned by the server's administrator";
                self.return_to_sender(entry, why, batch).await;
                return batch.spool.push(SpoolChange::Remove { id });
            }
            Operation::Return { reason } => {
                self.return_to_sender(entry, reason, batch).await;
                return batch.spool.push(SpoolChange::Remove { id });
            }
            Operation::Delete => {
                self.tell_removed(entry, batch);
                return batch.spool.push(SpoolChange::Remove { id });
            }
        };
        batch.spool.push(SpoolChange::Update {
            id,
            progress,
            lease: AfterUpdate::EndLease,
        });
    }

    /// Forgets what is held against the destinations of an entry that is to be
    /// tried now, each once: who asks for that knows that something was mended.
    async fn forgive(&self, entry: &QueueEntry, forgiven: &mut HashSet<Domain>) {
        for queued in &entry.progress.recipients {
            let address = &queued.recipient.address;
            if !forgiven.insert(address.domain().clone()) {
                continue;
            }
            self.forget_destination(address.domain());
            let query = RouteQuery::new(address).from_sender(&entry.reverse_path);
            let route = self.seams.router.route(&query).await;
            if let Ok(Route::Agent { next_hop, .. } | Route::Remote { next_hop, .. }) = route
                && let NextHop::Host { host, .. } = next_hop
            {
                self.forget_destination(&host);
            }
        }
    }

    /// To be tried now. What was kept from being tried has its time anew: it
    /// must not be given up for having waited.
    fn afresh(&self, entry: &QueueEntry) -> QueueProgress {
        let (now, progress) = (self.seams.clock.now(), &entry.progress);
        let expires_at = match progress.state {
            EntryState::Waiting => progress.expires_at,
            _ => progress
                .expires_at
                .max(self.config.schedule.expires_at(now)),
        };
        QueueProgress {
            next_attempt: now,
            expires_at,
            state: EntryState::Waiting,
            ..progress.clone()
        }
    }

    /// Sends a kept copy once more: to `to`, or to those it was for. It is a
    /// message of its own, with a track of its own; its id is what comes back.
    /// The sender hears nothing of what becomes of it: the log does.
    ///
    /// # Errors
    /// [`OperateError`].
    pub async fn resend(&self, id: QueueId, to: &[Address]) -> Result<QueueId, OperateError> {
        let kept = self.seams.spool.entry(id).await?;
        let kept = kept
            .filter(|entry| entry.progress.state.kind() == EntryStateKind::Kept)
            .ok_or(OperateError::NotFound)?;
        let done = kept.progress.done.iter();
        let addresses: Vec<Address> = match to {
            [] => done.map(|done| done.recipient.address.clone()).collect(),
            to => to.to_vec(),
        };
        let again = |address| Recipient {
            notify: Notify::NEVER,
            ..Recipient::new(address)
        };
        let recipients: Vec<Recipient> = addresses.into_iter().map(again).collect();
        let now = self.seams.clock.now();
        let id = QueueId(self.seams.entropy.id(now));
        let trace = TraceId(self.seams.entropy.id(now));
        let event = self
            .event(EventName::MessageQueued, trace)
            .with("from", &kept.reverse_path)
            .with("queue", id)
            .with("to", named(&recipients))
            .with("recipients", recipients.len())
            .with("resent", kept.trace);
        let mut params = kept.params.clone();
        // What the sender asked for was done, or told.
        (params.hold_until, params.deliver_by) = (None, None);
        let entry = QueueEntry {
            id,
            trace,
            params,
            received_at: now,
            progress: QueueProgress::new(recipients, now, self.config.schedule.expires_at(now)),
            ..QueueEntry::clone(&kept)
        };
        let batch = Batch {
            spool: vec![SpoolChange::Enqueue(Arc::new(entry))],
            events: vec![event],
            ..Batch::default()
        };
        self.seams.commit.commit(batch).await?;
        Ok(id)
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

    async fn return_to_sender(&self, entry: &QueueEntry, why: &str, batch: &mut Batch) {
        let status = Status::permanent(7, 0, why);
        let mut told = Vec::new();
        for queued in &entry.progress.recipients {
            let failure = Failure {
                at: queued.last_failure.as_ref().and_then(|it| it.at),
                ..Failure::local(status.clone())
            };
            let recipient = queued.recipient.clone();
            let name = EventName::RecipientFailed;
            let event = self.recipient_event(entry, name, &recipient, Some(failure.clone()));
            batch.events.push(event);
            if recipient.notify.failure {
                let action = ReportedAction::Failed;
                told.push(ReportedRecipient::new(recipient, action, failure));
            }
        }
        self.tell(entry, told, batch).await;
    }
}

/// The recipients with one, or all, replaced. What the sender named stays in the
/// notices (RFC 3461 section 5.2.7).
fn rerouted(entry: &QueueEntry, from: Option<&Address>, to: &Address) -> Vec<QueueRecipient> {
    let mut recipients: Vec<QueueRecipient> = Vec::new();
    for queued in &entry.progress.recipients {
        let old = &queued.recipient;
        if from.is_some_and(|from| *from != old.address) {
            recipients.push(queued.clone());
            continue;
        }
        let original = old.original.clone().unwrap_or_else(|| OriginalRecipient {
            address_type: "rfc822".into(),
            address: old.address.to_string(),
        });
        recipients.push(QueueRecipient::new(Recipient {
            address: to.clone(),
            notify: old.notify,
            original: Some(original),
        }));
    }
    let mut seen = HashSet::new();
    recipients.retain(|queued| seen.insert(queued.recipient.address.clone()));
    recipients
}
