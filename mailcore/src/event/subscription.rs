//! A reader of events that has a name, and goes on after a restart where it
//! stopped.
//!
//! Its place is kept in the store's [`State`]. An event is given at least once,
//! in order: again after a restart when [`Subscription::done`] was not called
//! for it. One page of events is read at a time, so that a slow reader holds
//! nothing up and takes no memory; one so slow that the store dropped what it
//! had not read is told so by a [`EventName::Gap`].

mod place;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::{Event, EventCursor, EventFilter, EventId, EventName, StoredEvent};
use crate::batch::StateChange;
use crate::seams::{Clock, Outbox, State, StoreError};
use crate::server::Hold;
use crate::time::Monotonic;
use place::{GivenUp, Place};

/// Events read at a time.
const PAGE: usize = 256;
/// Events passed over before the place after them is kept.
const PASSED_OVER: u64 = 1_000;
/// How long a place may lag behind events passed over: far less than stores
/// keep events, so that a reader of rare ones is not told of a gap that was
/// none.
const PLACE_AGE: Duration = Duration::from_secs(3_600);
/// Octets in a reader's name.
const MAX_NAME: usize = 64;

/// Where a reader begins that was never here before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StartAt {
    /// With the next event.
    #[default]
    Now,
    /// With the oldest that the store still has.
    Oldest,
    /// With the one after this.
    After(EventCursor),
}

/// What a [`Subscription`] reads and where it keeps its place.
#[derive(Debug, Clone)]
pub struct SubscriptionSeams {
    /// The events.
    pub outbox: Arc<dyn Outbox>,
    /// The place.
    pub state: Arc<dyn State>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Why there is no subscription.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// There is no store.
    #[error("events are kept by a store; give one with Builder::stores")]
    NoStore,
    /// The name is none.
    #[error(
        "{0:?} can't name a reader; write 1 to 64 ASCII letters, digits, dots, hyphens or underscores"
    )]
    Name(String),
    /// Somebody reads under that name now.
    #[error("{0:?} is being read already; drop that reader first, or take another name")]
    Open(String),
    /// The place can't be read.
    #[error("the reader's place can't be read: {0}")]
    Store(#[from] StoreError),
}

/// A reader with a name.
#[derive(Debug)]
pub struct Subscription {
    name: Arc<str>,
    seams: SubscriptionSeams,
    filter: EventFilter,
    /// Events read and not looked at.
    page: VecDeque<StoredEvent>,
    /// Looked at up to here.
    read: EventCursor,
    /// The last one given.
    given: EventCursor,
    /// The last one that is done.
    done: EventCursor,
    /// Given up, and the reader was not told.
    untold: Option<GivenUp>,
    /// What is kept, and since when.
    kept: (Place, Monotonic),
    _hold: Option<Hold>,
}

impl Subscription {
    /// The reader of that name, where it stopped or, when it is new, at `start`.
    ///
    /// # Errors
    /// [`SubscribeError`].
    pub async fn open(
        name: &str,
        seams: SubscriptionSeams,
        filter: EventFilter,
        start: StartAt,
    ) -> Result<Self, SubscribeError> {
        check_name(name)?;
        Self::open_as(name, seams, filter, start).await
    }

    /// As [`Subscription::open`] under a name that hosts can't have.
    pub(crate) async fn open_as(
        name: &str,
        seams: SubscriptionSeams,
        filter: EventFilter,
        start: StartAt,
    ) -> Result<Self, SubscribeError> {
        let newest = *seams.outbox.watch().borrow();
        let kept = place::load(&*seams.state, name).await?;
        let place = match (kept, start) {
            // Another log's: the store was put back from a copy, or is new.
            (Some(kept), _) if kept.cursor > newest => {
                tracing::warn!(
                    name,
                    "the reader is ahead of the store; events are read from the oldest"
                );
                Place::default()
            }
            (Some(kept), _) => kept,
            (None, StartAt::Oldest) => Place::default(),
            (None, start) => Place {
                cursor: match start {
                    StartAt::After(cursor) => cursor.min(newest),
                    _ => newest,
                },
                given_up: None,
            },
        };
        if kept != Some(place) {
            place::save(&*seams.state, name, place).await?;
        }
        Ok(Self {
            name: name.into(),
            filter,
            page: VecDeque::new(),
            read: place.cursor,
            given: place.cursor,
            done: place.cursor,
            untold: place.given_up,
            kept: (place, seams.clock.monotonic()),
            seams,
            _hold: None,
        })
    }

