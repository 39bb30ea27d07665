//! The end of a transaction: filters, plan, one commit, and one status for each
//! recipient.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::file::is_delivered_to;
use super::recipients::Target;
use super::trace::hops;
use super::transaction::{refusal, status};
use super::{Filing, Intake, Mail, Refusal, SessionInfo, SessionKind, Transaction};
use crate::address::Address;
use crate::batch::{Batch, SpoolChange};
use crate::envelope::{Envelope, Recipient};
use crate::event::{Event, EventId, EventName, TraceId};
use crate::message::Message;
use crate::plan::{Disposition, Plan, RecipientPlan};
use crate::queue::{Origin, QueueEntry, QueueId, QueueProgress, QueueRecipient};
use crate::seams::{DeliveryJob, FilterSession, NextHop, StoreError};
use crate::status::{EnhancedStatusCode, Outcome, Status, StatusClass};

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The message's track.
    pub trace: TraceId,
    /// For each recipient that RCPT accepted, in that order, whether this
    /// server has taken charge of its copy. LMTP replies with each.
    pub outcomes: Vec<Status>,
}

impl Accepted {
    /// The one status that SMTP can give (RFC 5321 section 4.2.5): success when
    /// any copy was taken. A transient failure outranks a permanent one, since
    /// trying again may still reach somebody.
    pub fn overall(&self) -> Status {
        let of = |class| {
            self.outcomes
                .iter()
                .find(|status| status.code.class == class)
                .cloned()
        };
        of(StatusClass::Success)
            .or_else(|| of(StatusClass::Transient))
            .or_else(|| of(StatusClass::Permanent))
            .unwrap_or_else(|| Status::permanent(5, 1, "no valid recipients"))
    }
}

impl Transaction {
    /// The message is complete. Success means: on stable storage, or in the
    /// hands of the host's code.
    ///
    /// # Errors
    /// What to reply when nothing at all was taken.
    pub async fn finish(mut self) -> Result<Accepted, Refusal> {
        let Some(writer) = self.writer.take() else {
            return Err(Status::permanent(5, 1, "no DATA command was given").into());
        };
        // The head that is in memory tells enough: a header that is longer is
        // not of our making.
        let head_hops = hops(writer.held());
        let looping: Vec<bool> = self
            .targets
            .iter()
            .flatten()
            .map(|target| matches!(target, Target::Mailbox(mailbox) if is_delivered_to(writer.held(), &mailbox.address)))
            .collect();
        let (content, summary) = writer.finish().await.map_err(|error| refusal(&error))?;
        if head_hops > self.intake.parts.limits.hops || looping.contains(&true) {
            return Err(Status::permanent(4, 6, "the message is in a loop").into());
        }
        let mail = Mail {
            trace: self.trace,
            reverse_path: self.envelope.reverse_path.clone(),
            message: Message::new(content),
            summary: Arc::new(summary),
            received_at: self.received_at,
        };
        let intake = Arc::clone(&self.intake);
        let plan = intake
            .ask_message(
                &self.session.filter,
                &self.envelope,
                &mail.message,
                &mail.summary,
            )
            .await;
        intake.settle(self, mail, plan).await
    }
}

/// What a message comes to, recipient by recipient.
struct Charge {
    batch: Batch,
    /// Which recipient each append of the batch belongs to.
    owners: Vec<usize>,
    outcomes: Vec<Status>,
    /// Recipients for the queue.
    queued: Vec<Recipient>,
}

impl Intake {
    /// Mail from inside the process: the host's, or the server's own.
    ///
    /// # Errors
    /// Why none of it was taken.
    pub async fn submit(
        self: &Arc<Self>,
        envelope: Envelope,
        message: bytes::Bytes,
    ) -> Result<Accepted, Refusal> {
        let session = SessionInfo {
            filter: FilterSession::new(None),
            with: "local",
            kind: SessionKind::Local,
        };
        let mut transaction = self
            .mail(session, envelope.reverse_path, envelope.params)
            .await?;
        let mut refused = None;
        for recipient in envelope.recipients {
            let path = crate::address::ForwardPath::Address(recipient.address);
            refused = transaction
                .rcpt(path, recipient.notify, recipient.original)
                .await
                .err()
                .or(refused);
        }
        match refused {
            Some(refusal) if transaction.envelope.recipients.is_empty() => return Err(refusal),
            _ => {}
        }
        transaction.data().await?;
        transaction.write(message).await?;
        transaction.finish().await
    }

