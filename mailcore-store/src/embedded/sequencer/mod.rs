//! Deciding what a request changes: numbers are given out here, preconditions
//! checked, and every decision written down as an [`Effect`] with absolute
//! values.
//!
//! Runs on the writer thread, one request after the other, on the state that
//! all requests before it have left.

mod batch;
mod mailboxes;
mod messages;
mod removed;
mod rights;

use std::sync::Arc;

use bytes::Bytes;
use mailcore::account::AccountId;
use mailcore::event::{Event, EventId, EventName};
use mailcore::mailbox::{Uid, UidSet};
use mailcore::seams::StoreError;
use mailcore::time::Timestamp;
use thiserror::Error;

pub(crate) use batch::{AppendInput, BatchInput, SpoolInput};
pub(crate) use mailboxes::special_use;
use messages::FULL;
pub(crate) use messages::{NewMessageInput, Originals};

use super::body::EXTENT_BODIES;
use super::body::extent::{ExtentId, Staged};
use super::index::{Index, MailboxState, Origin, read};
use super::log::{Place, span};
use super::recent::{Change, Fresh, MAX_KEPT};
use super::record::{BodySource, Effect};
use super::shared::Shared;

/// Messages that one request may change: bounds its record.
pub(crate) const MAX_MESSAGES: usize = 100_000;
/// Messages that a mailbox may hold; UIDs would last longer.
const MAX_UID: u64 = u32::MAX as u64 - 1;
/// Mailboxes of one account.
const MAX_MAILBOXES: usize = 10_000;

/// Why a request changes nothing.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    /// It may not, and nothing was written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A precondition of the batch does not hold.
    #[error("precondition {0} does not hold")]
    Precondition(usize),
    /// The index failed: the whole group is given up.
    #[error("the index: {0}")]
    Index(#[from] rusqlite::Error),
}

/// A body as a request brings it.
#[derive(Debug, Clone)]
pub(crate) enum BodyInput {
    /// Octets for the log, at most one block, with their BLAKE3 hash.
    Inline { octets: Bytes, hash: [u8; 32] },
    /// A body of this store; an extent that no batch has named yet is held.
    Own {
        id: u64,
        staged: Option<Arc<Staged>>,
    },
}

/// A body that a batch referred to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyRef {
    id: u64,
    hash: [u8; 32],
}

/// What the request did besides writing.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Queue entries were added or changed.
    pub(crate) spool: bool,
    /// Somebody waits to read what was acknowledged.
    pub(crate) reveal: bool,
    /// Leases that end with the commit.
    pub(crate) leases_ended: Vec<u128>,
}

/// One request's work.
#[derive(Debug)]
pub(crate) struct Sequencer<'a> {
    pub(crate) index: &'a mut Index,
    pub(crate) shared: &'a Shared,
    pub(crate) now: Timestamp,
    pub(crate) effects: Vec<Effect>,
    pub(crate) bodies: Vec<Bytes>,
    pub(crate) notes: Notes,
    /// The disk is full: what is left of it is for changes without bodies.
    pub(crate) bodies_refused: bool,
    place: Place,
    offsets: Vec<Option<u64>>,
    /// Where the next body frame would start.
    end: u64,
}

impl<'a> Sequencer<'a> {
    /// Begins a request whose group starts at `place`.
    pub(crate) fn new(
        index: &'a mut Index,
        shared: &'a Shared,
        place: Place,
        now: Timestamp,
    ) -> Self {
        Self {
            index,
            shared,
            now,
            effects: Vec::new(),
            bodies: Vec::new(),
            notes: Notes::default(),
            bodies_refused: false,
            place,
            offsets: Vec::new(),
            end: place.offset,
        }
    }

    /// Writes an effect down and applies it.
    fn emit(&mut self, effect: Effect) -> Result<(), Refusal> {
        let watched = self.watched_mailbox(&effect)?;
        let origin = Origin {
            lsn: self.place.next,
            file: self.place.segment.file(0),
            bodies: &self.offsets,
            at: self.now.millis(),
        };
        self.index.apply(&effect, origin)?;
        if let Some(mailbox) = watched {
            self.gather(mailbox, &effect)?;
        }
        self.effects.push(effect);
        Ok(())
    }

    /// The mailbox whose messages the effect changes, if somebody watches it:
    /// what changes is gathered from here on.
    fn watched_mailbox(&mut self, effect: &Effect) -> Result<Option<u64>, Refusal> {
        let mailbox = match effect {
            Effect::File(filed) => filed.mailbox,
            Effect::Flags { mailbox, .. } | Effect::Expunge { mailbox, .. } => *mailbox,
            _ => return Ok(None),
        };
        if !self.index.fresh.contains_key(&mailbox) {
            if !self.shared.is_watched(mailbox) {
                return Ok(None);
            }
            let modseq = self.mailbox(mailbox)?.modseq;
            self.index.fresh.insert(mailbox, Fresh::since(modseq));
        }
        Ok(Some(mailbox))
    }

