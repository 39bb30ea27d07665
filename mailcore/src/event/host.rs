//! Events of the host application's own.

use std::fmt;

use thiserror::Error;

use super::{Event, EventId, EventName, EventNameError, TraceId};
use crate::account::AccountId;
use crate::seams::CommitError;
use crate::time::Timestamp;

/// Fields of a host's event.
const MAX_FIELDS: usize = 64;
/// Octets in all of them.
const MAX_OCTETS: usize = 64 * 1024;

/// Something that happened in the host application, to be raised by
/// [`RunningServer::raise`](crate::server::RunningServer::raise). Its readers,
/// web hooks and mail rules see it like the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEvent(Event);

/// Why an event was not raised.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum RaiseError {
    /// There is no store.
    #[error("events are kept by a store; give one with Builder::stores")]
    NoStore,
    /// It says too much.
    #[error("an event has at most 64 fields and 64 KiB in them; put the rest where it points to")]
    TooLarge,
    /// The store did not take it.
    #[error("the event was not kept: {0}")]
    Commit(#[from] CommitError),
}

impl HostEvent {
    /// An event of this name.
    ///
    /// # Errors
    /// [`EventNameError`].
    pub fn new(name: &str) -> Result<Self, EventNameError> {
        Ok(Self(Event {
            id: EventId(0),
            at: Timestamp::EPOCH,
            name: EventName::host(name)?,
            trace: None,
            account: None,
            fields: Vec::new(),
        }))
    }

    /// With one more field.
    #[must_use]
    pub fn with(self, name: &str, value: impl fmt::Display) -> Self {
        Self(self.0.with(name, value))
    }

    /// About this account.
    #[must_use]
    pub fn account(mut self, account: AccountId) -> Self {
        self.0.account = Some(account);
        self
    }

    /// About this message.
    #[must_use]
    pub fn trace(mut self, trace: TraceId) -> Self {
        self.0.trace = Some(trace);
        self
    }

    /// The event as it is raised.
    pub(crate) fn raised(self, id: u128, at: Timestamp) -> Result<Event, RaiseError> {
        let octets = |(name, value): &(String, String)| name.len() + value.len();
        let size: usize = self.0.fields.iter().map(octets).sum();
        if self.0.fields.len() > MAX_FIELDS || size > MAX_OCTETS {
            return Err(RaiseError::TooLarge);
        }
        Ok(Event {
            id: EventId(id),
            at,
            ..self.0
        })
    }
}