    async fn settle(
        &self,
        transaction: Transaction,
        mail: Mail,
        mut plan: Plan,
    ) -> Result<Accepted, Refusal> {
        let Transaction {
            session,
            envelope,
            targets,
            ..
        } = transaction;
        plan.recipients
            .resize_with(envelope.recipients.len(), RecipientPlan::default);
        if session.kind != SessionKind::Lmtp {
            soften(&mut plan);
        }
        let accepted = Status::new(
            EnhancedStatusCode::success(0, 0),
            format!("accepted as {}", mail.trace),
        );
        let mut charge = Charge {
            batch: Batch::default(),
            owners: Vec::new(),
            outcomes: vec![accepted; envelope.recipients.len()],
            queued: Vec::new(),
        };
        for (index, recipient) in envelope.recipients.iter().enumerate() {
            let (Some(targets), Some(plan)) = (targets.get(index), plan.recipients.get(index))
            else {
                continue;
            };
            self.charge(
                &mut charge,
                index,
                (recipient, targets, plan),
                &mail,
                &envelope,
            )
            .await;
        }
        let Charge {
            mut batch,
            owners,
            mut outcomes,
            queued,
        } = charge;
        if !queued.is_empty() {
            batch.spool.push(SpoolChange::Enqueue(Arc::new(self.entry(
                &mail,
                &envelope,
                queued,
                session.kind,
            ))));
        }
        let taken = !batch.is_empty()
            || outcomes
                .iter()
                .any(|status| status.code.class == StatusClass::Success);
        if taken {
            batch
                .events
                .push(self.received_event(&mail, &session, &envelope));
        }
        if let Some(commit) = &self.parts.commit
            && !batch.is_empty()
        {
            let receipt = commit.commit(batch).await.map_err(|error| match error {
                crate::seams::CommitError::Store(error) => refusal(&error),
                other => {
                    tracing::error!(error = %other, "the commit failed");
                    Status::transient(3, 0, "the message can't be kept now; try again later").into()
                }
            })?;
            let failed = receipt
                .appends
                .iter()
                .zip(owners)
                .filter_map(|(done, owner)| {
                    done.as_ref().err().map(|error| (owner, error.clone()))
                });
            self.not_filed(
                failed.collect(),
                &mut outcomes,
                (&mail, &envelope, session.kind),
            )
            .await;
        }
        Ok(Accepted {
            trace: mail.trace,
            outcomes,
        })
    }

