//! Events: what happened, named after RFC 5423 where it has a name, committed
//! in the same [`Batch`](crate::batch::Batch) as the thing itself.

mod bus;
mod follower;
mod recorder;
mod session;

pub use bus::EventStream;
pub use follower::{Follower, FollowerConfig};
pub use recorder::{Recorder, RecorderConfig, RecorderTask};
pub use session::SessionEvents;

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
    /// More, by name: `from`, `to`, `mailbox`, `uid`, `status`, `remote`. What
    /// each event has is listed in `docs/storage.md`, section "journal.db".
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

/// What an event says. Host applications raise [`EventName::Other`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventName {
    /// A message came into a mailbox by delivery (RFC 5423 section 4.1).
    MessageNew,
    /// A client added a message to a mailbox.
    MessageAppend,
    /// Messages were removed.
    MessageExpunge,
    /// Messages that had been removed were brought back.
    MessageRestore,
    /// Flags were set.
    FlagsSet,
    /// Flags were cleared.
    FlagsClear,
    /// A mailbox was made.
    MailboxCreate,
    /// A mailbox was deleted.
    MailboxDelete,
    /// A mailbox was renamed.
    MailboxRename,
    /// A user logged in.
    Login,
    /// A user logged out, or the connection ended.
    Logout,
    /// A login was refused.
    LoginFailed,
    /// An address was banned by a rule.
    PeerBanned,
    /// An account, or an address, sends more than it may.
    SendingLimited,
    /// A message was accepted by SMTP or from the host.
    MessageReceived,
    /// A message was refused: at MAIL, at DATA or after its content was read.
    MessageRefused,
    /// A recipient was refused at RCPT, or for LMTP after the content was read.
    RecipientRefused,
    /// A message entered the queue.
    MessageQueued,
    /// A delivery agent was given a message for some recipients, and ended.
    DeliveryAttempt,
    /// Recipients were given up since the time for a message was over.
    MessageExpired,
    /// A recipient was served: filed, handed to the host, or relayed.
    RecipientDelivered,
    /// A recipient became other recipients: an alias, a list.
    RecipientExpanded,
    /// A recipient could not be served now.
    RecipientDeferred,
    /// A recipient will not be served.
    RecipientFailed,
    /// A notice (DSN) was made.
    NoticeSent,
    /// An operator changed what is in the queue.
    QueueChange,
    /// Events before this one were dropped by age or size.
    Gap,
    /// Refusals and sessions that were counted and not told of one by one, since
    /// there were too many at a time.
    EventsOmitted,
    /// The store's disk is nearly full; new mail is refused.
    DiskLow,
    /// The store's disk has room again.
    DiskOk,
    /// Any other.
    Other(String),
}

const NAMES: [(EventName, &str); 30] = [
    (EventName::MessageNew, "MessageNew"),
    (EventName::MessageAppend, "MessageAppend"),
    (EventName::MessageExpunge, "MessageExpunge"),
    (EventName::MessageRestore, "MessageRestore"),
    (EventName::FlagsSet, "FlagsSet"),
    (EventName::FlagsClear, "FlagsClear"),
    (EventName::MailboxCreate, "MailboxCreate"),
    (EventName::MailboxDelete, "MailboxDelete"),
    (EventName::MailboxRename, "MailboxRename"),
    (EventName::Login, "Login"),
    (EventName::Logout, "Logout"),
    (EventName::LoginFailed, "LoginFailed"),
    (EventName::PeerBanned, "PeerBanned"),
    (EventName::SendingLimited, "SendingLimited"),
    (EventName::MessageReceived, "MessageReceived"),
    (EventName::MessageRefused, "MessageRefused"),
    (EventName::RecipientRefused, "RecipientRefused"),
    (EventName::MessageQueued, "MessageQueued"),
    (EventName::DeliveryAttempt, "DeliveryAttempt"),
    (EventName::MessageExpired, "MessageExpired"),
    (EventName::RecipientDelivered, "RecipientDelivered"),
    (EventName::RecipientExpanded, "RecipientExpanded"),
    (EventName::RecipientDeferred, "RecipientDeferred"),
    (EventName::RecipientFailed, "RecipientFailed"),
    (EventName::NoticeSent, "NoticeSent"),
    (EventName::QueueChange, "QueueChange"),
    (EventName::Gap, "Gap"),
    (EventName::EventsOmitted, "EventsOmitted"),
    (EventName::DiskLow, "DiskLow"),
    (EventName::DiskOk, "DiskOk"),
];

impl EventName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => NAMES
                .iter()
                .find(|(name, _)| name == known)
                .map_or("", |(_, text)| text),
        }
    }

    /// Reads a name; what is not known here is [`EventName::Other`].
    pub fn parse(text: &str) -> Self {
        NAMES
            .iter()
            .find(|(_, name)| *name == text)
            .map_or_else(|| Self::Other(text.to_owned()), |(name, _)| name.clone())
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
        for (name, text) in NAMES {
            assert_eq!(EventName::parse(text), name);
            assert_eq!(name.as_str(), text);
        }
    }
}
