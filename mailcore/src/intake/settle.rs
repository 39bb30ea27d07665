//! One message's share-out: each recipient's copy is filed, handed over or
//! queued, all in one batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::recipients::Target;
use super::transaction::{refusal, status};
use super::{Accepted, Filing, Intake, Mail, Refusal, SessionInfo, SessionKind};
use crate::address::Address;
use crate::batch::{Batch, SpoolChange};
use crate::envelope::{Envelope, Recipient};
use crate::event::{Event, EventId, EventName};
use crate::plan::{Disposition, Plan, RecipientPlan};
use crate::queue::{Origin, QueueEntry, QueueId, QueueProgress, QueueRecipient};
use crate::seams::{CommitError, DeliveryJob, NextHop, StoreError};
use crate::status::{EnhancedStatusCode, Failure, Outcome, Status, StatusClass};

/// Recipients that an event names; the rest are counted.
const NAMED_RECIPIENTS: usize = 20;

/// A message being shared out.
#[derive(Debug)]
pub(super) struct Settlement<'a> {
    intake: &'a Intake,
    session: &'a SessionInfo,
    envelope: &'a Envelope,
    mail: &'a Mail,
    batch: Batch,
    /// Which recipient each append of the batch belongs to.
    owners: Vec<usize>,
    outcomes: Vec<Status>,
    /// Recipients for the queue.
    queued: Vec<Recipient>,
}

impl<'a> Settlement<'a> {
    pub(super) fn new(
        intake: &'a Intake,
        session: &'a SessionInfo,
        envelope: &'a Envelope,
        mail: &'a Mail,
    ) -> Self {
        let accepted = Status::new(
            EnhancedStatusCode::success(0, 0),
            format!("accepted as {}", mail.trace),
        );
        Self {
            intake,
            session,
            envelope,
            mail,
            batch: Batch::default(),
            owners: Vec::new(),
            outcomes: vec![accepted; envelope.recipients.len()],
            queued: Vec::new(),
        }
    }

    /// Shares the message out as `plan` says and commits.
    pub(super) async fn settle(
        mut self,
        targets: &[Vec<Target>],
        mut plan: Plan,
    ) -> Result<Accepted, Refusal> {
        plan.recipients
            .resize_with(self.envelope.recipients.len(), RecipientPlan::default);
        if self.session.kind != SessionKind::Lmtp {
            soften(&mut plan);
        }
        for (index, (targets, plan)) in targets.iter().zip(&plan.recipients).enumerate() {
            self.charge(index, targets, plan).await;
        }
        if !self.queued.is_empty() {
            let recipients = std::mem::take(&mut self.queued);
            let entry = Arc::new(self.entry(recipients));
            self.batch.spool.push(SpoolChange::Enqueue(entry));
        }
        let succeeds = |status: &Status| status.code.class == StatusClass::Success;
        if !self.batch.is_empty() || self.outcomes.iter().any(succeeds) {
            let event = self.received();
            self.batch.events.push(event);
        }
        self.commit().await?;
        Ok(Accepted {
            trace: self.mail.trace,
            outcomes: self.outcomes,
        })
    }

    /// Decides one recipient's share of the batch.
    async fn charge(&mut self, index: usize, targets: &[Target], plan: &RecipientPlan) {
        let Some(recipient) = self.envelope.recipients.get(index) else {
            return;
        };
        match &plan.disposition {
            Disposition::Reject(status) | Disposition::Defer(status) => {
                return self.refuse(index, status);
            }
            Disposition::Discard => return,
            Disposition::Accept | Disposition::Quarantine { .. } => {}
        }
        let filing = Filing {
            rules: self.intake.parts.rules.as_deref(),
        };
        let queue = |address: &Address| Recipient {
            address: address.clone(),
            ..recipient.clone()
        };
        for target in targets {
            match target {
                Target::Mailbox(mailbox) => {
                    let filed = filing.file(self.mail, mailbox, plan);
                    if let Some(status) = &filed.refused {
                        self.refuse(index, status);
                    }
                    self.owners.extend(filed.appends.iter().map(|_| index));
                    self.batch.appends.extend(filed.appends);
                    self.queued
                        .extend(filed.redirects.into_iter().map(Recipient::new));
                }
                Target::Queue(address) => self.queued.push(queue(address)),
                Target::Hook { agent, address } => match self.hand_over(agent, address).await {
                    Outcome::Deferred(_) if self.intake.parts.commit.is_some() => {
                        self.queued.push(queue(address));
                    }
                    Outcome::Deferred(failure) | Outcome::Failed(failure) => {
                        self.refuse(index, &failure.status);
                    }
                    _ => {
                        let event = self.handed_over(address);
                        self.batch.events.push(event);
                    }
                },
            }
        }
    }

    fn refuse(&mut self, index: usize, status: &Status) {
        if let Some(outcome) = self.outcomes.get_mut(index) {
            *outcome = status.clone();
        }
    }