    /// Decides one recipient's share of the batch.
    async fn charge(
        &self,
        charge: &mut Charge,
        index: usize,
        (recipient, targets, plan): (&Recipient, &[Target], &RecipientPlan),
        mail: &Mail,
        envelope: &Envelope,
    ) {
        let mut refuse = |status: &Status| {
            if let Some(outcome) = charge.outcomes.get_mut(index) {
                *outcome = status.clone();
            }
        };
        match &plan.disposition {
            Disposition::Reject(status) | Disposition::Defer(status) => return refuse(status),
            Disposition::Discard => return,
            Disposition::Accept | Disposition::Quarantine { .. } => {}
        }
        let filing = Filing {
            rules: self.parts.rules.as_deref(),
        };
        for target in targets {
            match target {
                Target::Mailbox(mailbox) => {
                    let filed = filing.file(mail, mailbox, plan);
                    if let Some(status) = &filed.refused {
                        refuse(status);
                    }
                    charge.owners.extend(filed.appends.iter().map(|_| index));
                    charge.batch.appends.extend(filed.appends);
                    charge
                        .queued
                        .extend(filed.redirects.into_iter().map(Recipient::new));
                }
                Target::Queue(address) => charge.queued.push(Recipient {
                    address: address.clone(),
                    ..recipient.clone()
                }),
                Target::Hook { agent, address } => {
                    match self.hand_over(agent, address, mail, envelope).await {
                        Outcome::Deferred(_) if self.parts.commit.is_some() => {
                            charge.queued.push(Recipient {
                                address: address.clone(),
                                ..recipient.clone()
                            });
                        }
                        Outcome::Deferred(failure) | Outcome::Failed(failure) => {
                            refuse(&failure.status)
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// Gives a copy to the host's code, before the reply.
    async fn hand_over(
        &self,
        agent: &Arc<str>,
        address: &Address,
        mail: &Mail,
        envelope: &Envelope,
    ) -> Outcome {
        let unavailable = || {
            Outcome::Deferred(crate::status::Failure::local(Status::transient(
                3,
                0,
                "not available",
            )))
        };
        let Some(hook) = self.parts.agents.get(agent) else {
            return unavailable();
        };
        let job = DeliveryJob {
            trace: mail.trace,
            reverse_path: mail.reverse_path.clone(),
            params: envelope.params.clone(),
            recipients: vec![Recipient::new(address.clone())],
            next_hop: NextHop::Local,
            message: mail.message.clone(),
            received_at: mail.received_at,
            agent: Arc::clone(agent),
        };
        hook.deliver(job).await.pop().unwrap_or_else(unavailable)
    }

    /// Copies that the store could not file. When every recipient failed the
    /// sender is told at once; else the failed ones go to the queue, which
    /// tries again and in the end tells the sender.
    async fn not_filed(
        &self,
        failed: BTreeMap<usize, StoreError>,
        outcomes: &mut [Status],
        (mail, envelope, kind): (&Mail, &Envelope, SessionKind),
    ) {
        if failed.is_empty() {
            return;
        }
        let others = outcomes.iter().enumerate().any(|(index, status)| {
            !failed.contains_key(&index) && status.code.class == StatusClass::Success
        });
        if others && kind != SessionKind::Lmtp {
            let retry: Vec<Recipient> = failed
                .keys()
                .filter_map(|index| envelope.recipients.get(*index))
                .cloned()
                .collect();
            let entry = self.entry(mail, envelope, retry, kind);
            let batch = Batch {
                spool: vec![SpoolChange::Enqueue(Arc::new(entry))],
                ..Batch::default()
            };
            match &self.parts.commit {
                Some(commit) => match commit.commit(batch).await {
                    Ok(_) => return,
                    Err(error) => {
                        tracing::error!(%error, trace = %mail.trace, "can't queue the copies not filed")
                    }
                },
                None => tracing::error!(trace = %mail.trace, "no queue for the copies not filed"),
            }
        }
        for (index, error) in failed {
            if let Some(outcome) = outcomes.get_mut(index) {
                *outcome = status(&error);
            }
        }
    }

    fn entry(
        &self,
        mail: &Mail,
        envelope: &Envelope,
        recipients: Vec<Recipient>,
        kind: SessionKind,
    ) -> QueueEntry {
        let now = self.parts.clock.now();
        QueueEntry {
            id: QueueId(self.parts.entropy.id(now)),
            trace: mail.trace,
            reverse_path: mail.reverse_path.clone(),
            params: envelope.params.clone(),
            origin: if kind == SessionKind::Local {
                Origin::Host
            } else {
                Origin::Received
            },
            received_at: mail.received_at,
            message: mail.message.clone(),
            progress: QueueProgress {
                recipients: recipients.into_iter().map(QueueRecipient::new).collect(),
                next_attempt: now,
                expires_at: self.parts.schedule.expires_at(mail.received_at),
                attempts: 0,
                on_hold: false,
                delay_told: false,
            },
        }
    }

    fn received_event(&self, mail: &Mail, session: &SessionInfo, envelope: &Envelope) -> Event {
        let to: Vec<String> = envelope
            .recipients
            .iter()
            .take(20)
            .map(|to| to.address.to_string())
            .collect();
        let mut event = Event {
            id: EventId(self.parts.entropy.id(mail.received_at)),
            at: mail.received_at,
            name: EventName::MessageReceived,
            trace: Some(mail.trace),
            account: session
                .filter
                .identity
                .as_ref()
                .map(|identity| identity.account.clone()),
            fields: Vec::new(),
        }
        .with("from", &mail.reverse_path)
        .with("to", to.join(" "))
        .with("recipients", envelope.recipients.len())
        .with("size", mail.message.len())
        .with("with", session.with);
        if let Some(peer) = session.filter.peer {
            event = event.with("peer", peer.ip());
        }
        event
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
