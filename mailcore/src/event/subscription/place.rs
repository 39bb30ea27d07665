//! A reader's place as it is kept in the store's state.

use crate::batch::StateChange;
use crate::event::EventCursor;
use crate::pack::{PackError, Packer, Unpacker};
use crate::seams::{State, StateKey, StoreError};
use crate::time::Timestamp;

/// Where places are.
const NAMESPACE: &str = "events";
/// The form of a value.
const VERSION: u8 = 1;

/// Where a reader goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// After this event.
    pub(super) cursor: EventCursor,
    /// What it does without, and was not told yet.
    pub(super) given_up: Option<GivenUp>,
}

/// Events that a reader does without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GivenUp {
    /// How many.
    pub(super) count: u64,
    /// When the last of them was.
    pub(super) at: Timestamp,
}

fn key(name: &str) -> StateKey {
    StateKey::new(NAMESPACE, &format!("reader:{name}"))
}

/// The place of a reader. One that can't be understood is none.
pub(super) async fn load(state: &dyn State, name: &str) -> Result<Option<Place>, StoreError> {
    let value = state.read(&key(name)).await?;
    Ok(value.and_then(|value| match Place::decode(&value.value) {
        Ok(place) => Some(place),
        Err(error) => {
            tracing::warn!(name, %error, "this reader's place is not used");
            None
        }
    }))
}

/// Keeps it.
pub(super) async fn save(state: &dyn State, name: &str, place: Place) -> Result<(), StoreError> {
    state.change(vec![put(name, place)]).await.map(drop)
}

/// The change that keeps it.
pub(super) fn put(name: &str, place: Place) -> StateChange {
    StateChange::Put {
        key: key(name),
        value: place.encode(),
        expires: None,
    }
}

/// Forgets it.
pub(super) async fn remove(state: &dyn State, name: &str) -> Result<(), StoreError> {
    let remove = StateChange::Remove { key: key(name) };
    state.change(vec![remove]).await.map(drop)
}

impl Place {
    fn encode(self) -> Vec<u8> {
        let mut out = Packer::new(VERSION);
        out.u64(self.cursor.0);
        out.option(self.given_up, |out, given_up| {
            out.u64(given_up.count);
            out.i64(given_up.at.millis());
        });
        out.finish()
    }

    fn decode(octets: &[u8]) -> Result<Self, PackError> {
        let mut from = Unpacker::new(octets, VERSION)?;
        Ok(Self {
            cursor: EventCursor(from.u64()?),
            given_up: from.option(|from| {
                Ok(GivenUp {
                    count: from.u64()?,
                    at: Timestamp::from_millis(from.i64()?),
                })
            })?,
        })
    }
}
