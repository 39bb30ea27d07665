//! [`Stores::beside`]: a host's own place for mail, and one of our stores for
//! everything else.
//!
//! Two stores have no commit in common. So what is to be filed is written down
//! first, in ours, in the batch that says so; then the host files it, by an id
//! that it knows a repetition by; then ours forgets it. What a crash left in
//! between is filed at the next start.

mod intent;

use std::sync::Arc;

use async_trait::async_trait;

use self::intent::Intent;
use super::Stores;
use crate::batch::{AfterUpdate, Append, Batch, IfMissing, Receipt, SpoolChange, StateChange};
use crate::event::{Event, EventId, EventName};
use crate::mailbox::MailboxName;
use crate::message::Message;
use crate::queue::{EntryState, QueueId};
use crate::seams::{
    Appended, Clock, Commit, CommitError, Entropy, NewMessage, OsEntropy, Stage, StateKey, Storage,
    StoreError, SystemClock,
};

/// Where the intents are, by the queue entry that holds the message.
const NAMESPACE: &str = "filing";
/// Intents looked at together.
const PAGE: usize = 100;
/// How long an operator may look at what can't be filed.
const BAD_FOR: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3_600);

impl Stores {
    /// Keeps mail in `storage` and everything else (queue, small values, events)
    /// in `rest`, and first files what a crash left unfiled.
    ///
    /// Mail is in `rest` until `storage` has it, so nothing acknowledged is lost
    /// whenever the process dies; a `storage` with a
    /// [`Mailbox::append_once`](crate::seams::Mailbox::append_once) of its own
    /// files nothing twice either. A message costs two commits of `rest` more
    /// than with a store that does all.
    ///
    /// # Errors
    /// What either store says. Nothing is lost: try again.
    pub async fn beside(
        storage: Arc<dyn Storage>,
        rest: impl Into<Stores>,
    ) -> Result<Self, StoreError> {
        let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(OsEntropy));
        Self::beside_with(storage, rest, clock, entropy).await
    }

    /// As [`Stores::beside`], on the given clock and chance.
    ///
    /// # Errors
    /// As [`Stores::beside`].
    pub async fn beside_with(
        storage: Arc<dyn Storage>,
        rest: impl Into<Stores>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, StoreError> {
        let rest = rest.into();
        let filing = Arc::new(Filing {
            storage: Arc::clone(&storage),
            rest: rest.clone(),
            clock,
            entropy,
        });
        filing.file_what_was_left().await?;
        Ok(Self {
            storage,
            commit: Arc::new(Beside(filing)),
            ..rest
        })
    }
}

/// Commits to our store and files into the host's.
#[derive(Debug)]
struct Beside(Arc<Filing>);

#[derive(Debug)]
struct Filing {
    storage: Arc<dyn Storage>,
    rest: Stores,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// A message that our store holds until the host's has it.
struct Kept {
    id: QueueId,
    append: Append,
}

#[async_trait]
impl Commit for Beside {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        if batch.appends.is_empty() {
            return self.0.rest.commit.commit(batch).await;
        }
        // A commit that has begun completes, whoever still waits for it.
        let filing = Arc::clone(&self.0);
        let task = tokio::spawn(async move { filing.commit(batch).await });
        let ended = task.await;
        ended.unwrap_or(Err(CommitError::Store(StoreError::Unavailable("filing"))))
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        self.0.rest.commit.stage().await
    }

    fn has_room(&self, octets: u64) -> bool {
        self.0.rest.commit.has_room(octets)
    }
}

impl Filing {
    async fn commit(&self, mut batch: Batch) -> Result<Receipt, CommitError> {
        let now = self.clock.now();
        let asked = batch.state.len();
        let mut kept = Vec::with_capacity(batch.appends.len());
        for append in std::mem::take(&mut batch.appends) {
            let id = QueueId(self.entropy.id(now));
            let entry = intent::entry(id, &append, now);
            batch.spool.push(SpoolChange::Enqueue(Arc::new(entry)));
            batch.state.push(StateChange::Put {
                key: key(id),
                value: Intent::of(&append).pack(),
                expires: None,
            });
            kept.push(Kept { id, append });
        }
        let mut receipt = self.rest.commit.commit(batch).await?;
        receipt.state.truncate(asked);
        let mut done = Batch::default();
        for Kept { id, mut append } in kept {
            // As our store holds it now: what was staged may be gone.
            if let Ok(Some(entry)) = self.rest.spool.entry(id).await {
                append.message.message = entry.message.clone();
            }
            let filed = self.file(&append).await;
            self.forget(&mut done, id, &append, &filed);
            receipt.appends.push(filed.map(|(appended, _)| appended));
        }
        if let Err(error) = self.rest.commit.commit(done).await {
            tracing::warn!(%error, "filed mail is filed again at the next start");
        }
        Ok(receipt)
    }

