//! The states of a session: each holds what is valid in it and nothing else.
//!
//! What leads from one to the other is in the files named after the parts of a
//! session.

use mailcore::sasl::Exchange;
use mailcore::time::Monotonic;

use super::chunking::Chunked;
use super::question::Question;
use super::table::Stage;
use super::transaction::{Receiving, Transaction};
use crate::command::{Verb, Xclient};
use crate::reply::Reply;

/// What the session waits for or does next.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing was done yet.
    Connected,
    /// The peer is welcome; the greeting waits for early talkers.
    Greeting { until: Option<Monotonic> },
    /// A command is awaited.
    Command(Phase),
    /// The rest of an over-long line is dropped; then comes `then`.
    LongLine { dropped: u64, then: AfterLongLine },
    /// A question is to be asked.
    Ask(Question, Pending),
    /// It is open.
    Asking(Pending),
    /// The client's answer to a SASL challenge is awaited.
    Authenticating(Exchange),
    /// The reply to a failed AUTH is held back.
    Pausing { until: Monotonic, reply: Reply },
    /// The message is coming by DATA.
    Data(Box<Receiving>),
    /// A chunk of it is coming by BDAT.
    Chunk(Box<Chunked>),
    /// The rest of a refused chunk is dropped; then `replies` are due.
    SkipChunk {
        left: u64,
        replies: Vec<Reply>,
        phase: Phase,
    },
    /// STARTTLS was agreed to; the reply goes out, then the handshake begins.
    StartTls,
    /// The handshake is the driver's.
    Handshake,
    /// Replies go out, then the connection closes.
    Closing,
    /// It is over.
    Closed,
}

/// Whether a transaction is open.
#[derive(Debug)]
pub(super) enum Phase {
    Idle,
    Transaction(Transaction),
    /// Part of the message has come by BDAT.
    Chunks(Box<Chunked>),
}

impl Phase {
    pub(super) fn stage(&self, greeted: Option<Verb>) -> Stage {
        match self {
            Self::Idle if greeted.is_none() => Stage::Ungreeted,
            Self::Idle => Stage::Greeted,
            Self::Transaction(transaction) => transaction.stage(),
            Self::Chunks(_) => Stage::Chunks,
        }
    }
}

#[derive(Debug)]
pub(super) enum AfterLongLine {
    Command(Phase),
    /// The AUTH exchange has failed.
    AuthFailed,
}

/// What an open question was about.
#[derive(Debug)]
pub(super) enum Pending {
    Connect,
    Greet(Verb),
    Auth(Exchange),
    /// A look-up within a session.
    Asked(Asked, Phase),
    /// Whether a proxy's client is who the proxy says.
    Vouch(Box<Xclient>),
    Mail(Transaction),
    Rcpt(Transaction),
    Data(Transaction),
    Chunk(Box<Receiving>),
    /// The beginning of a message by BDAT, or octets of it.
    Bdat(Box<Chunked>),
    Finish(Transaction),
    /// The transaction was dropped; the replies wait, `then` follows.
    Abort {
        replies: Vec<Reply>,
        then: Box<State>,
    },
}

/// What was looked up.
#[derive(Debug)]
pub(super) enum Asked {
    Verify,
    Expand,
    /// ETRN, for this node.
    Start(String),
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) commands: u64,
    pub(super) errors: u32,
    pub(super) idle_commands: u32,
    pub(super) unknown_recipients: u32,
    pub(super) transactions: u32,
    pub(super) auth_failures: u32,
}
