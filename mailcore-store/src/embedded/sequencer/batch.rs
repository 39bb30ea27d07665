//! A [`Batch`](mailcore::batch::Batch): deliveries, queue, state and events in
//! one group.

use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::address::Address;
use mailcore::batch::{AfterUpdate, DeliveryId, IfMissing, Precondition, Receipt, StateChange};
use mailcore::event::{Event, TraceId};
use mailcore::mailbox::{MailboxId, MailboxName, ModSeq, Uid};
use mailcore::queue::{QueueEntry, QueueId, QueueProgress};
use mailcore::seams::{Appended, QuotaLimit, QuotaUsage, StateKey, StateValue, StoreError};
use mailcore::time::Timestamp;

use super::messages::{Arrival, Filing, check_keywords};
use super::{BodyInput, BodyRef, MailboxState, NewMessageInput, Refusal, Sequencer};
use crate::embedded::index::read;
use crate::embedded::record::Effect;

/// Octets allowed in a state key and in its namespace.
const MAX_KEY: usize = 512;

/// A batch with its bodies apart, each once.
#[derive(Debug, Default)]
pub(crate) struct BatchInput {
    pub(crate) preconditions: Vec<Precondition>,
    pub(crate) bodies: Vec<BodyInput>,
    pub(crate) appends: Vec<AppendInput>,
    pub(crate) spool: Vec<SpoolInput>,
    pub(crate) state: Vec<StateChange>,
    pub(crate) events: Vec<Event>,
}

/// A message to deliver.
#[derive(Debug)]
pub(crate) struct AppendInput {
    pub(crate) account: AccountId,
    pub(crate) mailbox: MailboxName,
    pub(crate) if_missing: IfMissing,
    pub(crate) message: NewMessageInput,
    /// Its body in [`BatchInput::bodies`].
    pub(crate) body: usize,
    pub(crate) delivery_id: Option<DeliveryId>,
    pub(crate) quota: QuotaLimit,
    pub(crate) trace: TraceId,
    /// For the event.
    pub(crate) recipient: Option<Address>,
}

/// A change to the queue.
#[derive(Debug)]
pub(crate) enum SpoolInput {
    Enqueue {
        entry: Arc<QueueEntry>,
        body: usize,
    },
    Update {
        id: QueueId,
        progress: QueueProgress,
        lease: AfterUpdate,
    },
    Remove {
        id: QueueId,
    },
}

/// Bodies of the batch as the store knows them, once it does.
struct Known<'b> {
    inputs: &'b [BodyInput],
    refs: Vec<Option<BodyRef>>,
}