    /// Files into the host's storage, by the way that the append asks for.
    async fn file(&self, append: &Append) -> Result<(Appended, MailboxName), StoreError> {
        let (account, name) = (&append.account, &append.mailbox);
        let inbox = MailboxName::inbox();
        let (mailbox, name) = match self.storage.open(account, name).await {
            Err(StoreError::NoSuchMailbox) => {
                let instead = match append.if_missing {
                    IfMissing::Fail => return Err(StoreError::NoSuchMailbox),
                    IfMissing::FileToInbox => inbox,
                    IfMissing::Create => match self.storage.create(account, name, None).await {
                        Ok(_) | Err(StoreError::MailboxExists) => name.clone(),
                        // It has the mailboxes it has.
                        Err(StoreError::Unsupported(_)) => inbox,
                        Err(error) => return Err(error),
                    },
                };
                (self.storage.open(account, &instead).await?, instead)
            }
            opened => (opened?, name.clone()),
        };
        let message = append.message.clone();
        let appended = match append.delivery_id {
            Some(id) => mailbox.append_once(id, message, append.quota).await?,
            None => {
                let appended = mailbox.append(vec![message], append.quota).await?;
                appended.into_iter().next().ok_or(StoreError::NotFound)?
            }
        };
        Ok((appended, name))
    }

    /// Has our store let go of what was filed, and tell of it. What was not
    /// filed is its bearer's again, who hears why.
    fn forget(
        &self,
        done: &mut Batch,
        id: QueueId,
        append: &Append,
        filed: &Result<(Appended, MailboxName), StoreError>,
    ) {
        done.spool.push(SpoolChange::Remove { id });
        done.state.push(StateChange::Remove { key: key(id) });
        let Ok((appended, name)) = filed else { return };
        let now = self.clock.now();
        let event = Event {
            id: EventId(self.entropy.id(now)),
            at: now,
            name: EventName::MessageNew,
            trace: Some(append.trace),
            account: Some(append.account.clone()),
            fields: Vec::new(),
        }
        .with("mailbox", name)
        .with("uid_validity", appended.uid_validity)
        .with("uid", appended.uid)
        .with("size", append.message.message.len());
        done.events.push(match &append.recipient {
            Some(recipient) => event.with("to", recipient),
            None => event,
        });
    }

    /// Files what a crash, or a store that failed, left between the two.
    async fn file_what_was_left(&self) -> Result<(), StoreError> {
        loop {
            let left = self.rest.state.scan(NAMESPACE, "", None, PAGE).await?;
            if left.is_empty() {
                return Ok(());
            }
            for (key, value) in left {
                let done = self.file_left(&key, &value.value).await?;
                self.rest.commit.commit(done).await.map_err(store_error)?;
            }
        }
    }

    /// Files one; what then stands in our store.
    async fn file_left(&self, key: &StateKey, value: &[u8]) -> Result<Batch, StoreError> {
        let mut done = Batch::default();
        let id: Option<QueueId> = key.key.parse().ok();
        let entry = match id {
            Some(id) => self.rest.spool.entry(id).await?,
            None => None,
        };
        let (Some(id), Some(entry)) = (id, entry) else {
            // An operator took the message out of the queue.
            done.state.push(StateChange::Remove { key: key.clone() });
            return Ok(done);
        };
        let error = match Intent::unpack(value) {
            Err(error) => StoreError::Damaged(error.to_string()),
            Ok(intent) => {
                let message = new_message(&entry.message, &intent).await?;
                let append = intent.append(entry.trace, message);
                let filed = self.file(&append).await;
                self.forget(&mut done, id, &append, &filed);
                match filed {
                    Ok(_) => return Ok(done),
                    Err(error) => error,
                }
            }
        };
        if error.is_transient() && !matches!(error, StoreError::OverQuota) {
            return Err(error);
        }
        // Nobody is left to hear of it but an operator.
        let bad = EntryState::Bad {
            reason: format!("can't be filed: {error}"),
            until: self.clock.now().after(BAD_FOR),
        };
        Ok(Batch {
            spool: vec![SpoolChange::Update {
                id,
                progress: entry.progress.clone().in_state(bad),
                lease: AfterUpdate::EndLease,
            }],
            state: vec![StateChange::Remove { key: key.clone() }],
            ..Batch::default()
        })
    }
}

async fn new_message(message: &Message, intent: &Intent) -> Result<NewMessage, StoreError> {
    Ok(NewMessage {
        message: message.clone(),
        summary: Arc::new(message.summarize().await?),
        flags: intent.flags.clone(),
        internal_date: intent.internal_date,
    })
}

fn key(id: QueueId) -> StateKey {
    StateKey::new(NAMESPACE, &id.to_string())
}

fn store_error(error: CommitError) -> StoreError {
    match error {
        CommitError::Store(error) => error,
        CommitError::Precondition(_) => StoreError::Unavailable("filing"),
    }
}
