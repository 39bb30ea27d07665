//! One change to a store, in numbers that the model and the store understand
//! alike, and how it is asked for.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::account::AccountId;
use crate::address::ReversePath;
use crate::batch::{
    AfterUpdate, Append, Batch, DeliveryId, IfMissing, Precondition, Receipt, SpoolChange,
    StateChange,
};
use crate::envelope::{MailParams, Recipient};
use crate::event::{Event, EventId, EventName, TraceId};
use crate::mailbox::{FlagChange, Flags, MailboxName, Uid, UidSet};
use crate::message::{INLINE_LIMIT, Message, Summary};
use crate::queue::{EntryState, Origin, QueueEntry, QueueId, QueueProgress};
use crate::seams::{
    Appended, CommitError, CopyReceipt, Lease, LeaseLimit, NewMessage, QuotaLimit, StateValue,
    StoreError, StoreReceipt,
};
use crate::server::Stores;
use crate::time::Timestamp;

/// The event name of the kit's own events.
pub(super) const EVENT: &str = "CrashKit";
/// The namespace of the kit's state.
pub(super) const NAMESPACE: &str = "crash-kit";
/// Octets of a line of a message.
pub(super) const LINE: usize = 16;
/// Octets written to a stage at a time: no multiple of any block.
const STAGE_PIECE: usize = 30_011;

/// A mailbox of an account.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) account: usize,
    pub(super) name: MailboxName,
}

impl fmt::Debug for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user{}:{}", self.account, self.name.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {} of {} octets", self.number, self.size)
    }
}

impl Spot {
    pub(super) fn new(account: usize, name: &str) -> Self {
        let name = MailboxName::parse(name).expect("the kit's names are names");
        Self { account, name }
    }

    pub(super) fn id(&self) -> AccountId {
        account(self.account)
    }

    /// Another mailbox of the same account.
    pub(super) fn beside(&self, name: &MailboxName) -> Self {
        Self {
            name: name.clone(),
            account: self.account,
        }
    }
}

pub(super) fn account(number: usize) -> AccountId {
    AccountId::new(&format!("user{number}@crash.test"))
}

/// A message, made from its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text {
    pub(super) number: u64,
    /// Octets below its header: a multiple of [`LINE`].
    pub(super) size: usize,
    /// The copy has header lines of its own.
    pub(super) prefixed: bool,
}

impl Text {
    pub(super) fn prefix(&self) -> String {
        match self.prefixed {
            true => format!(
                "Delivered-To: user@crash.test\r\nX-Copy: {}\r\n",
                self.number
            ),
            false => String::new(),
        }
    }

    pub(super) fn content(&self) -> String {
        let head = format!("From: a@crash.test\r\nSubject: {}\r\n\r\n", self.number);
        let line = format!("{:014}\r\n", self.number);
        head + &line.repeat(self.size / LINE)
    }

    pub(super) fn octets(&self) -> String {
        self.prefix() + &self.content()
    }

    /// INTERNALDATE.
    pub(super) fn date(&self) -> Timestamp {
        Timestamp::from_secs(1_000_000_000 + self.number.cast_signed())
    }

    /// The message, its content staged where it is large.
    async fn message(&self, stores: &Stores) -> Result<Message, StoreError> {
        let content = Bytes::from(self.content());
        let message = match content.len() > INLINE_LIMIT {
            true => {
                let mut stage = stores.commit.stage().await?;
                let mut at = 0;
                while at < content.len() {
                    let end = (at + STAGE_PIECE).min(content.len());
                    stage.write(content.slice(at..end)).await?;
                    at = end;
                }
                Message::new(stage.finish().await?)
            }
            false => Message::from_bytes(content),
        };
        Ok(message.with_prefix(self.prefix()))
    }

    async fn new_message(&self, flags: &Flags, stores: &Stores) -> Result<NewMessage, StoreError> {
        Ok(NewMessage {
            message: self.message(stores).await?,
            summary: Arc::new(Summary::scan(self.octets().as_bytes())),
            flags: flags.clone(),
            internal_date: self.date(),
        })
    }
}

