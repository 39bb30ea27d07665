//! What an attempt changes: what is left of the entry, the events, and the
//! notice to the sender, as one batch; and what of it is written down while
//! other jobs of the attempt still run.

mod outcomes;

use std::collections::HashMap;

use super::QueueRunner;
use super::attempt::Round;
use super::broken::{BREAKS, MOST_BROKEN};
use super::deadline;
use crate::address::{Address, ReversePath};
use crate::batch::{AfterUpdate, Batch, SpoolChange};
use crate::envelope::Recipient;
use crate::event::EventName;
use crate::intake::tell::named;
use crate::queue::{DoneRecipient, Ended, Origin, QueueEntry, QueueProgress, QueueRecipient};
use crate::status::{Failure, Outcome};
use crate::time::Timestamp;
use crate::wire::TlsInfo;

use outcomes::{Happened, Settlement};

impl QueueRunner {
    /// What an attempt changes that is over.
    pub(super) async fn settlement(&self, entry: &QueueEntry, mut round: Round) -> Batch {
        let mut settlement = self.begin(entry, &round);
        settlement.done.append(&mut round.noted);
        let before = match round.put_off.is_empty() {
            true => HashMap::new(),
            false => by_address(entry),
        };
        for (recipient, outcome) in round.outcomes.drain(..) {
            settlement.add(recipient, outcome);
        }
        for (recipient, put_off) in round.put_off.drain(..) {
            let before = before.get(&recipient.address).copied();
            settlement.put_off(recipient, put_off, before);
        }
        let next = self.next_attempt(&settlement);
        let mut batch = Batch::default();
        self.push_events(&mut settlement, &mut round, next, &mut batch);
        self.send_onward(entry, &mut round, &mut batch);
        let told = std::mem::take(&mut settlement.told);
        batch.spool.push(self.what_is_left(settlement, next));
        self.tell(entry, told, &mut batch).await;
        batch
    }

    /// What of an attempt can be written down while `pending` are still served:
    /// who has the message must not get it again after a crash. Failures wait
    /// for the end, to be told in one notice. `None` when there is nothing.
    pub(super) async fn part(
        &self,
        entry: &QueueEntry,
        round: &mut Round,
        pending: &[&[Recipient]],
    ) -> Option<Batch> {
        let served = |(_, outcome): &mut (Recipient, Outcome)| {
            matches!(
                outcome,
                Outcome::Delivered | Outcome::Relayed { .. } | Outcome::Expanded { .. }
            )
        };
        let ended: Vec<_> = round.outcomes.extract_if(.., served).collect();
        let has_mail =
            |(_, outcome): &(Recipient, Outcome)| !matches!(outcome, Outcome::Expanded { .. });
        if round.onward.is_empty() && !ended.iter().any(has_mail) {
            round.outcomes.extend(ended);
            return None;
        }
        let mut settlement = self.begin(entry, round);
        for (recipient, outcome) in ended {
            settlement.add(recipient, outcome);
        }
        let mut batch = Batch::default();
        self.push_events(
            &mut settlement,
            round,
            entry.progress.next_attempt,
            &mut batch,
        );
        self.send_onward(entry, round, &mut batch);
        round.noted.append(&mut settlement.done);
        let before = by_address(entry);
        let put_off = round.put_off.iter().map(|(recipient, _)| recipient);
        let left = round.outcomes.iter().map(|(recipient, _)| recipient);
        let pending = pending.iter().copied().flatten();
        let recipients = left
            .chain(put_off)
            .chain(pending)
            .map(|recipient| QueueRecipient {
                recipient: recipient.clone(),
                last_failure: before
                    .get(&recipient.address)
                    .and_then(|queued| queued.last_failure.clone()),
            });
        batch.spool.push(SpoolChange::Update {
            id: entry.id,
            progress: QueueProgress {
                recipients: recipients.collect(),
                done: [&entry.progress.done[..], &round.noted[..]].concat(),
                ..entry.progress.clone()
            },
            lease: AfterUpdate::KeepLease,
        });
        self.tell(entry, settlement.told, &mut batch).await;
        Some(batch)
    }

