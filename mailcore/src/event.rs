//! Events: what happened, named after RFC 5423 where it has a name, committed
//! in the same [`Batch`](crate::batch::Batch) as the thing itself.

mod bus;
#[cfg(test)]
mod fake_store;
mod filter;
mod follower;
mod host;
mod name;
mod recorder;
pub mod send_mail;
mod session;
mod subscription;
#[cfg(feature = "http")]
pub mod webhook;

pub use bus::EventStream;
pub use filter::EventFilter;
pub use follower::{Follower, FollowerConfig};
pub use host::{HostEvent, RaiseError};
pub use name::{EventName, EventNameError};
pub use recorder::{Recorder, RecorderConfig, RecorderTask};
pub use session::SessionEvents;
pub use subscription::{StartAt, SubscribeError, Subscription, SubscriptionSeams};

use std::fmt;

use crate::account::AccountId;
use crate::pack::{PackError, Packer, Unpacker};
use crate::time::Timestamp;

/// One message's track through the server: the same in every event, log line
/// and notice about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// An event's identity, equal when it is read twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub u128);

/// A place in the event log. The default is before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct EventCursor(pub u64);

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its identity.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub name: EventName,
    /// Which message it is about.
    pub trace: Option<TraceId>,
    /// Whose mailbox it is about.
    pub account: Option<AccountId>,
    /// More, by name: `from`, `to`, `mailbox`, `uid`, `status`, `remote`. Which
    /// there may be is [`EventName::fields`]; what they say stands in
    /// `docs/events.md`.
    pub fields: Vec<(String, String)>,
}

impl Event {
    /// The first field of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// True when this is an event of that name: its own, or one that RFC 5423
    /// gives to a part of the events of its own name.
    pub fn is(&self, name: &EventName) -> bool {
        let sets = |flag: &str| {
            let flags = self.field("flags").unwrap_or_default();
            self.name == EventName::FlagsSet
                && flags.split(' ').any(|it| it.eq_ignore_ascii_case(flag))
        };
        match name {
            EventName::MessageRead => sets("\\Seen"),
            EventName::MessageTrash => sets("\\Deleted"),
            name => self.name == *name,
        }
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.fields.push((name.to_owned(), value.to_string()));
        self
    }

    /// The form in which stores keep it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Packer::new(1);
        out.u128(self.id.0);
        out.i64(self.at.millis());
        out.text(self.name.as_str());
        out.option(self.trace, |out, trace| out.u128(trace.0));
        out.option(self.account.as_ref(), |out, account| {
            out.text(account.as_str())
        });
        out.list(&self.fields, |out, (name, value)| {
            out.text(name);
            out.text(value);
        });
        out.finish()
    }

    /// Undoes [`Event::encode`].
    ///
    /// # Errors
    /// [`PackError`] when the octets are not an event of a version known here.
    pub fn decode(octets: &[u8]) -> Result<Self, PackError> {
        let mut from = Unpacker::new(octets, 1)?;
        Ok(Self {
            id: EventId(from.u128()?),
            at: Timestamp::from_millis(from.i64()?),
            name: EventName::parse(from.text()?),
            trace: from.option(|from| from.u128().map(TraceId))?,
            account: from.option(|from| from.text().map(AccountId::new))?,
            fields: from.list(|from| Ok((from.text()?.to_owned(), from.text()?.to_owned())))?,
        })
    }
}

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Read on after this.
    pub cursor: EventCursor,
    /// The event.
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_back_as_it_was_written() {
        let event = Event {
            id: EventId(7),
            at: Timestamp::from_millis(-5),
            name: EventName::parse("OrderShipped"),
            trace: Some(TraceId(9)),
            account: Some(AccountId::new("a@x.test")),
            fields: vec![("from".into(), "b@x.test".into())],
        };
        assert_eq!(Event::decode(&event.encode()).unwrap(), event);
    }
}