impl Sequencer<'_> {
    /// Commits a batch.
    pub(crate) fn batch(&mut self, batch: &BatchInput) -> Result<Receipt, Refusal> {
        self.check(&batch.preconditions)?;
        batch
            .state
            .iter()
            .try_for_each(|change| check_key(key_of(change)))?;
        let mut known = Known {
            inputs: &batch.bodies,
            refs: vec![None; batch.bodies.len()],
        };
        let mut receipt = Receipt::default();
        let mut filed = Vec::new();
        for append in &batch.appends {
            let outcome = match self.deliver(append, &mut known) {
                Ok((appended, Some(state))) => {
                    filed.push((state, appended.clone(), append));
                    Ok(appended)
                }
                Ok((appended, None)) => Ok(appended),
                Err(Refusal::Store(error)) => Err(error),
                Err(other) => return Err(other),
            };
            receipt.appends.push(outcome);
        }
        for change in &batch.spool {
            self.spool(change, &mut known)?;
        }
        for change in &batch.state {
            receipt.state.push(self.change_state(change)?);
        }
        for event in &batch.events {
            self.event(event)?;
        }
        for (state, appended, append) in filed {
            self.filed_event(&state, &appended, Arrival::Delivered(append))?;
        }
        Ok(receipt)
    }

    fn check(&mut self, preconditions: &[Precondition]) -> Result<(), Refusal> {
        for (at, precondition) in preconditions.iter().enumerate() {
            let holds = match precondition {
                Precondition::StateIs { key, version } => {
                    self.value(key)?.map(|value| value.version) == *version
                }
                Precondition::LeaseHeld { id, lease } => {
                    let mut leases = self.shared.leases();
                    leases.expire(self.shared.clock.now());
                    leases.holds(id.0, *lease)
                }
                // One that this store does not know cannot be promised.
                _ => false,
            };
            if !holds {
                return Err(Refusal::Precondition(at));
            }
        }
        Ok(())
    }

    /// Files one copy. The mailbox's state comes back unless it was filed by an
    /// earlier batch. A refusal leaves nothing behind.
    fn deliver(
        &mut self,
        append: &AppendInput,
        known: &mut Known<'_>,
    ) -> Result<(Appended, Option<MailboxState>), Refusal> {
        if let Some(id) = append.delivery_id
            && let Some(appended) = self.delivered(id)?
        {
            return Ok((appended, None));
        }
        let message = &append.message;
        check_keywords(&message.flags)?;
        let more = QuotaUsage::message(message.size);
        self.within_quota(
            append.account.as_str(),
            append.quota,
            (more, QuotaUsage::default()),
        )?;
        let there = self.mailbox_named(&append.account, append.mailbox.as_str())?;
        if let Some(state) = &there {
            self.room(state, 1)?;
        }
        if there.is_none() && append.if_missing == IfMissing::Fail && !append.mailbox.is_inbox() {
            return Err(StoreError::NoSuchMailbox.into());
        }
        let body = self.known(append.body, known)?;
        let state = match there {
            Some(state) => state,
            None if append.if_missing == IfMissing::Create && !append.mailbox.is_inbox() => {
                self.create_parents(&append.account, &append.mailbox)?;
                self.make(&append.account, &append.mailbox, None)?
            }
            None => self.inbox(&append.account)?,
        };
        let filing = Filing {
            body,
            prefix: &message.prefix,
            summary: &message.summary,
            size: message.size,
            flags: &message.flags,
            internal_date: message.internal_date,
            thread: message.thread,
        };
        let appended = self.file(state.id, &filing)?;
        if let Some(id) = append.delivery_id {
            let (uid, modseq) = (appended.uid.value(), appended.modseq.value());
            self.emit(Effect::Delivery {
                id: id.0,
                mailbox: state.id,
                uid,
                modseq,
            })?;
        }
        Ok((appended, Some(state)))
    }

    /// Where an earlier batch filed this delivery, if the mailbox still stands.
    fn delivered(&mut self, id: DeliveryId) -> Result<Option<Appended>, Refusal> {
        let Some((mailbox, uid, modseq)) = read::delivery(self.index.connection(), id.0)? else {
            return Ok(None);
        };
        let place = self.index.mailbox(mailbox)?.map(|state| state.uid_validity);
        Ok(place.zip(Uid::new(uid)).zip(ModSeq::new(modseq)).map(
            |((uid_validity, uid), modseq)| Appended {
                mailbox: MailboxId(mailbox),
                uid_validity,
                uid,
                modseq,
            },
        ))
    }

    fn known(&mut self, at: usize, known: &mut Known<'_>) -> Result<BodyRef, Refusal> {
        if let Some(Some(body)) = known.refs.get(at) {
            return Ok(*body);
        }
        let body = self.body(known.inputs.get(at).ok_or(StoreError::NotFound)?)?;
        if let Some(slot) = known.refs.get_mut(at) {
            *slot = Some(body);
        }
        Ok(body)
    }

    fn spool(&mut self, change: &SpoolInput, known: &mut Known<'_>) -> Result<(), Refusal> {
        match change {
            SpoolInput::Enqueue { entry, body } => {
                // Nobody waits for a copy, nor for what is kept apart.
                self.notes.spool |= entry.progress.state.kind().is_queued();
                let body = self.known(*body, known)?.id;
                let (fixed, progress) = (entry.encode_fixed(), entry.progress.encode());
                self.emit(Effect::Enqueue {
                    id: entry.id.0,
                    body,
                    fixed,
                    progress,
                })
            }
            SpoolInput::Update {
                id,
                progress,
                lease,
            } => {
                self.notes.spool = true;
                if *lease == AfterUpdate::EndLease {
                    self.notes.leases_ended.push(id.0);
                }
                self.emit(Effect::Progress {
                    id: id.0,
                    progress: progress.encode(),
                })
            }
            SpoolInput::Remove { id } => {
                self.notes.spool = true;
                self.notes.leases_ended.push(id.0);
                self.emit(Effect::Dequeue { id: id.0 })
            }
        }
    }

    /// Applies changes to the state, all or none.
    pub(crate) fn change_states(
        &mut self,
        changes: &[StateChange],
    ) -> Result<Vec<Option<StateValue>>, Refusal> {
        changes
            .iter()
            .try_for_each(|change| check_key(key_of(change)))?;
        changes
            .iter()
            .map(|change| self.change_state(change))
            .collect()
    }

    fn change_state(&mut self, change: &StateChange) -> Result<Option<StateValue>, Refusal> {
        match change {
            StateChange::Put {
                key,
                value,
                expires,
            } => self.put(key, value.clone(), *expires).map(Some),
            StateChange::Add {
                key,
                amount,
                expires,
            } => {
                let current = self.value(key)?;
                let sum = current
                    .as_ref()
                    .and_then(StateValue::counter)
                    .unwrap_or(0)
                    .saturating_add(*amount);
                let expires = current.map_or(*expires, |value| value.expires);
                self.put(key, sum.to_be_bytes().to_vec(), expires).map(Some)
            }
            StateChange::Remove { key } => {
                let (namespace, key) = (key.namespace.to_string(), key.key.to_string());
                self.emit(Effect::Drop { namespace, key })?;
                Ok(None)
            }
        }
    }

    fn put(
        &mut self,
        key: &StateKey,
        value: Vec<u8>,
        expires: Option<Timestamp>,
    ) -> Result<StateValue, Refusal> {
        let version = self.index.counters.version;
        self.shared.namespaces.note(&key.namespace);
        self.emit(Effect::Put {
            namespace: key.namespace.to_string(),
            key: key.key.to_string(),
            value: value.clone(),
            version,
            expires: expires.map(Timestamp::millis),
        })?;
        Ok(StateValue {
            value,
            version,
            expires,
        })
    }

    fn value(&self, key: &StateKey) -> Result<Option<StateValue>, Refusal> {
        Ok(read::state(
            self.index.connection(),
            &key.namespace,
            &key.key,
            self.now,
        )?)
    }
}

fn key_of(change: &StateChange) -> &StateKey {
    match change {
        StateChange::Put { key, .. }
        | StateChange::Remove { key }
        | StateChange::Add { key, .. } => key,
    }
}

fn check_key(key: &StateKey) -> Result<(), StoreError> {
    match key.namespace.len().max(key.key.len()) > MAX_KEY {
        true => Err(StoreError::TooLarge {
            limit: MAX_KEY as u64,
        }),
        false => Ok(()),
    }
}
