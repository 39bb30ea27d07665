//! Batches: checked whole, then applied whole.

use async_trait::async_trait;
use bytes::BytesMut;
use mailcore::batch::{Append, Batch, IfMissing, Precondition, Receipt, SpoolChange};
use mailcore::event::EventName;
use mailcore::mailbox::{MailboxId, MailboxName};
use mailcore::message::BlobKey;
use mailcore::queue::QueueEntry;
use mailcore::seams::{Appended, Commit, CommitError, QuotaUsage, Stage, StoreError};
use std::sync::Arc;

use super::content::{MemoryStage, adopt};
use super::spool::SpoolTable;
use super::tables::Core;
use super::{MemoryStore, Moment, Shared};

#[async_trait]
impl Commit for MemoryStore {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        let (batch, refused) = self.shared.adopt_contents(batch).await?;
        self.shared
            .locked(|core, moment| core.commit(batch, refused, moment))
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        let shared = &self.shared;
        Ok(Box::new(MemoryStage {
            key: BlobKey {
                store: shared.key,
                content: shared.entropy.id(shared.clock.now()),
            },
            limit: shared.limits.message,
            octets: BytesMut::new(),
        }))
    }
}

/// For each append, why its content could not be taken.
type Refused = Vec<Option<StoreError>>;

impl Shared {
    /// Brings all content into memory. An append whose content can't be had
    /// fails alone; a queue entry fails the batch.
    async fn adopt_contents(&self, mut batch: Batch) -> Result<(Batch, Refused), StoreError> {
        let mut refused = Vec::with_capacity(batch.appends.len());
        for append in &mut batch.appends {
            let new = &mut append.message;
            match adopt(&new.message, self.key, self.limits.message).await {
                Ok(message) => {
                    new.message = message;
                    refused.push(None);
                }
                Err(error) => refused.push(Some(error)),
            }
        }
        for change in &mut batch.spool {
            if let SpoolChange::Enqueue(entry) = change {
                let message = adopt(&entry.message, self.key, self.limits.message).await?;
                *change = SpoolChange::Enqueue(Arc::new(QueueEntry {
                    message,
                    ..QueueEntry::clone(entry)
                }));
            }
        }
        Ok((batch, refused))
    }
}

impl Core {
    fn commit(
        &mut self,
        batch: Batch,
        refused: Refused,
        moment: Moment<'_>,
    ) -> Result<Receipt, CommitError> {
        for (place, precondition) in batch.preconditions.iter().enumerate() {
            if !self.holds(precondition, moment) {
                return Err(CommitError::Precondition(place));
            }
        }
        self.state.check(&batch.state)?;
        let charges = loop {
            match SpoolTable::charge(&batch.spool, &self.budget) {
                // What can still be brought back gives way.
                Err(StoreError::DiskFull) if self.removed.release_first() => {}
                other => break other?,
            }
        };
        self.spool.apply(batch.spool, charges);
        let state = self.state.apply(batch.state, moment.now);
        for event in batch.events {
            self.events.push(event);
        }
        let appends = batch
            .appends
            .iter()
            .zip(refused)
            .map(|(append, refused)| match refused {
                Some(error) => Err(error),
                None => self.file(append, moment),
            })
            .collect();
        Ok(Receipt { appends, state })
    }

    fn holds(&self, precondition: &Precondition, moment: Moment<'_>) -> bool {
        match precondition {
            Precondition::StateIs { key, version } => {
                let value = self.state.read(key, moment.now);
                value.map(|value| value.version) == *version
            }
            Precondition::LeaseHeld { id, lease } => self.spool.is_held(*id, *lease, moment.now),
            _ => false,
        }
    }

    /// Files one message.
    fn file(&mut self, append: &Append, moment: Moment<'_>) -> Result<Appended, StoreError> {
        let filed = append.delivery_id.and_then(|id| self.deliveries.find(id));
        // What lay in a mailbox that was deleted since lies nowhere.
        if let Some(filed) = filed.filter(|it| self.folders.contains_key(&it.mailbox)) {
            return Ok(filed.clone());
        }
        // Before a mailbox is made for it.
        let more = QuotaUsage::message(append.message.message.len());
        self.within_quota(&append.account, append.quota, (more, QuotaUsage::default()))?;
        let mailbox = self.target(append, moment)?;
        let appended = self
            .append(
                mailbox,
                std::slice::from_ref(&append.message),
                append.quota,
                moment,
            )?
            .pop()
            .ok_or(StoreError::NotFound)?;
        self.note_appended(&EventName::MessageNew, &appended, Some(append), moment);
        if let Some(id) = append.delivery_id {
            self.deliveries.remember(id, appended.clone());
        }
        Ok(appended)
    }

    fn target(&mut self, append: &Append, moment: Moment<'_>) -> Result<MailboxId, StoreError> {
        let (account, name) = (&append.account, &append.mailbox);
        match (self.find(account, name, moment), append.if_missing) {
            (Err(StoreError::NoSuchMailbox), IfMissing::FileToInbox) => {
                self.find(account, &MailboxName::inbox(), moment)
            }
            (Err(StoreError::NoSuchMailbox), IfMissing::Create) => {
                self.create(account, name, None, moment)
            }
            (found, _) => found,
        }
    }
}
