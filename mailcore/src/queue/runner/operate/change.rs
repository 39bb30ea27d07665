//! What an operation makes of one entry.

use std::collections::HashSet;

use super::{By, Operation, Order};
use crate::address::Address;
use crate::batch::{AfterUpdate, Batch, SpoolChange};
use crate::envelope::{OriginalRecipient, Recipient};
use crate::event::EventName;
use crate::intake::tell::{NAMED_RECIPIENTS, named};
use crate::queue::dsn::{ReportedAction, ReportedRecipient};
use crate::queue::runner::QueueRunner;
use crate::queue::{DoneRecipient, EntryState, QueueEntry, QueueProgress, QueueRecipient};
use crate::status::{Failure, Outcome, Status};

impl Order<'_> {
    /// True when the entry is on its way, which neither a kept copy is nor what is
    /// in quarantine, and has somebody who is meant.
    pub(super) fn is_for(&self, entry: &QueueEntry) -> bool {
        let mut waiting = entry.progress.recipients.iter();
        entry.progress.state.kind().is_queued()
            && (*self.whose == super::Whose::Everybody || waiting.any(|it| self.takes(it)))
    }

    fn takes(&self, queued: &QueueRecipient) -> bool {
        self.whose.takes(&queued.recipient.address)
    }

    /// Those of an entry's recipients that are meant, and the others. Where the
    /// operation is the whole entry's, all are.
    fn divide(&self, entry: &QueueEntry) -> (Vec<QueueRecipient>, Vec<QueueRecipient>) {
        let whole = matches!(
            self.operation,
            Operation::Retry | Operation::Hold | Operation::Release
        );
        let recipients = entry.progress.recipients.iter().cloned();
        recipients.partition(|queued| whole || self.takes(queued))
    }
}

impl QueueRunner {
    /// Adds to the batch what is done to an entry.
    pub(super) async fn change(&self, entry: &QueueEntry, order: Order<'_>, batch: &mut Batch) {
        let (meant, others) = order.divide(entry);
        if order.by == By::Operator {
            self.tell_changed(entry, order.operation, &meant, batch);
        }
        let progress = match order.operation {
            Operation::Retry if entry.progress.state == EntryState::Held => QueueProgress {
                next_attempt: self.seams.clock.now(),
                ..entry.progress.clone()
            },
            Operation::Retry | Operation::Release => self.afresh(entry),
            Operation::Reroute { to } => {
                self.tell_rerouted(entry, &meant, to, batch);
                QueueProgress {
                    recipients: rerouted(entry, order, to),
                    ..self.afresh(entry)
                }
            }
            Operation::Hold => entry.progress.clone().in_state(EntryState::Held),
            Operation::Bounce => {
                let why = "returned by the server's administrator";
                self.return_to_sender(entry, &meant, why, batch).await;
                return self.give_up(entry, (meant, others), why, batch);
            }
            Operation::Return { reason } => {
                self.return_to_sender(entry, &meant, reason, batch).await;
                return self.give_up(entry, (meant, others), reason, batch);
            }
            Operation::Delete => {
                let why = "removed by the server's administrator";
                self.tell_removed(entry, &meant, why, batch);
                return self.give_up(entry, (meant, others), why, batch);
            }
        };
        batch.spool.push(SpoolChange::Update {
            id: entry.id,
            progress,
            lease: AfterUpdate::EndLease,
        });
    }

    /// Takes recipients out of an entry, and the entry out of the queue when
    /// there are no others.
    fn give_up(
        &self,
        entry: &QueueEntry,
        (meant, others): (Vec<QueueRecipient>, Vec<QueueRecipient>),
        why: &str,
        batch: &mut Batch,
    ) {
        let id = entry.id;
        if others.is_empty() {
            return batch.spool.push(SpoolChange::Remove { id });
        }
        let now = self.seams.clock.now();
        let failed = Outcome::Failed(Failure::local(Status::permanent(7, 0, why)));
        let mut progress = QueueProgress {
            recipients: others,
            ..entry.progress.clone()
        };
        let done = (meant.into_iter())
            .filter_map(|queued| DoneRecipient::of(queued.recipient, &failed, now));
        progress.done.extend(done);
        batch.spool.push(SpoolChange::Update {
            id,
            progress,
            lease: AfterUpdate::EndLease,
        });
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

    /// Who asks later what happened is to find the operator's hand in it.
    fn tell_changed(
        &self,
        entry: &QueueEntry,
        operation: &Operation,
        meant: &[QueueRecipient],
        batch: &mut Batch,
    ) {
        let first = meant.iter().take(NAMED_RECIPIENTS);
        let first: Vec<Recipient> = first.map(|queued| queued.recipient.clone()).collect();
        let event = self
            .event(EventName::QueueChange, entry.trace)
            .with("operation", operation.word())
            .with("queue", entry.id)
            .with("from", &entry.reverse_path)
            .with("to", named(&first))
            .with("recipients", meant.len());
        batch.events.push(event);
    }

    fn tell_rerouted(
        &self,
        entry: &QueueEntry,
        meant: &[QueueRecipient],
        to: &Address,
        batch: &mut Batch,
    ) {
        for queued in meant.iter().filter(|it| it.recipient.address != *to) {
            let name = EventName::RecipientExpanded;
            let event = self.recipient_event(entry, name, &queued.recipient, None);
            batch.events.push(event.with("into", to));
        }
    }

    /// The sender hears nothing of it; who asks the log does.
    fn tell_removed(
        &self,
        entry: &QueueEntry,
        meant: &[QueueRecipient],
        why: &str,
        batch: &mut Batch,
    ) {
        let status = Status::permanent(7, 0, why);
        for queued in meant {
            let failure = Some(Failure::local(status.clone()));
            let name = EventName::RecipientFailed;
            let event = self.recipient_event(entry, name, &queued.recipient, failure);
            batch.events.push(event);
        }
    }

    async fn return_to_sender(
        &self,
        entry: &QueueEntry,
        meant: &[QueueRecipient],
        why: &str,
        batch: &mut Batch,
    ) {
        let status = Status::permanent(7, 0, why);
        let mut told = Vec::new();
        for queued in meant {
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

/// The recipients with those meant replaced. What the sender named stays in the
/// notices (RFC 3461 section 5.2.7).
fn rerouted(entry: &QueueEntry, order: Order<'_>, to: &Address) -> Vec<QueueRecipient> {
    let mut recipients: Vec<QueueRecipient> = Vec::new();
    for queued in &entry.progress.recipients {
        let old = &queued.recipient;
        if !order.takes(queued) {
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
