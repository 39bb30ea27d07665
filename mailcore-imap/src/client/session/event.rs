//! What a session tells its host and asks it for, and what the host says.

use bytes::Bytes;

use super::CommandId;
use crate::client::response::{BodyKey, Data, Fetched, Status};

/// What the server told.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Data, asked for or not.
    Data(Data),
    /// `* OK`, `* NO` and their like.
    Status(Status),
    /// Octets of a message begin.
    BodyBegins {
        /// What the response said of the message before them.
        known: Box<Fetched>,
        /// Which octets.
        key: BodyKey,
        /// How many.
        size: u64,
    },
    /// The next octets.
    Body(Bytes),
    /// The octets ended. What else the response says comes as
    /// [`Data::Fetch`].
    BodyEnds,
    /// IDLE began: what comes from now on is news.
    Idling,
    /// A command ended.
    Done(CommandId, Status),
}

/// What only the host can say.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Nothing is under way: what now?
    Next,
    /// Take this.
    Event(Event),
    /// The next octets of the literal that this command streams; at most so
    /// many are left.
    Content(CommandId, u64),
}

/// The host's answer.
#[derive(Debug)]
pub enum Answer {
    /// To an event: it was taken. To [`Question::Next`]: whatever
    /// [`ClientSession::start`](super::ClientSession::start) was given.
    Go,
    /// The next octets of the message; at least one.
    Octets(Bytes),
    /// The message can't be read any further.
    Unreadable(std::io::Error),
}
