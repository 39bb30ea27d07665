//! What an attempt changes, as one batch: what is left of the entry, the
//! events, and the notice to the sender.

use std::collections::HashMap;
use std::sync::Arc;

use super::QueueRunner;
use super::attempt::Round;
use super::destination::PutOff;
use crate::address::{Address, ReversePath};
use crate::batch::{AfterUpdate, Batch, SpoolChange};
use crate::envelope::{Notify, Recipient};
use crate::event::{Event, EventId, EventName, TraceId};
use crate::intake::tell::named;
use crate::queue::dsn::{self, Report, ReportedAction, ReportedRecipient};
use crate::queue::{Origin, QueueEntry, QueueId, QueueProgress, QueueRecipient};
use crate::status::{Failure, Outcome, Status};
use crate::time::Timestamp;

/// An attempt's results, gathered recipient by recipient.
struct Settlement<'a> {
    entry: &'a QueueEntry,
    now: Timestamp,
    expired: bool,
    /// True when the sender is to be told of a delay now.
    tell_delay: bool,
    /// True when an agent was asked, or none was needed.
    attempted: bool,
    /// When those that were put off are to be tried.
    again_at: Option<Timestamp>,
    left: Vec<QueueRecipient>,
    told: Vec<ReportedRecipient>,
    events: Vec<(EventName, Recipient, Option<Failure>)>,
    expanded: Vec<(Recipient, Vec<Address>)>,
}

impl QueueRunner {
    /// What one attempt changes.
    pub(super) async fn settlement(&self, entry: &QueueEntry, round: Round) -> Batch {
        let now = self.seams.clock.now();
        let steady = self.seams.clock.monotonic();
        let schedule = &self.config.schedule;
        let notice_at = schedule.delay_notice_at(entry.received_at);
        let until = round.put_off.iter().map(|(_, it)| it.until).min();
        let mut settlement = Settlement {
            entry,
            now,
            expired: now >= entry.progress.expires_at,
            tell_delay: !entry.progress.delay_told && notice_at.is_some_and(|at| now >= at),
            attempted: round.jobs > 0 || round.put_off.is_empty(),
            again_at: until.map(|at| now.after(at.since(steady))),
            left: Vec::new(),
            told: Vec::new(),
            events: Vec::new(),
            expanded: Vec::new(),
        };
        for (recipient, outcome) in round.outcomes {
            settlement.add(recipient, outcome);
        }
        let before: HashMap<&Address, &QueueRecipient> = match round.put_off.is_empty() {
            true => HashMap::new(),
            false => by_address(entry),
        };
        for (recipient, put_off) in round.put_off {
            let before = before.get(&recipient.address).copied();
            settlement.put_off(recipient, put_off, before);
        }
        let mut batch = Batch::default();
        let told = std::mem::take(&mut settlement.told);
        for (recipient, to) in std::mem::take(&mut settlement.expanded) {
            let to: Vec<Recipient> = to.into_iter().map(Recipient::new).collect();
            let event = self
                .recipient_event(entry, EventName::RecipientExpanded, &recipient, None)
                .with("into", named(&to));
            batch.events.push(event);
        }
        for (name, recipient, failure) in std::mem::take(&mut settlement.events) {
            batch
                .events
                .push(self.recipient_event(entry, name, &recipient, failure));
        }
        batch.spool.push(self.what_is_left(settlement));
        self.tell(entry, told, &mut batch).await;
        batch
    }

    fn what_is_left(&self, settlement: Settlement<'_>) -> SpoolChange {
        let entry = settlement.entry;
        if settlement.left.is_empty() {
            return SpoolChange::Remove { id: entry.id };
        }
        let counted = u32::from(settlement.attempted);
        SpoolChange::Update {
            id: entry.id,
            progress: QueueProgress {
                next_attempt: self.next_attempt(&settlement),
                recipients: settlement.left,
                done: entry.progress.done.clone(),
                expires_at: entry.progress.expires_at,
                attempts: entry.progress.attempts.saturating_add(counted),
                state: entry.progress.state.clone(),
                delay_told: entry.progress.delay_told || settlement.tell_delay,
            },
            lease: AfterUpdate::EndLease,
        }
    }

    /// By the schedule after an attempt. What was put off comes back when its
    /// destination does, but in time for what the sender is to be told.
    fn next_attempt(&self, settlement: &Settlement<'_>) -> Timestamp {
        let Settlement { entry, now, .. } = settlement;
        let schedule = &self.config.schedule;
        let expires_at = entry.progress.expires_at;
        let again_at = match settlement.again_at {
            Some(at) if !settlement.attempted => at,
            _ => {
                let attempts = entry.progress.attempts.saturating_add(1);
                return schedule.next_attempt(*now, attempts, expires_at);
            }
        };
        let mut moments = vec![again_at, expires_at];
        if !entry.progress.delay_told {
            moments.extend(schedule.delay_notice_at(entry.received_at));
        }
        let to_come = moments.into_iter().filter(|at| at > now);
        to_come.min().unwrap_or(again_at).max(*now)
    }

