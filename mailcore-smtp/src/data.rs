//! The mail data of DATA on the wire: [`DataReceiver`] takes off the dots that
//! [`DotStuffer`] puts on (RFC 5321 section 4.5.2).
//!
//! Data ends at CRLF "." CRLF and nowhere else. A bare CR or LF or a NUL makes
//! the whole message refused: a peer that sends one may take another sequence
//! for the end of the data than this side does. What is done about a refused
//! message, replies and closing, is the session's duty.

mod check;
mod receive;
mod send;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub use check::LineCheck;
pub use receive::{DataReceiver, DataStep};
pub use send::DotStuffer;

/// Why a message cannot be taken, known once its end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DataFault {
    /// A CR without LF or an LF without CR. The two sides may not agree where
    /// the data ends: nothing that follows may be trusted to be a command.
    #[error("the message holds a bare CR or LF; lines must end with CRLF (RFC 5321 section 2.3.8)")]
    StrayLineEnd,
    /// A NUL octet.
    #[error("the message holds a NUL octet; encode it (RFC 2045)")]
    Nul,
    /// More octets than the limit.
    #[error("the message is larger than this server takes")]
    TooLarge,
}
