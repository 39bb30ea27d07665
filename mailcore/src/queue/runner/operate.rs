//! What operators do to entries: try now, hold, release, delete, return, send
//! elsewhere or once more.

mod change;

use std::collections::HashSet;
use std::sync::Arc;

use thiserror::Error;

use super::QueueRunner;
use crate::address::{Address, Domain};
use crate::batch::{Batch, SpoolChange};
use crate::envelope::{Notify, Recipient};
use crate::event::{EventName, TraceId};
use crate::intake::tell::named;
use crate::queue::{EntryStateKind, QueueEntry, QueueId, QueueProgress};
use crate::seams::{CommitError, NextHop, Route, RouteQuery, StoreError};

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
        /// Where it goes instead.
        to: Address,
    },
}

impl Operation {
    /// As events name it.
    fn word(&self) -> &'static str {
        match self {
            Self::Retry => "retried",
            Self::Hold => "held",
            Self::Release => "released",
            Self::Bounce | Self::Return { .. } => "returned",
            Self::Delete => "deleted",
            Self::Reroute { .. } => "rerouted",
        }
    }
}

/// Which recipients of an entry an operation is for, of those that still wait.
/// What is tried, held or released is so as a whole, when any of them is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Whose {
    /// All of them.
    #[default]
    Everybody,
    /// This one.
    Address(Address),
    /// Those in this domain.
    Domain(Domain),
}

impl Whose {
    fn takes(&self, address: &Address) -> bool {
        match self {
            Self::Everybody => true,
            Self::Address(one) => one == address,
            Self::Domain(domain) => domain == address.domain(),
        }
    }
}

/// Who wants an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// An operator: an event tells of it.
    Operator,
    /// A host, by its session.
    Peer,
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'a> {
    pub(super) operation: &'a Operation,
    pub(super) whose: &'a Whose,
    pub(super) by: By,
}

/// What came of an operation on several entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Operated {
    /// Changed.
    pub changed: usize,
    /// Left alone, since an attempt is running.
    pub running: usize,
    /// Not there any more, or none of those who were meant.
    pub gone: usize,
}

/// Entries changed by one batch.
const AT_ONCE: usize = 200;
/// Octets of the entries in one batch, about, from which on another one is begun:
/// a store takes no batch of any size.
const OCTETS_AT_ONCE: usize = 256 * 1_024;

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
        self.operate_for(ids, &Whose::Everybody, operation).await
    }

    /// The same for some of the entries' recipients; the others wait on.
    ///
    /// # Errors
    /// As [`QueueRunner::operate_all`].
    pub async fn operate_for(
        &self,
        ids: &[QueueId],
        whose: &Whose,
        operation: &Operation,
    ) -> Result<Operated, OperateError> {
        let order = Order {
            operation,
            whose,
            by: By::Operator,
        };
        self.carry_out(ids, order).await
    }

    pub(super) async fn carry_out(
        &self,
        ids: &[QueueId],
        order: Order<'_>,
    ) -> Result<Operated, OperateError> {
        let mut operated = Operated::default();
        let mut forgiven = HashSet::new();
        for ids in ids.chunks(AT_ONCE) {
            // Held to the end: no attempt starts between the look and the change,
            // so the change cannot end the lease of one.
            let active = self.active.lock().await;
            let mut batch = Batch::default();
            let mut octets = 0;
            for id in ids {
                if active.contains(id) {
                    operated.running += 1;
                    continue;
                }
                let entry = self.seams.spool.entry(*id).await?;
                let Some(entry) = entry.filter(|entry| order.is_for(entry)) else {
                    operated.gone += 1;
                    continue;
                };
                if matches!(order.operation, Operation::Retry | Operation::Release) {
                    self.forgive(&entry, &mut forgiven).await;
                }
                self.change(&entry, order, &mut batch).await;
                operated.changed += 1;
                octets += entry.progress.octets();
                if octets >= OCTETS_AT_ONCE {
                    octets = 0;
                    self.seams.commit.commit(std::mem::take(&mut batch)).await?;
                }
            }
            if !batch.is_empty() {
                self.seams.commit.commit(batch).await?;
            }
            drop(active);
        }
        Ok(operated)
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
            let route = self.routing.router().route(&query).await;
            if let Ok(Route::Agent { next_hop, .. } | Route::Remote { next_hop, .. }) = route
                && let NextHop::Host { host, .. } = next_hop
            {
                self.forget_destination(&host);
            }
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
}