    /// Adds the notice about `told` to the batch. A message without a return
    /// path has nobody to tell (RFC 5321 section 4.5.5).
    pub(super) async fn tell(
        &self,
        entry: &QueueEntry,
        told: Vec<ReportedRecipient>,
        batch: &mut Batch,
    ) {
        let ReversePath::Address(sender) = &entry.reverse_path else {
            return;
        };
        if told.is_empty() {
            return;
        }
        let (now, entropy) = (self.seams.clock.now(), &self.seams.entropy);
        let report = Report {
            entry,
            hostname: &self.hostname,
            at: now,
            id: entropy.id(now),
            recipients: told,
        };
        let notice = dsn::write(&report, sender).await;
        let recipient = Recipient {
            notify: Notify::NEVER,
            ..Recipient::new(sender.clone())
        };
        // A track of its own: an agent takes the same track to the same
        // recipient for a repeated attempt.
        let trace = TraceId(entropy.id(now));
        let queued = QueueEntry {
            id: QueueId(entropy.id(now)),
            trace,
            reverse_path: ReversePath::Null,
            params: notice.params,
            origin: Origin::Server,
            received_at: now,
            message: notice.message,
            progress: QueueProgress::new([recipient], now, self.config.schedule.expires_at(now)),
        };
        batch.spool.push(SpoolChange::Enqueue(Arc::new(queued)));
        let event = self
            .event(EventName::NoticeSent, entry.trace)
            .with("to", sender)
            .with("notice", trace);
        batch.events.push(event);
    }

    pub(super) fn event(&self, name: EventName, trace: TraceId) -> Event {
        let now = self.seams.clock.now();
        Event {
            id: EventId(self.seams.entropy.id(now)),
            at: now,
            name,
            trace: Some(trace),
            account: None,
            fields: Vec::new(),
        }
    }

    pub(super) fn recipient_event(
        &self,
        entry: &QueueEntry,
        name: EventName,
        recipient: &Recipient,
        failure: Option<Failure>,
    ) -> Event {
        let event = self
            .event(name, entry.trace)
            .with("from", &entry.reverse_path)
            .with("to", &recipient.address)
            .with("attempt", entry.progress.attempts.saturating_add(1));
        let Some(failure) = failure else {
            return event;
        };
        let event = event.with("status", &failure.status);
        let event = match failure.reply_code {
            Some(code) => event.with("reply", code),
            None => event,
        };
        match failure.remote {
            Some(remote) => event.with("remote", remote),
            None => event,
        }
    }
}

impl Settlement<'_> {
    fn add(&mut self, recipient: Recipient, outcome: Outcome) {
        match outcome {
            Outcome::Delivered => {
                let done = Failure::local(delivered());
                self.served(recipient, ReportedAction::Delivered, done, Told::IfAsked);
            }
            Outcome::Relayed {
                remote,
                reply,
                notifies,
            } => {
                let done = Failure {
                    status: reply,
                    remote: Some(remote),
                    reply_code: None,
                };
                let told = if notifies {
                    Told::Elsewhere
                } else {
                    Told::IfAsked
                };
                self.served(recipient, ReportedAction::Relayed, done, told);
            }
            Outcome::Expanded { to } => {
                self.expanded.push((recipient.clone(), to));
                if recipient.notify.success {
                    let done = Failure::local(delivered());
                    let action = ReportedAction::Expanded;
                    self.told
                        .push(ReportedRecipient::unreached(recipient, action, done));
                }
            }
            Outcome::Deferred(failure) | Outcome::Unreachable(failure) if !self.expired => {
                self.deferred(recipient, failure);
            }
            Outcome::Deferred(failure)
            | Outcome::Unreachable(failure)
            | Outcome::Failed(failure) => {
                self.failed(recipient, failure);
            }
        }
    }

    fn served(&mut self, recipient: Recipient, action: ReportedAction, done: Failure, told: Told) {
        let event = (
            EventName::RecipientDelivered,
            recipient.clone(),
            Some(done.clone()),
        );
        self.events.push(event);
        if recipient.notify.success && told == Told::IfAsked {
            self.told
                .push(ReportedRecipient::unreached(recipient, action, done));
        }
    }

    /// A destination that takes nothing now: no attempt, so nothing happened to
    /// the recipient, unless time ran out or others were attempted.
    fn put_off(&mut self, recipient: Recipient, put_off: PutOff, before: Option<&QueueRecipient>) {
        match put_off.failure {
            Some(failure) if self.expired => self.failed(recipient, failure),
            Some(failure) if self.attempted || self.tell_delay => {
                self.deferred(recipient, failure);
            }
            failure => self.left.push(QueueRecipient {
                recipient,
                last_failure: failure.or_else(|| before?.last_failure.clone()),
            }),
        }
    }

    fn deferred(&mut self, recipient: Recipient, failure: Failure) {
        let event = (
            EventName::RecipientDeferred,
            recipient.clone(),
            Some(failure.clone()),
        );
        self.events.push(event);
        if self.tell_delay && recipient.notify.delay {
            let action = ReportedAction::Delayed {
                retry_until: self.entry.progress.expires_at,
            };
            self.told.push(ReportedRecipient::unreached(
                recipient.clone(),
                action,
                failure.clone(),
            ));
        }
        self.left.push(QueueRecipient {
            recipient,
            last_failure: Some(failure),
        });
    }

    /// Also for what was deferred too long: the last failure tells why, its
    /// transient class that time ran out.
    fn failed(&mut self, recipient: Recipient, failure: Failure) {
        let event = (
            EventName::RecipientFailed,
            recipient.clone(),
            Some(failure.clone()),
        );
        self.events.push(event);
        if recipient.notify.failure {
            self.told.push(ReportedRecipient::unreached(
                recipient,
                ReportedAction::Failed,
                failure,
            ));
        }
    }
}

fn by_address(entry: &QueueEntry) -> HashMap<&Address, &QueueRecipient> {
    let recipients = entry.progress.recipients.iter();
    recipients
        .map(|queued| (&queued.recipient.address, queued))
        .collect()
}

/// Who tells a sender of success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// This server, when the sender asked for it.
    IfAsked,
    /// The next host.
    Elsewhere,
}

fn delivered() -> Status {
    Status::new(
        crate::status::EnhancedStatusCode::success(0, 0),
        "delivered",
    )
}
