//! What comes of rules beside the copies of a message: letters, and the notice to
//! whom the rules belong that they failed.
//!
//! Each letter is a batch of its own, after the message is filed: one that can't be
//! written is lost, and never the message. A letter in place of a refusal is all
//! that the sender hears: until it is written the message is not taken.

use std::sync::Arc;
use std::time::Duration;

use super::{After, MailboxTarget, delivery_id};
use crate::address::{Address, Domain, ReversePath};
use crate::batch::{Append, Batch, IfMissing, Precondition, SpoolChange, StateChange};
use crate::envelope::{BodyType, MailParams, Notify, Recipient};
use crate::event::{Event, EventId, EventName, TraceId};
use crate::message::{ContentWriter, DateTime, HeaderWriter, Message, Summary};
use crate::queue::{Origin, QueueEntry, QueueId, QueueProgress, RetrySchedule};
use crate::seams::{
    Clock, Commit, CommitError, Entropy, Letter, LetterCopy, NewMessage, StateKey, StoreError,
};
use crate::time::Timestamp;

/// Letters that one message brings forth for one recipient.
const MOST_LETTERS: usize = 16;
/// Recipients of a letter.
const MOST_RECIPIENTS: usize = 100;
/// Owners of rules that fail are told no more often than this.
const TELL_AGAIN: Duration = Duration::from_secs(24 * 3_600);
/// For how long it is known that a delivery has had its consequences: longer than
/// a message stays in the queue.
const REMEMBER: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Octets of what is told of a failure.
const MOST_WORDS: usize = 1_000;
/// Where the state keeps what is not to happen twice.
const NAMESPACE: &str = "rules";

/// Writes letters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Letters<'a> {
    pub(crate) commit: &'a Arc<dyn Commit>,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) entropy: &'a dyn Entropy,
    pub(crate) schedule: &'a RetrySchedule,
    pub(crate) hostname: &'a Domain,
}

/// Whose letters they are, and of which message they come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cause<'a> {
    pub(crate) owner: &'a MailboxTarget,
    pub(crate) trace: TraceId,
}

/// Notes that a consequence of a delivery was seen to, which may be tried again
/// after a crash.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) precondition: Precondition,
    pub(crate) change: StateChange,
}

impl Guard {
    /// For the consequence `what` of the delivery of `trace` to `address`.
    pub(crate) fn of(trace: TraceId, address: &Address, what: &str, now: Timestamp) -> Self {
        let delivery = delivery_id(trace, address, 0);
        let key = StateKey::new(NAMESPACE, &format!("done {:032x} {what}", delivery.0));
        Self::until(key, now.after(REMEMBER))
    }

    fn until(key: StateKey, until: Timestamp) -> Self {
        Self {
            precondition: Precondition::StateIs {
                key: key.clone(),
                version: None,
            },
            change: StateChange::Put {
                key,
                value: Vec::new(),
                expires: Some(until),
            },
        }
    }
}

/// Whether the delivery that letters come of may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeats {
    /// It may: each letter is noted down with it.
    Maybe,
    /// It may not.
    Never,
}

