//! Why something did not work, in words that say what to do next.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use super::response::{Code, Condition, Status};

/// Why a command, or the whole session, failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server said NO or BAD; the session goes on.
    #[error("the server refused {command}: {}", status.said())]
    Refused {
        /// What it refused.
        command: &'static str,
        /// What it said.
        status: Box<Status>,
    },
    /// The server closed the session.
    #[error("the server ended the session: {0}; connect again later")]
    Bye(String),
    /// The connection was lost.
    #[error("the connection was lost during {0}; connect again")]
    Lost(&'static str),
    /// The server was silent for too long.
    #[error("no answer in time to {0}; connect again, or allow more time")]
    TimedOut(&'static str),
    /// What came is no IMAP, or more than is let in.
    #[error("what the server sent can't be used: {0}")]
    Protocol(#[from] ProtocolFault),
    /// The handshake failed.
    #[error("the TLS handshake failed: {0}; check the host's name and certificate")]
    Tls(String),
    /// STARTTLS is asked for and not to be had.
    #[error("the server does not let STARTTLS begin ({0}); use the port for implicit TLS")]
    TlsRefused(String),
    /// TLS is asked for and no configuration was given for it.
    #[error("TLS is asked for, but the client was given no TLS configuration")]
    NoTls,
    /// A password would go in clear.
    #[error("the password is not sent: the connection is not secured by TLS")]
    PasswordInClear,
    /// The server takes none of our ways to log in.
    #[error("the server offers no way to log in that these credentials fit (it offers: {0})")]
    NoMechanism(String),
    /// The server can't do this.
    #[error("the server does not offer {0}, which this needs")]
    NotOffered(&'static str),
    /// A command can't be written: a NUL, CR or LF where none may stand.
    #[error("{0} holds an octet that IMAP can't carry")]
    Unsendable(&'static str),
    /// The message to append could not be read, or not to its end.
    #[error("the message to append could not be read: {0}; connect again")]
    Source(#[source] io::Error),
    /// The session ended before.
    #[error("the session is over; connect again")]
    Closed,
    /// The host has no address.
    #[error("{host} can't be looked up: {reason}")]
    NoAddress {
        /// Which host.
        host: String,
        /// Why.
        reason: String,
    },
    /// No address of the host answers.
    #[error("{address} does not answer: {reason}")]
    Unreachable {
        /// The address tried last.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
}

impl ClientError {
    /// The machine's half of a refusal.
    pub fn code(&self) -> Option<&Code> {
        match self {
            Self::Refused { status, .. } => status.code.as_ref(),
            _ => None,
        }
    }

    /// True when name or password were refused, so that trying again would only
    /// lock the account.
    pub fn is_bad_login(&self) -> bool {
        match self {
            Self::Refused { command, status } => {
                let later = matches!(
                    status.code,
                    Some(Code::Unavailable | Code::InUse | Code::Limit)
                );
                matches!(*command, "LOGIN" | "AUTHENTICATE") && !later
            }
            _ => false,
        }
    }

    /// True when the session goes on.
    pub fn is_session_alive(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. }
                | Self::PasswordInClear
                | Self::NoMechanism(_)
                | Self::NotOffered(_)
                | Self::Unsendable(_)
        )
    }
}

impl Status {
    /// What it says in a line.
    fn said(&self) -> String {
        let word = match self.condition {
            Condition::Bad => "BAD",
            _ => "NO",
        };
        match &self.code {
            Some(code) => format!("{word} [{code:?}] {}", self.text),
            None => format!("{word} {}", self.text),
        }
    }
}

/// What was wrong with what came.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolFault {
    /// A response over [`Limits::response`](super::Limits::response).
    #[error("a response of more than {0} octets; raise the limit if that is to be")]
    TooLong(usize),
    /// A literal over [`Limits::literal`](super::Limits::literal).
    #[error("a literal of more than {0} octets; raise the limit if that is to be")]
    LiteralTooLarge(usize),
    /// Content over [`Limits::body`](super::Limits::body).
    #[error("a message of more than {0} octets; raise the limit if that is to be")]
    BodyTooLarge(u64),
    /// More answers to one command than [`Limits::items`](super::Limits::items)
    /// or [`Limits::held`](super::Limits::held).
    #[error(
        "more than {items} answers to {command}, or {held} octets of them; raise the limit, or take them one by one"
    )]
    TooMuch {
        /// What was asked.
        command: &'static str,
        /// The limit of entries.
        items: usize,
        /// The limit of octets.
        held: usize,
    },
    /// No response, or not at that place.
    #[error("not IMAP: {0}")]
    NotImap(String),
    /// Octets came with the answer to STARTTLS: somebody wants them taken for
    /// the server's.
    #[error("octets were sent in clear after the answer to STARTTLS; the network is hostile")]
    Injected,
    /// The server said that the login was done before it had proved itself.
    #[error("the server did not prove that it knows the account; it may not be what it says")]
    Unproved,
}