/// A change to the queue.
#[derive(Debug, Clone)]
pub(super) enum QueueWork {
    Enqueue(u128, Text, QueueProgress),
    /// Under a lease, as a runner does it.
    Update(u128, QueueProgress),
    Remove(u128),
}

/// One batch.
#[derive(Debug, Clone, Default)]
pub(super) struct Work {
    pub(super) preconditions: Vec<Precondition>,
    /// Where, what, and the delivery's id.
    pub(super) deliveries: Vec<(Spot, Text, u128)>,
    pub(super) queue: Vec<QueueWork>,
    pub(super) state: Vec<StateChange>,
    pub(super) events: Range<u128>,
}

/// A change, all or nothing.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Commit(Work),
    Append(Spot, Vec<Text>, Flags),
    Flags(Spot, Vec<u32>, FlagChange),
    Copy(Spot, Vec<u32>, MailboxName),
    Move(Spot, Vec<u32>, MailboxName),
    Expunge(Spot, Vec<u32>),
    Replace(Spot, u32, MailboxName, Text),
    Create(Spot),
    Delete(Spot),
    Rename(Spot, MailboxName),
    Subscribe(Spot),
    Unsubscribe(Spot),
    State(Vec<StateChange>),
}

/// What an acknowledged step told.
#[derive(Debug, Clone)]
pub(super) enum Told {
    /// It is not known; the step may have been done all the same.
    Nothing,
    Receipt(Receipt),
    Appended(Vec<Appended>),
    Flags(StoreReceipt),
    Copied(CopyReceipt),
    Expunged(UidSet),
    State(Vec<Option<StateValue>>),
}

pub(super) fn uid_set(uids: &[u32]) -> UidSet {
    uids.iter().filter_map(|it| Uid::new(*it)).collect()
}

pub(super) fn progress(attempts: u32, next: Timestamp, state: EntryState) -> QueueProgress {
    let to = "someone@elsewhere.test".parse().expect("an address");
    QueueProgress {
        attempts,
        state,
        ..QueueProgress::new(
            [Recipient::new(to)],
            next,
            Timestamp::from_secs(4_000_000_000),
        )
    }
}

impl Step {
    /// Asks the store for it.
    pub(super) async fn perform(
        &self,
        stores: &Stores,
        now: Timestamp,
    ) -> Result<Told, CommitError> {
        let storage = &stores.storage;
        let open = async |spot: &Spot| storage.open(&spot.id(), &spot.name).await;
        match self {
            Self::Commit(work) => return work.perform(stores, now).await.map(Told::Receipt),
            Self::Append(spot, texts, flags) => {
                let mut messages = Vec::new();
                for text in texts {
                    messages.push(text.new_message(flags, stores).await?);
                }
                return Ok(Told::Appended(
                    open(spot).await?.append(messages, QuotaLimit::NONE).await?,
                ));
            }
            Self::Flags(spot, uids, change) => {
                let receipt = open(spot)
                    .await?
                    .store(&uid_set(uids), change, None)
                    .await?;
                return Ok(Told::Flags(receipt));
            }
            Self::Copy(spot, uids, to) => {
                return Ok(Told::Copied(
                    open(spot)
                        .await?
                        .copy(&uid_set(uids), to, QuotaLimit::NONE)
                        .await?,
                ));
            }
            Self::Move(spot, uids, to) => {
                let receipt = open(spot).await?.move_to(&uid_set(uids), to).await?;
                return Ok(Told::Copied(receipt));
            }
            Self::Expunge(spot, uids) => {
                return Ok(Told::Expunged(
                    open(spot).await?.expunge(&uid_set(uids)).await?,
                ));
            }
            Self::Replace(spot, uid, to, text) => {
                let uid = Uid::new(*uid).ok_or(StoreError::NotFound)?;
                let message = text.new_message(&Flags::NONE, stores).await?;
                let mailbox = open(spot).await?;
                let quota = QuotaLimit::NONE;
                let appended = mailbox.replace(uid, to, message, quota).await?;
                return Ok(Told::Appended(vec![appended]));
            }
            Self::State(changes) => {
                return Ok(Told::State(stores.state.change(changes.clone()).await?));
            }
            Self::Create(spot) if spot.name.is_inbox() => drop(open(spot).await?),
            Self::Create(spot) => drop(storage.create(&spot.id(), &spot.name, None).await?),
            Self::Delete(spot) => storage.delete(&spot.id(), &spot.name).await?,
            Self::Rename(spot, to) => storage.rename(&spot.id(), &spot.name, to).await?,
            Self::Subscribe(spot) => storage.subscribe(&spot.id(), &spot.name).await?,
            Self::Unsubscribe(spot) => storage.unsubscribe(&spot.id(), &spot.name).await?,
        }
        Ok(Told::Nothing)
    }
}