impl Letters<'_> {
    /// Sends all letters that come of a message, and tells of what failed.
    ///
    /// # Errors
    /// Why a letter was not kept; the others are all the same. It matters where a
    /// letter is all that a sender hears.
    pub(crate) async fn send_all(
        &self,
        after: After,
        trace: TraceId,
        repeats: Repeats,
    ) -> Result<(), CommitError> {
        let mut sent = Ok(());
        let Some(owner) = &after.owner else {
            return sent;
        };
        let cause = Cause { owner, trace };
        if after.letters.len() > MOST_LETTERS {
            tracing::warn!(%trace, account = %owner.account, "rules write too many letters; some are left out");
        }
        for (index, letter) in after.letters.into_iter().take(MOST_LETTERS).enumerate() {
            let guard = match repeats {
                Repeats::Maybe => {
                    let (address, now) = (&owner.address, self.clock.now());
                    Some(Guard::of(trace, address, &format!("letter {index}"), now))
                }
                Repeats::Never => None,
            };
            sent = sent.and(self.send(&cause, letter, guard).await);
        }
        if let Some(reason) = after.failed {
            self.tell_failed(&cause, &reason).await;
        }
        sent
    }

    /// Sends one letter, unless `guard` or its own key says that it was sent.
    async fn send(
        &self,
        cause: &Cause<'_>,
        letter: Letter,
        guard: Option<Guard>,
    ) -> Result<(), CommitError> {
        let trace = cause.trace;
        let committed = match self.batch(cause, letter, guard).await {
            Ok(batch) => self.commit.commit(batch).await,
            Err(error) => Err(CommitError::Store(error)),
        };
        match committed {
            Ok(receipt) => {
                if let Some(error) = receipt.appends.into_iter().find_map(Result::err) {
                    tracing::warn!(%error, %trace, "the copy of a letter can't be filed");
                }
            }
            Err(CommitError::Precondition(_)) => {
                tracing::debug!(%trace, "a letter was sent before");
            }
            Err(error) => {
                tracing::error!(%error, %trace, "a letter that rules wrote can't be kept");
                return Err(error);
            }
        }
        Ok(())
    }

    async fn batch(
        &self,
        cause: &Cause<'_>,
        mut letter: Letter,
        guard: Option<Guard>,
    ) -> Result<Batch, StoreError> {
        let now = self.clock.now();
        let mut batch = Batch::default();
        let once = letter.once.take();
        let once = once.map(|once| Guard::until(once.key, once.until));
        for guard in once.into_iter().chain(guard) {
            batch.preconditions.push(guard.precondition);
            batch.state.push(guard.change);
        }
        let params = params(&letter);
        let mut writer = ContentWriter::new(Some(Arc::clone(self.commit)), u64::MAX);
        writer.write(letter.message).await?;
        let (content, summary) = writer.finish().await?;
        let message = Message::new(content);
        let trace = TraceId(self.entropy.id(now));
        if let Some(copy) = letter.copy {
            let new = (message.clone(), Arc::new(summary));
            batch.appends.push(self.copy(cause, new, (copy, trace)));
        }
        letter.recipients.truncate(MOST_RECIPIENTS);
        if letter.recipients.is_empty() {
            return Ok(batch);
        }
        let notify = match letter.reverse_path {
            ReversePath::Null => Notify::NEVER,
            _ => Notify::default(),
        };
        let recipients = letter.recipients.into_iter().map(|address| Recipient {
            notify,
            ..Recipient::new(address)
        });
        let recipients: Vec<_> = recipients.collect();
        let entry = QueueEntry {
            id: QueueId(self.entropy.id(now)),
            trace,
            reverse_path: letter.reverse_path,
            params,
            origin: Origin::Host,
            received_at: now,
            message,
            findings: Arc::default(),
            progress: QueueProgress::new(recipients, now, self.schedule.expires_at(now)),
        };
        batch.events.extend(self.sent(cause, &entry));
        batch.spool.push(SpoolChange::Enqueue(Arc::new(entry)));
        Ok(batch)
    }

    fn copy(
        &self,
        cause: &Cause<'_>,
        (message, summary): (Message, Arc<Summary>),
        (copy, trace): (LetterCopy, TraceId),
    ) -> Append {
        Append {
            account: cause.owner.account.clone(),
            mailbox: copy.mailbox,
            if_missing: match copy.create {
                true => IfMissing::Create,
                false => IfMissing::FileToInbox,
            },
            message: NewMessage {
                message,
                summary,
                flags: copy.flags,
                internal_date: self.clock.now(),
            },
            delivery_id: Some(delivery_id(trace, &cause.owner.address, 0)),
            quota: cause.owner.quota,
            trace,
            recipient: Some(cause.owner.address.clone()),
        }
    }

    fn event(&self, name: EventName, trace: TraceId) -> Event {
        let now = self.clock.now();
        Event {
            id: EventId(self.entropy.id(now)),
            at: now,
            name,
            trace: Some(trace),
            account: None,
            fields: Vec::new(),
        }
    }

    /// Two events: of the message that it comes of, and the first of its own track.
    fn sent(&self, cause: &Cause<'_>, entry: &QueueEntry) -> [Event; 2] {
        let recipients = &entry.progress.recipients;
        let recipients: Vec<_> = recipients.iter().map(|it| it.recipient.clone()).collect();
        let told = |event: Event| {
            event
                .with("from", &entry.reverse_path)
                .with("to", super::tell::named(&recipients))
                .with("recipients", recipients.len())
                .with("queue", entry.id)
        };
        let mut sent = told(self.event(EventName::LetterSent, cause.trace));
        sent.account = Some(cause.owner.account.clone());
        let queued = told(self.event(EventName::MessageQueued, entry.trace));
        [sent.with("letter", entry.trace), queued]
    }

    /// Tells of rules that failed: in an event, and to whom they belong.
    async fn tell_failed(&self, cause: &Cause<'_>, reason: &str) {
        let reason = reason.get(..reason.floor_char_boundary(MOST_WORDS));
        let reason = reason.unwrap_or_default();
        let mut event = self
            .event(EventName::RulesFailed, cause.trace)
            .with("to", &cause.owner.address)
            .with("error", reason);
        event.account = Some(cause.owner.account.clone());
        let batch = Batch {
            events: vec![event],
            ..Batch::default()
        };
        if let Err(error) = self.commit.commit(batch).await {
            tracing::error!(%error, trace = %cause.trace, "can't tell of rules that failed");
        }
        let now = self.clock.now();
        let key = StateKey::new(NAMESPACE, &format!("failed {}", cause.owner.account));
        let notice = Letter::new(ReversePath::Null, [], self.failure(cause, reason))
            .once(key, now.after(TELL_AGAIN))
            .copied_to(LetterCopy::new(cause.owner.mailbox.clone()));
        // It is in the log, too.
        let _ = self.send(cause, notice, None).await;
    }

    fn failure(&self, cause: &Cause<'_>, reason: &str) -> Vec<u8> {
        let now = self.clock.now();
        let id = TraceId(self.entropy.id(now));
        let mut header = HeaderWriter::new();
        header
            .date("Date", DateTime::utc(now))
            .structured(
                "From",
                format_args!("Mail server <postmaster@{}>", self.hostname),
            )
            .structured("To", format_args!("<{}>", cause.owner.address))
            .text("Subject", "Your mail rules failed")
            .structured("Message-ID", format_args!("<{id}@{}>", self.hostname))
            // RFC 3834 section 5: no program answers it.
            .structured("Auto-Submitted", "auto-generated")
            .structured("MIME-Version", "1.0")
            .structured("Content-Type", "text/plain; charset=utf-8")
            .structured("Content-Transfer-Encoding", "8bit");
        let mut octets = header.finish();
        let reason = reason.lines().collect::<Vec<_>>().join("\r\n  ");
        let text = format!(
            "\r\nThe rules for {} could not be carried through for a message:\r\n\r\n  {reason}\r\n\r\n\
             The message was kept in your mailbox. The server keeps mail so until the\r\n\
             rules are corrected; you are told of it at most once a day.\r\n\r\n\
             The message's track: {}\r\n",
            cause.owner.address, cause.trace
        );
        octets.extend_from_slice(text.as_bytes());
        octets
    }
}

/// What the way of a letter needs, by what it holds.
fn params(letter: &Letter) -> MailParams {
    let ascii = letter.message.is_ascii();
    let header = crate::message::Header::new(&letter.message).section_len();
    let header = letter.message.get(..header).unwrap_or_default();
    let addresses = letter
        .recipients
        .iter()
        .chain(letter.reverse_path.address());
    MailParams {
        body: match ascii {
            true => BodyType::SevenBit,
            false => BodyType::EightBitMime,
        },
        smtputf8: !header.is_ascii() || !addresses.into_iter().all(Address::is_ascii),
        ..MailParams::default()
    }
}
