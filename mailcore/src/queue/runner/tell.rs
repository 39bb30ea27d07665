//! What is told of an entry: events, and the notice to its sender.

use std::sync::Arc;

use super::QueueRunner;
use super::attempt::Asked;
use super::destinations::name_of;
use crate::address::ReversePath;
use crate::batch::{Batch, SpoolChange};
use crate::envelope::{Notify, Recipient};
use crate::event::{Event, EventId, EventName, TraceId};
use crate::queue::dsn::{self, Report, ReportedRecipient};
use crate::queue::{Origin, QueueEntry, QueueId, QueueProgress};
use crate::status::Failure;

impl QueueRunner {
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
            from: self.config.notices_from.as_ref(),
            returned_in_full: self.config.returned_in_full,
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
            findings: Arc::default(),
            progress: QueueProgress::new([recipient], now, self.config.schedule.expires_at(now)),
        };
        batch.spool.push(SpoolChange::Enqueue(Arc::new(queued)));
        let event = self
            .event(EventName::NoticeSent, entry.trace)
            .with("to", sender)
            .with("queue", entry.id)
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
            .with("queue", entry.id)
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

    /// Tells of one job that reached an agent: where it went, what came of it,
    /// what was said.
    pub(super) fn attempt_event(&self, entry: &QueueEntry, asked: &Asked) -> Event {
        let event = self
            .event(EventName::DeliveryAttempt, entry.trace)
            .with("queue", entry.id)
            .with("attempt", entry.progress.attempts.saturating_add(1))
            .with("agent", &asked.key.0)
            .with("hop", name_of(&asked.key.1))
            .with("took_ms", asked.took.as_millis());
        let counts = [
            ("delivered", asked.delivered),
            ("deferred", asked.deferred),
            ("failed", asked.failed),
        ];
        let event = counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .fold(event, |event, (name, count)| event.with(name, count));
        match asked.transcript.is_empty() {
            true => event,
            false => event.with("transcript", asked.transcript.text()),
        }
    }
}