    /// Forgets a reader's place: under that name a new one begins.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn forget(name: &str, state: &dyn State) -> Result<(), StoreError> {
        place::remove(state, name).await
    }

    /// The reader's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Keeps the name from others as long as this is there.
    #[must_use]
    pub(crate) fn holding(mut self, hold: Hold) -> Self {
        self._hold = Some(hold);
        self
    }

    /// The next event that passes the filter; waits until there is one. `None`
    /// when the store is gone. Cancel-safe.
    ///
    /// # Errors
    /// What the store reports; the next call tries again.
    pub async fn next(&mut self) -> Option<Result<StoredEvent, StoreError>> {
        let mut newest = self.seams.outbox.watch();
        loop {
            if let Some(event) = self.waiting() {
                return Some(Ok(event));
            }
            self.keep_passed_over().await;
            newest.borrow_and_update();
            match self.seams.outbox.read(self.read, PAGE).await {
                Err(error) => return Some(Err(error)),
                Ok(events) if events.is_empty() => newest.changed().await.ok()?,
                Ok(events) => self.page = events.into(),
            }
        }
    }

    /// As [`Subscription::next`], with up to `most` events that are there at
    /// once.
    ///
    /// # Errors
    /// As [`Subscription::next`].
    pub async fn next_batch(
        &mut self,
        most: usize,
    ) -> Option<Result<Vec<StoredEvent>, StoreError>> {
        let first = match self.next().await? {
            Ok(first) => first,
            Err(error) => return Some(Err(error)),
        };
        let mut batch = vec![first];
        while batch.len() < most
            && let Some(event) = self.waiting()
        {
            batch.push(event);
        }
        Some(Ok(batch))
    }

    /// Adds events to a batch, up to `most` in all, that are there by now.
    #[cfg(feature = "http")]
    pub(crate) async fn add_waiting(
        &mut self,
        batch: &mut Vec<StoredEvent>,
        most: usize,
    ) -> Result<(), StoreError> {
        while batch.len() < most {
            if let Some(event) = self.waiting() {
                batch.push(event);
                continue;
            }
            let events = self.seams.outbox.read(self.read, PAGE).await?;
            if events.is_empty() {
                return Ok(());
            }
            self.page = events.into();
        }
        Ok(())
    }

    /// Everything given up to this cursor is done with: not given again.
    ///
    /// # Errors
    /// What the store reports: call it again, or the events come again after a
    /// restart.
    pub async fn done(&mut self, cursor: EventCursor) -> Result<(), StoreError> {
        let place = self.place_after(cursor);
        self.keep(place).await?;
        self.done = place.cursor;
        Ok(())
    }

    /// What [`Subscription::done`] would keep, to be kept in a batch with other
    /// things; [`Subscription::done_alongside`] says that it was.
    pub(crate) fn done_change(&self, cursor: EventCursor) -> StateChange {
        place::put(&self.name, self.place_after(cursor))
    }

    /// What [`Subscription::done_change`] gave is kept.
    pub(crate) fn done_alongside(&mut self, cursor: EventCursor) {
        let place = self.place_after(cursor);
        self.kept = (place, self.seams.clock.monotonic());
        self.done = place.cursor;
    }

    /// Everything given up to this cursor is done with, and would be again: its
    /// place is kept at leisure.
    pub(crate) fn done_at_leisure(&mut self, cursor: EventCursor) {
        self.done = self.place_after(cursor).cursor;
    }

    fn place_after(&self, cursor: EventCursor) -> Place {
        Place {
            cursor: cursor.min(self.given).max(self.done),
            given_up: self.untold,
        }
    }

    /// Does without everything given up to `last`: the next event given is a
    /// [`EventName::Gap`] that says how many were dropped so.
    ///
    /// # Errors
    /// What the store reports; then nothing has changed.
    pub async fn give_up(&mut self, last: &StoredEvent, count: u64) -> Result<(), StoreError> {
        // What was given of it and is not done counts on.
        let before = self.kept.0.given_up.map_or(0, |before| before.count);
        let given_up = Some(GivenUp {
            count: before.saturating_add(count),
            at: last.event.at,
        });
        let place = Place {
            cursor: last.cursor,
            given_up,
        };
        self.keep(place).await?;
        (self.done, self.untold) = (last.cursor, given_up);
        // What was given after it comes again, behind the gap.
        (self.read, self.given) = (last.cursor, last.cursor);
        self.page.clear();
        Ok(())
    }

    /// The next event of the page that passes.
    fn waiting(&mut self) -> Option<StoredEvent> {
        if let Some(untold) = self.untold.take() {
            return Some(gap(self.done, untold));
        }
        while let Some(event) = self.page.pop_front() {
            self.read = event.cursor;
            if self.filter.passes(&event.event) {
                self.given = event.cursor;
                return Some(event);
            }
        }
        None
    }

    /// With nothing given and not done, the events passed over are done, too.
    async fn keep_passed_over(&mut self) {
        let (kept, since) = self.kept;
        let lag = self.read.0.saturating_sub(kept.cursor.0);
        let age = self.seams.clock.monotonic().since(since);
        if self.done < self.given || lag == 0 || (lag < PASSED_OVER && age < PLACE_AGE) {
            return;
        }
        let place = Place {
            cursor: self.read,
            given_up: None,
        };
        if let Err(error) = self.keep(place).await {
            tracing::warn!(name = &*self.name, %error, "a reader's place can't be kept");
        }
    }

    async fn keep(&mut self, place: Place) -> Result<(), StoreError> {
        if place != self.kept.0 {
            place::save(&*self.seams.state, &self.name, place).await?;
        }
        self.kept = (place, self.seams.clock.monotonic());
        Ok(())
    }
}

/// Names are part of a key, and stand in logs.
pub(crate) fn check_name(name: &str) -> Result<(), SubscribeError> {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || b".-_".contains(&octet);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(fits) {
        let shown = name.chars().take(MAX_NAME).collect();
        return Err(SubscribeError::Name(shown));
    }
    Ok(())
}

/// Stands for the events that a reader gave up. Given twice, it is the same.
fn gap(cursor: EventCursor, given_up: GivenUp) -> StoredEvent {
    let event = Event {
        id: EventId(u128::MAX << 64 | u128::from(cursor.0)),
        at: given_up.at,
        name: EventName::Gap,
        trace: None,
        account: None,
        fields: Vec::new(),
    };
    StoredEvent {
        cursor,
        event: event.with("dropped", given_up.count),
    }
}

#[cfg(test)]
mod tests;