impl Work {
    async fn perform(&self, stores: &Stores, now: Timestamp) -> Result<Receipt, CommitError> {
        let mut batch = Batch {
            preconditions: self.preconditions.clone(),
            state: self.state.clone(),
            events: self.events.clone().map(event).collect(),
            ..Batch::default()
        };
        let mut staged: Vec<(Text, Message)> = Vec::new();
        for (spot, text, id) in &self.deliveries {
            // One body for all recipients, as an intake has it.
            let known = staged.iter().find(|(it, _)| it.number == text.number);
            let message = match known {
                Some((_, message)) => message.with_prefix(text.prefix()),
                None => text.message(stores).await?,
            };
            staged.push((*text, message.clone()));
            batch.appends.push(filing(spot, text, *id, message));
        }
        for work in &self.queue {
            work.put(&mut batch, stores, now).await?;
        }
        stores.commit.commit(batch).await
    }
}

fn filing(spot: &Spot, text: &Text, id: u128, message: Message) -> Append {
    Append {
        account: spot.id(),
        mailbox: spot.name.clone(),
        if_missing: IfMissing::Fail,
        message: NewMessage {
            message,
            summary: Arc::new(Summary::scan(text.octets().as_bytes())),
            flags: Flags::NONE,
            internal_date: text.date(),
        },
        delivery_id: Some(DeliveryId(id)),
        quota: QuotaLimit::NONE,
        trace: TraceId(id),
        recipient: None,
    }
}

fn event(id: u128) -> Event {
    Event {
        id: EventId(id),
        at: Timestamp::from_secs(1),
        name: EventName::parse(EVENT),
        trace: None,
        account: None,
        fields: vec![("number".into(), id.to_string())],
    }
}

impl QueueWork {
    async fn put(
        &self,
        batch: &mut Batch,
        stores: &Stores,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let change = match self {
            Self::Enqueue(id, text, progress) => SpoolChange::Enqueue(Arc::new(QueueEntry {
                id: QueueId(*id),
                trace: TraceId(*id),
                reverse_path: ReversePath::Null,
                params: MailParams::default(),
                origin: Origin::Received,
                received_at: text.date(),
                message: text.message(stores).await?,
                findings: Arc::default(),
                progress: progress.clone(),
            })),
            Self::Update(id, progress) => {
                batch.preconditions.extend(held(*id, stores, now).await?);
                SpoolChange::Update {
                    id: QueueId(*id),
                    progress: progress.clone(),
                    lease: AfterUpdate::EndLease,
                }
            }
            Self::Remove(id) => {
                batch.preconditions.extend(held(*id, stores, now).await?);
                SpoolChange::Remove { id: QueueId(*id) }
            }
        };
        batch.spool.push(change);
        Ok(())
    }
}

/// Leases an entry, when it can be had, and nothing else.
async fn held(
    id: u128,
    stores: &Stores,
    now: Timestamp,
) -> Result<Option<Precondition>, StoreError> {
    let hour = Duration::from_secs(3_600);
    let leased = stores
        .spool
        .lease(now, LeaseLimit::all(1_000), hour)
        .await?;
    let mut mine: Option<Lease> = None;
    for (entry, lease) in leased {
        match entry.id == QueueId(id) {
            true => mine = Some(lease),
            false => stores.spool.release(entry.id, lease).await?,
        }
    }
    Ok(mine.map(|lease| Precondition::LeaseHeld {
        id: QueueId(id),
        lease,
    }))
}
