//! Whether the store takes changes now, and whether there is room for more mail.
//!
//! Told to intake before mail is sent, to the queue before it is delivered (what
//! can't be taken from the queue would be sent again), and to operators as
//! events.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mailcore::seams::{Clock, StoreError};
use mailcore::time::Monotonic;

use super::fs::FileSystem;
use super::shared::lock;

/// The disk is looked at no more often than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Space counts as enough again when there is this share of the limit more, so
/// that a disk at the limit does not change its state with every message.
const MARGIN: u64 = 4;

/// See the file's description.
#[derive(Debug)]
pub(crate) struct Health {
    /// Why the store takes no changes for as long as it is open.
    read_only: Option<String>,
    /// Why the last change failed, until one succeeds.
    trouble: Mutex<Option<StoreError>>,
    space: Option<Space>,
}

impl Health {
    /// Of a store that was opened for reading.
    pub(crate) fn read_only(reason: String) -> Self {
        Self {
            read_only: Some(reason),
            trouble: Mutex::default(),
            space: None,
        }
    }

    /// Of a store that takes changes.
    pub(crate) fn writable(space: Space) -> Self {
        Self {
            read_only: None,
            trouble: Mutex::default(),
            space: Some(space),
        }
    }

    /// Nothing, where changes may be tried.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] in a store that was opened for reading.
    pub(crate) fn may_change(&self) -> Result<(), StoreError> {
        match &self.read_only {
            None => Ok(()),
            Some(reason) => Err(StoreError::ReadOnly(reason.clone())),
        }
    }

    /// Nothing, where changes are likely to succeed.
    ///
    /// # Errors
    /// Why the last one did not.
    pub(crate) fn changes_succeed(&self) -> Result<(), StoreError> {
        self.may_change()?;
        match &*lock(&self.trouble) {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// A change failed for a reason that may last.
    pub(crate) fn fail(&self, error: &StoreError) {
        *lock(&self.trouble) = Some(error.clone());
    }

    /// A change succeeded; true when the one before did not.
    pub(crate) fn succeed(&self) -> bool {
        lock(&self.trouble).take().is_some()
    }

    /// True when something is wrong, so that it should be looked after even if
    /// nobody asks for anything.
    pub(crate) fn needs_care(&self) -> bool {
        lock(&self.trouble).is_some() || self.space.as_ref().is_some_and(Space::needs_care)
    }

    /// True when a message of so many octets should be let in.
    pub(crate) fn has_room(&self, octets: u64) -> bool {
        let room = self.space.as_ref().is_none_or(|it| it.has_room(octets));
        room && self.changes_succeed().is_ok()
    }

    /// What operators were not told of yet.
    pub(crate) fn untold(&self) -> Option<SpaceChange> {
        self.space.as_ref()?.untold()
    }

    /// They were told.
    pub(crate) fn tell(&self, change: SpaceChange) {
        if let Some(space) = &self.space {
            lock(&space.state).told = change.low;
        }
    }
}

/// A change between enough space and too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpaceChange {
    pub(crate) low: bool,
    pub(crate) available: u64,
    pub(crate) limit: u64,
}

/// The space on the store's disk.
#[derive(Debug)]
pub(crate) struct Space {
    files: Arc<dyn FileSystem>,
    path: PathBuf,
    limit: u64,
    clock: Arc<dyn Clock>,
    state: Mutex<SpaceState>,
}

#[derive(Debug, Clone, Copy)]
struct SpaceState {
    looked_at: Option<Monotonic>,
    available: u64,
    low: bool,
    /// What operators were told last.
    told: bool,
}

impl Space {
    /// Space below `path` that is low under `limit` octets; never with 0.
    pub(crate) fn new(
        files: Arc<dyn FileSystem>,
        path: PathBuf,
        limit: u64,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let state = SpaceState {
            looked_at: None,
            available: u64::MAX,
            low: false,
            told: false,
        };
        Self {
            files,
            path,
            limit,
            clock,
            state: Mutex::new(state),
        }
    }

    fn look(&self) -> SpaceState {
        let mut state = lock(&self.state);
        let now = self.clock.monotonic();
        let due = state.looked_at.is_none_or(|at| now.since(at) >= LOOK_EVERY);
        if self.limit == 0 || !due {
            return *state;
        }
        state.looked_at = Some(now);
        // Where it can't be told, what was known stands.
        let Ok(available) = self.files.available(&self.path) else {
            return *state;
        };
        state.available = available;
        let (limit, was_low) = (self.limit, state.low);
        state.low = match was_low {
            false => available < limit,
            true => available < limit.saturating_add(limit / MARGIN),
        };
        match (was_low, state.low) {
            (false, true) => tracing::warn!(
                available, limit, path = %self.path.display(),
                "the disk is nearly full; new mail is refused until there is room"
            ),
            (true, false) => tracing::warn!(available, "the disk has room again"),
            _ => {}
        }
        *state
    }

    fn has_room(&self, octets: u64) -> bool {
        let state = self.look();
        self.limit == 0 || !state.low && state.available >= self.limit.saturating_add(octets)
    }

    fn needs_care(&self) -> bool {
        let state = lock(&self.state);
        state.low || state.told
    }

    fn untold(&self) -> Option<SpaceChange> {
        let state = self.look();
        (state.low != state.told).then_some(SpaceChange {
            low: state.low,
            available: state.available,
            limit: self.limit,
        })
    }
}