    fn begin<'a>(&self, entry: &'a QueueEntry, round: &Round) -> Settlement<'a> {
        let now = self.seams.clock.now();
        let steady = self.seams.clock.monotonic();
        let until = round.put_off.iter().map(|(_, it)| it.until).min();
        let notice_at = self.notice_at(entry);
        Settlement {
            entry,
            now,
            expired: now >= entry.progress.expires_at,
            tell_delay: notice_at.is_some_and(|at| now >= at),
            delay_told: false,
            attempted: round.asked_any || round.put_off.is_empty(),
            broke: round.broke,
            again_at: until.map(|at| now.after(at.since(steady))),
            left: Vec::new(),
            done: Vec::new(),
            told: Vec::new(),
            events: Vec::new(),
            expanded: Vec::new(),
        }
    }

    /// When the sender is to be told of a delay that nobody was told of yet. A
    /// time of the sender's own takes the place of the schedule's (RFC 2852
    /// section 4.1.2).
    fn notice_at(&self, entry: &QueueEntry) -> Option<Timestamp> {
        if entry.progress.delay_told {
            return None;
        }
        let begins = entry.params.hold_until.max(Some(entry.received_at));
        deadline::to_tell(entry).or_else(|| {
            self.config
                .schedule
                .delay_notice_at(begins.unwrap_or(entry.received_at))
        })
    }

    fn push_events(
        &self,
        settlement: &mut Settlement<'_>,
        round: &mut Round,
        next: Timestamp,
        batch: &mut Batch,
    ) {
        let entry = settlement.entry;
        for asked in round.asked.drain(..) {
            batch.events.push(self.attempt_event(entry, &asked));
        }
        for (recipient, to) in std::mem::take(&mut settlement.expanded) {
            let to: Vec<Recipient> = to.into_iter().map(Recipient::new).collect();
            let event = self
                .recipient_event(entry, EventName::RecipientExpanded, &recipient, None)
                .with("into", named(&to));
            batch.events.push(event);
        }
        let mut out_of_time = 0;
        for happened in std::mem::take(&mut settlement.events) {
            let Happened {
                name,
                recipient,
                failure,
                tls,
            } = happened;
            let late = failure.status.is_transient();
            let deferred = name == EventName::RecipientDeferred;
            out_of_time += usize::from(late && name == EventName::RecipientFailed);
            let mut event = self.recipient_event(entry, name, &recipient, Some(failure));
            if deferred {
                event = event.with("next", next.millis());
            }
            if let Some(TlsInfo {
                version, cipher, ..
            }) = tls
            {
                event = event.with("tls", format_args!("{version} {cipher}"));
            }
            batch.events.push(event);
        }
        if out_of_time > 0 {
            let event = self
                .event(EventName::MessageExpired, entry.trace)
                .with("queue", entry.id)
                .with("recipients", out_of_time)
                .with("attempts", entry.progress.attempts.saturating_add(1));
            batch.events.push(event);
        }
    }

    fn what_is_left(&self, settlement: Settlement<'_>, next: Timestamp) -> SpoolChange {
        let entry = settlement.entry;
        let counted = u32::from(settlement.attempted);
        let round_broke = settlement.broke;
        let mut progress = QueueProgress {
            recipients: settlement.left,
            done: [&entry.progress.done[..], &settlement.done[..]].concat(),
            next_attempt: next,
            expires_at: entry.progress.expires_at,
            attempts: entry.progress.attempts.saturating_add(counted),
            broken: match round_broke {
                true => entry.progress.broken.saturating_add(1),
                false if counted == 0 => entry.progress.broken,
                false => 0,
            },
            state: entry.progress.state.clone(),
            delay_told: entry.progress.delay_told || settlement.delay_told,
        };
        if progress.recipients.is_empty() {
            // A notice that fails, or mail from nobody, has nobody to be told
            // (RFC 5321 section 4.5.5): it waits for an operator instead.
            progress.recipients = untold(entry, &mut progress.done);
            if progress.recipients.is_empty() {
                return self.done_with(entry.id, progress);
            }
            progress.state = self.bad("it failed, and there is no return path to tell");
        } else if progress.broken >= MOST_BROKEN {
            progress.state = self.bad(BREAKS);
        }
        SpoolChange::Update {
            id: entry.id,
            progress,
            lease: AfterUpdate::EndLease,
        }
    }

    /// By the schedule after an attempt. What was put off comes back when its
    /// destination does, but in time for what the sender is to be told.
    fn next_attempt(&self, settlement: &Settlement<'_>) -> Timestamp {
        let Settlement { entry, now, .. } = settlement;
        let expires_at = entry.progress.expires_at;
        let again_at = match settlement.again_at {
            Some(at) if !settlement.attempted => at,
            _ => {
                let attempts = entry.progress.attempts.saturating_add(1);
                let next = self
                    .config
                    .schedule
                    .next_attempt(*now, attempts, expires_at);
                return deadline::in_time(entry, *now, next);
            }
        };
        // What is to come back at once does, and does not wait for a notice.
        let moments = [Some(expires_at), self.notice_at(entry)];
        let to_tell = moments.into_iter().flatten().filter(|at| at > now).min();
        let next = again_at.min(to_tell.unwrap_or(again_at)).max(*now);
        deadline::in_time(entry, *now, next)
    }
}

/// Those who failed and of whom nobody could be told, taken out of `done`.
fn untold(entry: &QueueEntry, done: &mut Vec<DoneRecipient>) -> Vec<QueueRecipient> {
    if entry.reverse_path != ReversePath::Null {
        return Vec::new();
    }
    // Answers that rules write ask for no notice, and nobody looks for them: most
    // who can't be answered never were there.
    let asks = |it: &DoneRecipient| {
        entry.origin != Origin::Host || it.recipient.notify.failure || !it.recipient.notify.asked
    };
    let failed = done.extract_if(.., |it| it.ended == Ended::Failed && asks(it));
    failed
        .map(|it| QueueRecipient {
            recipient: it.recipient,
            last_failure: Some(Failure {
                remote: it.remote,
                reply_code: it.reply_code,
                at: Some(it.at),
                ..Failure::local(it.status)
            }),
        })
        .collect()
}

fn by_address(entry: &QueueEntry) -> HashMap<&Address, &QueueRecipient> {
    let recipients = entry.progress.recipients.iter();
    recipients
        .map(|queued| (&queued.recipient.address, queued))
        .collect()
}