    /// Gathers what an effect that was applied has changed.
    fn gather(&mut self, mailbox: u64, effect: &Effect) -> Result<(), Refusal> {
        let Some(mut fresh) = self.index.fresh.remove(&mailbox) else {
            return Ok(());
        };
        match effect {
            _ if fresh.is_full() => {}
            Effect::File(filed) => match filed.info() {
                Some(info) => fresh.push(filed.modseq, Change::Rows(vec![info])),
                None => fresh.give_up(),
            },
            Effect::Flags {
                modseq, messages, ..
            } => {
                let ends = messages.iter().map(|(first, last, _)| (*first, *last));
                let uids = uid_set(ends);
                match uids.len() > MAX_KEPT as u64 {
                    true => fresh.give_up(),
                    false => {
                        let rows = self.index.rows_to_change(mailbox, &uids)?;
                        fresh.push(*modseq, Change::Rows(rows.cloned().collect()));
                    }
                }
            }
            Effect::Expunge { modseq, uids, .. } => {
                fresh.push(*modseq, Change::Gone(uid_set(uids.iter().copied())));
            }
            _ => fresh.give_up(),
        }
        self.index.fresh.insert(mailbox, fresh);
        Ok(())
    }

    /// Makes a body known to the store, if it is not yet.
    fn body(&mut self, input: &BodyInput) -> Result<BodyRef, Refusal> {
        match input {
            BodyInput::Inline { .. } if self.bodies_refused => Err(StoreError::DiskFull.into()),
            BodyInput::Inline { octets, hash } => {
                let id = self.index.counters.body;
                let frame = u32::try_from(self.bodies.len()).unwrap_or(u32::MAX);
                self.offsets.push(Some(self.end));
                self.end += span(octets.len());
                self.bodies.push(octets.clone());
                let source = BodySource::Frame(frame);
                self.emit(Effect::Body {
                    id,
                    source,
                    length: octets.len() as u64,
                    hash: *hash,
                })?;
                Ok(BodyRef { id, hash: *hash })
            }
            BodyInput::Own { id, staged } => {
                match (read::body_hash(self.index.connection(), *id)?, staged) {
                    (Some(hash), _) => Ok(BodyRef { id: *id, hash }),
                    (None, Some(_)) if self.bodies_refused => Err(StoreError::DiskFull.into()),
                    (None, Some(staged)) => {
                        staged.keep();
                        let (source, hash) = (BodySource::Extent(staged.id().0), staged.hash());
                        self.emit(Effect::Body {
                            id: *id,
                            source,
                            length: staged.length(),
                            hash,
                        })?;
                        Ok(BodyRef { id: *id, hash })
                    }
                    (None, None) => Err(StoreError::NotFound.into()),
                }
            }
        }
    }

    /// Raises an event of the store's own.
    ///
    /// # Errors
    /// When the index fails.
    pub(crate) fn raise(
        &mut self,
        (name, fields): (EventName, Vec<(String, String)>),
    ) -> Result<(), Refusal> {
        let event = Event {
            id: self.event_id(),
            at: self.now,
            name,
            trace: None,
            account: None,
            fields,
        };
        self.event(&event)
    }

    /// An event, with an id that it keeps when the log is applied again.
    fn event(&mut self, event: &Event) -> Result<(), Refusal> {
        let cursor = self.index.counters.event;
        self.emit(Effect::Event {
            cursor,
            event: event.encode(),
        })
    }

    /// The id for the store's own next event.
    fn event_id(&self) -> EventId {
        EventId(u128::from(self.shared.number) << 64 | u128::from(self.index.counters.event))
    }

    fn mailbox(&mut self, id: u64) -> Result<MailboxState, Refusal> {
        Ok(self
            .index
            .mailbox(id)?
            .cloned()
            .ok_or(StoreError::NoSuchMailbox)?)
    }

    fn mailbox_named(
        &mut self,
        account: &AccountId,
        name: &str,
    ) -> Result<Option<MailboxState>, Refusal> {
        Ok(self.index.mailbox_named(account.as_str(), name)?.cloned())
    }
}

fn uid_set(ranges: impl Iterator<Item = (u32, u32)>) -> UidSet {
    UidSet::from_ranges(ranges.filter_map(|(first, last)| Uid::new(first).zip(Uid::new(last))))
}

/// The body id of an extent.
pub(crate) fn extent_body(id: ExtentId) -> u64 {
    EXTENT_BODIES | id.0
}

/// The extent that a body id names, if it names one.
pub(crate) fn body_extent(id: u64) -> Option<ExtentId> {
    (id >= EXTENT_BODIES).then_some(ExtentId(id & !EXTENT_BODIES))
}