    /// Gives a copy to the host's code, before the reply.
    async fn hand_over(&self, agent: &Arc<str>, address: &Address) -> Outcome {
        let unavailable =
            || Outcome::Deferred(Failure::local(Status::transient(3, 0, "not available")));
        let Some(hook) = self.intake.parts.agents.get(agent) else {
            return unavailable();
        };
        let job = DeliveryJob {
            trace: self.mail.trace,
            reverse_path: self.mail.reverse_path.clone(),
            params: self.envelope.params.clone(),
            recipients: vec![Recipient::new(address.clone())],
            next_hop: NextHop::Local,
            message: self.mail.message.clone(),
            received_at: self.mail.received_at,
            agent: Arc::clone(agent),
        };
        hook.deliver(job).await.pop().unwrap_or_else(unavailable)
    }

    async fn commit(&mut self) -> Result<(), Refusal> {
        let batch = std::mem::take(&mut self.batch);
        let Some(commit) = self
            .intake
            .parts
            .commit
            .as_ref()
            .filter(|_| !batch.is_empty())
        else {
            return Ok(());
        };
        let receipt = commit.commit(batch).await.map_err(|error| match error {
            CommitError::Store(error) => refusal(&error),
            other => {
                tracing::error!(error = %other, "the commit failed");
                Status::transient(3, 0, "the message can't be kept now; try again later").into()
            }
        })?;
        let failed = receipt
            .appends
            .into_iter()
            .zip(&self.owners)
            .filter_map(|(done, owner)| done.err().map(|error| (*owner, error)))
            .collect();
        self.not_filed(failed).await;
        Ok(())
    }

    /// Copies that the store could not file. When every recipient failed the
    /// sender is told at once; else the failed ones go to the queue, which
    /// tries again and in the end tells the sender.
    async fn not_filed(&mut self, failed: BTreeMap<usize, StoreError>) {
        let others = self.outcomes.iter().enumerate().any(|(index, status)| {
            !failed.contains_key(&index) && status.code.class == StatusClass::Success
        });
        let queue = others && self.session.kind != SessionKind::Lmtp && !failed.is_empty();
        if queue && self.queue_failed(&failed).await.is_ok() {
            return;
        }
        for (index, error) in failed {
            self.refuse(index, &status(&error));
        }
    }

    async fn queue_failed(&self, failed: &BTreeMap<usize, StoreError>) -> Result<(), ()> {
        let recipients = failed
            .keys()
            .filter_map(|index| self.envelope.recipients.get(*index))
            .cloned();
        let entry = Arc::new(self.entry(recipients.collect()));
        let batch = Batch {
            spool: vec![SpoolChange::Enqueue(entry)],
            ..Batch::default()
        };
        let commit = self.intake.parts.commit.as_ref().ok_or(())?;
        commit.commit(batch).await.map(drop).map_err(|error| {
            tracing::error!(%error, trace = %self.mail.trace, "can't queue the copies not filed");
        })
    }

    fn entry(&self, recipients: Vec<Recipient>) -> QueueEntry {
        let parts = &self.intake.parts;
        let now = parts.clock.now();
        QueueEntry {
            id: QueueId(parts.entropy.id(now)),
            trace: self.mail.trace,
            reverse_path: self.mail.reverse_path.clone(),
            params: self.envelope.params.clone(),
            origin: match self.session.kind {
                SessionKind::Local => Origin::Host,
                _ => Origin::Received,
            },
            received_at: self.mail.received_at,
            message: self.mail.message.clone(),
            progress: QueueProgress {
                recipients: recipients.into_iter().map(QueueRecipient::new).collect(),
                next_attempt: now,
                expires_at: parts.schedule.expires_at(self.mail.received_at),
                attempts: 0,
                on_hold: false,
                delay_told: false,
            },
        }
    }

    fn event(&self, name: EventName) -> Event {
        Event {
            id: EventId(self.intake.parts.entropy.id(self.mail.received_at)),
            at: self.mail.received_at,
            name,
            trace: Some(self.mail.trace),
            account: None,
            fields: Vec::new(),
        }
        .with("from", &self.mail.reverse_path)
    }

    fn received(&self) -> Event {
        let filter = &self.session.filter;
        let to: Vec<String> = self
            .envelope
            .recipients
            .iter()
            .take(NAMED_RECIPIENTS)
            .map(|to| to.address.to_string())
            .collect();
        let mut event = self
            .event(EventName::MessageReceived)
            .with("to", to.join(" "))
            .with("recipients", self.envelope.recipients.len())
            .with("size", self.mail.message.len())
            .with("with", self.session.with);
        event.account = filter
            .identity
            .as_ref()
            .map(|identity| identity.account.clone());
        match filter.peer {
            Some(peer) => event.with("peer", peer.ip()),
            None => event,
        }
    }

    fn handed_over(&self, address: &Address) -> Event {
        self.event(EventName::RecipientDelivered)
            .with("to", address)
    }
}

/// SMTP has one reply for all. When some recipients refuse and others do not,
/// the refused copies are kept apart instead of bounced: a notice to a sender
/// that is often forged would be worse (RFC 5321 section 6.2).
fn soften(plan: &mut Plan) {
    let refuses = |copy: &RecipientPlan| {
        matches!(
            copy.disposition,
            Disposition::Reject(_) | Disposition::Defer(_)
        )
    };
    if plan.recipients.iter().all(refuses) {
        return;
    }
    for copy in &mut plan.recipients {
        if let Disposition::Reject(status) | Disposition::Defer(status) = &copy.disposition {
            copy.disposition = Disposition::Quarantine {
                reason: status.to_string(),
            };
        }
    }
}
