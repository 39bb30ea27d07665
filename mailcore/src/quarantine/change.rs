//! What is done to mail in quarantine: released, sent to others, deleted.

use std::sync::Arc;

use super::keys::{changes, record_key};
use super::mail::{QuarantinedMail, QuarantinedRecipient};
use super::store::{QuarantineError, QuarantineStore};
use crate::account::AccountId;
use crate::address::{Address, ReversePath};
use crate::batch::{AfterUpdate, Batch, Precondition, SpoolChange};
use crate::envelope::{MailParams, Recipient};
use crate::event::{Event, EventId, EventName, TraceId};
use crate::intake::tell::named;
use crate::message::DateTime;
use crate::plan::{QuarantinePlace, Releasable};
use crate::queue::{QueueEntry, QueueId, QueueProgress};
use crate::seams::CommitError;

/// How often a change is tried that meets another one.
const TRIES: usize = 4;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Actor {
    /// An administrator: sees everything, for everybody.
    Admin,
    /// Whose mailbox it is: sees mail for it, and acts for itself alone.
    Account(AccountId),
    /// The server itself, since the time is over.
    Age,
    /// The server itself, since there is too much.
    Limit,
}

impl Actor {
    /// As events name it.
    fn word(&self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Account(_) => "recipient",
            Self::Age => "age",
            Self::Limit => "limit",
        }
    }

    fn acts_for(&self, mail: &QuarantinedMail, recipient: &QuarantinedRecipient) -> bool {
        match self {
            Self::Account(account) => {
                mail.place != QuarantinePlace::Admin && recipient.account.as_ref() == Some(account)
            }
            _ => true,
        }
    }
}

/// For which of a message's recipients something is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Chosen {
    /// For all for whom the actor may do it.
    #[default]
    Everybody,
    /// For this one.
    Address(Address),
    /// For those whose mailbox is this account's.
    Account(AccountId),
}

impl Chosen {
    fn takes(&self, recipient: &QuarantinedRecipient) -> bool {
        match self {
            Self::Everybody => true,
            Self::Address(address) => recipient.address.folded() == address.folded(),
            Self::Account(account) => recipient.account.as_ref() == Some(account),
        }
    }
}

/// What a change is about: the message before, those it is done for, and what is
/// left.
struct Order<'a> {
    mail: QuarantinedMail,
    version: u64,
    /// The message with those alone who are meant.
    meant: QuarantinedMail,
    /// The message with the others.
    left: QuarantinedMail,
    actor: &'a Actor,
}

impl QuarantineStore {
    /// Lets a message go to those who are chosen, past the filters; its id in the
    /// queue. Their rules see it as any mail.
    ///
    /// # Errors
    /// [`QuarantineError`]; harmful mail is released to nobody.
    pub async fn release(
        &self,
        id: QueueId,
        chosen: &Chosen,
        actor: &Actor,
    ) -> Result<QueueId, QuarantineError> {
        for _ in 0..TRIES {
            let order = self.order(id, chosen, actor).await?;
            permit(&order.mail)?;
            let entry = self.entry(id).await?.ok_or(QuarantineError::NotFound(id))?;
            let released = self.released(&entry, recipients(&entry, &order.meant));
            let into = released.id;
            let mut batch = self.taken_out(&order, &entry);
            let told = self
                .event(EventName::QuarantineReleased, &order.meant, actor)
                .with("into", into);
            batch.events.extend([told, self.queued(&released)]);
            batch.spool.push(SpoolChange::Enqueue(Arc::new(released)));
            if self.write(batch).await? {
                return Ok(into);
            }
        }
        Err(QuarantineError::Busy(id))
    }

    /// Sends a copy to others, past the filters; its id in the queue. It is a
    /// message of its own, with a track of its own, and the one in quarantine
    /// stays there.
    ///
    /// # Errors
    /// [`QuarantineError`], as [`QuarantineStore::release`].
    pub async fn send_copy(&self, id: QueueId, to: &[Address]) -> Result<QueueId, QuarantineError> {
        let actor = Actor::Admin;
        let order = self.order(id, &Chosen::Everybody, &actor).await?;
        permit(&order.mail)?;
        let entry = self.entry(id).await?.ok_or(QuarantineError::NotFound(id))?;
        let to = to.iter().cloned().map(Recipient::new).collect();
        let mut copy = self.released(&entry, to);
        // Its first sender is to hear nothing of what becomes of it.
        copy.reverse_path = ReversePath::Null;
        copy.params = MailParams::default();
        copy.trace = TraceId(self.seams.entropy.id(self.seams.clock.now()));
        let into = copy.id;
        let to: Vec<Recipient> = envelope(&copy);
        let told = self
            .event_to(EventName::QuarantineReleased, &order.mail, &to, &actor)
            .with("into", into);
        let batch = Batch {
            events: vec![told, self.queued(&copy).with("resent", entry.trace)],
            spool: vec![SpoolChange::Enqueue(Arc::new(copy))],
            ..Batch::default()
        };
        self.seams.commit.commit(batch).await?;
        Ok(into)
    }

    /// Deletes a message for those who are chosen, without a word to its sender.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub async fn delete(
        &self,
        id: QueueId,
        chosen: &Chosen,
        actor: &Actor,
    ) -> Result<(), QuarantineError> {
        for _ in 0..TRIES {
            let order = self.order(id, chosen, actor).await?;
            let batch = match self.entry(id).await? {
                Some(entry) => self.deleted(&order, &entry),
                // A record whose message is gone is good for nothing.
                None => self.forgotten(&order),
            };
            if self.write(batch).await? {
                return Ok(());
            }
        }
        Err(QuarantineError::Busy(id))
    }

    async fn order<'a>(
        &self,
        id: QueueId,
        chosen: &Chosen,
        actor: &'a Actor,
    ) -> Result<Order<'a>, QuarantineError> {
        let absent = QuarantineError::NotFound(id);
        let Some((mail, version)) = self.record(id).await? else {
            return Err(absent);
        };
        let (mut meant, mut left) = (mail.clone(), mail.clone());
        meant.recipients.retain(|it| actor.acts_for(&mail, it));
        if meant.recipients.is_empty() {
            // Whoever may not see it learns nothing of it.
            return Err(absent);
        }
        meant.recipients.retain(|it| chosen.takes(it));
        if meant.recipients.is_empty() {
            return Err(match chosen {
                Chosen::Address(address) => QuarantineError::NotFor {
                    id,
                    address: address.clone(),
                },
                _ => absent,
            });
        }
        left.recipients.retain(|it| !meant.recipients.contains(it));
        Ok(Order {
            mail,
            version,
            meant,
            left,
            actor,
        })
    }

    /// The batch that takes those who are meant out of a message.
    fn taken_out(&self, order: &Order<'_>, entry: &QueueEntry) -> Batch {
        let id = entry.id;
        let change = match order.left.recipients.is_empty() {
            true => SpoolChange::Remove { id },
            false => SpoolChange::Update {
                id,
                progress: QueueProgress {
                    recipients: QueueProgress::new(
                        recipients(entry, &order.left),
                        entry.progress.next_attempt,
                        entry.progress.expires_at,
                    )
                    .recipients,
                    ..entry.progress.clone()
                },
                lease: AfterUpdate::EndLease,
            },
        };
        Batch {
            preconditions: vec![Precondition::StateIs {
                key: record_key(id),
                version: Some(order.version),
            }],
            spool: vec![change],
            state: changes(Some(&order.mail), &order.left),
            ..Batch::default()
        }
    }

    fn deleted(&self, order: &Order<'_>, entry: &QueueEntry) -> Batch {
        let mut batch = self.taken_out(order, entry);
        let told = self.event(EventName::QuarantineDeleted, &order.meant, order.actor);
        batch.events.push(told);
        batch
    }

    fn forgotten(&self, order: &Order<'_>) -> Batch {
        let mut gone = order.mail.clone();
        gone.recipients.clear();
        Batch {
            state: changes(Some(&order.mail), &gone),
            ..Batch::default()
        }
    }

    /// False when somebody else was faster.
    async fn write(&self, batch: Batch) -> Result<bool, QuarantineError> {
        match self.seams.commit.commit(batch).await {
            Ok(_) => Ok(true),
            Err(CommitError::Precondition(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The entry that brings a message to `to`. Its time begins anew: what it
    /// waited here must not count.
    fn released(&self, entry: &QueueEntry, to: Vec<Recipient>) -> QueueEntry {
        let now = self.seams.clock.now();
        let mut params = entry.params.clone();
        (params.hold_until, params.deliver_by) = (None, None);
        // RFC 5321 section 4.4: where it was, and since when it goes on.
        let mut prefix = format!(
            "Received: by {} (released from quarantine) with local\r\n\tid {};\r\n\t{}\r\n",
            self.hostname,
            entry.id,
            DateTime::utc(now)
        )
        .into_bytes();
        prefix.extend_from_slice(entry.message.prefix());
        QueueEntry {
            id: QueueId(self.seams.entropy.id(now)),
            params,
            message: entry.message.with_prefix(prefix),
            // Who releases it does not believe them, and rules are not to either.
            findings: Arc::default(),
            progress: QueueProgress::new(to, now, self.schedule.expires_at(now)),
            ..entry.clone()
        }
    }

    fn queued(&self, entry: &QueueEntry) -> Event {
        let to = envelope(entry);
        self.raw_event(EventName::MessageQueued, entry.trace)
            .with("from", &entry.reverse_path)
            .with("queue", entry.id)
            .with("to", named(&to))
            .with("recipients", to.len())
    }

    fn event(&self, name: EventName, meant: &QuarantinedMail, actor: &Actor) -> Event {
        self.event_to(name, meant, &meant.envelope(), actor)
    }

    fn event_to(
        &self,
        name: EventName,
        mail: &QuarantinedMail,
        to: &[Recipient],
        actor: &Actor,
    ) -> Event {
        let mut event = self.raw_event(name, mail.trace);
        if let Actor::Account(account) = actor {
            event.account = Some(account.clone());
        }
        event
            .with("from", &mail.from)
            .with("to", named(to))
            .with("recipients", to.len())
            .with("queue", mail.id)
            .with("by", actor.word())
    }

    fn raw_event(&self, name: EventName, trace: TraceId) -> Event {
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
}

fn permit(mail: &QuarantinedMail) -> Result<(), QuarantineError> {
    match mail.release {
        Releasable::Yes => Ok(()),
        Releasable::Never => Err(QuarantineError::Harmful {
            id: mail.id,
            reason: mail.reason.clone(),
        }),
    }
}

fn envelope(entry: &QueueEntry) -> Vec<Recipient> {
    let queued = entry.progress.recipients.iter();
    queued.map(|it| it.recipient.clone()).collect()
}

/// Those of an entry's recipients that are among a record's.
fn recipients(entry: &QueueEntry, among: &QuarantinedMail) -> Vec<Recipient> {
    let mut recipients = envelope(entry);
    recipients.retain(|it| among.recipients.iter().any(|one| one.address == it.address));
    recipients
}
