//! What a session asks of its host, and the answers: [`Question`], [`Answer`].
//!
//! How the answers are found (filters, directory, intake) is not the session's
//! to know; how they are worded is `wording.rs`'s duty.

use std::sync::Arc;

use bytes::Bytes;
use mailcore::account::Identity;
use mailcore::address::Address;
use mailcore::sasl::Inquiry;
use mailcore::seams::{AuthError, Credentials, FilterSession, Trust};
use mailcore::status::Status;
use mailcore::transcript::Transcript;

use crate::command::{Mail, Rcpt};

/// What only the host can know or do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Question {
    /// A peer has connected: is it welcome?
    Connect(Arc<FilterSession>),
    /// It has greeted, and any transaction is over: is its name welcome?
    Greet(Arc<FilterSession>),
    /// What an exchange asks of the authenticator: what a proof is checked
    /// against, or whether a proof is right and its owner may log in.
    Authenticate {
        /// What is asked.
        inquiry: Inquiry,
        /// What is known of the session.
        facts: Arc<FilterSession>,
    },
    /// May a transaction begin? Ends any that is open.
    Mail(Box<NewTransaction>),
    /// May this recipient be added to the transaction?
    Rcpt(Rcpt),
    /// May the message come?
    Data,
    /// The next piece of the message, 64 kB at most.
    Chunk(Bytes),
    /// The message is whole: take responsibility for it, or refuse.
    Finish,
    /// The transaction, if there is one, is over without a message; with a
    /// status when the session refused it, or the peer. The answer means
    /// nothing.
    Abort(Option<Status>),
    /// VRFY by one who may ask: is there such an address?
    Verify(String),
    /// EXPN by one who may ask: which addresses stand for it?
    Expand(String),
    /// ETRN by one who may ask: starts the queue for this node.
    StartQueue {
        /// As the peer wrote it.
        node: String,
        /// What is known of the session.
        facts: Arc<FilterSession>,
    },
    /// A trusted proxy has checked the proof of this login: who is it?
    Vouch(String),
}

/// A transaction as MAIL opens it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewTransaction {
    /// What is known of the session.
    pub session: Arc<FilterSession>,
    /// The `with` keyword of the trace field (RFC 3848, RFC 6531 section 4.3).
    pub protocol: &'static str,
    /// MAIL's arguments; the times asked for are in its parameters.
    pub mail: Mail,
    /// What was said so far, where it is kept.
    pub transcript: Option<Transcript>,
}

/// The host's answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// Yes.
    Proceed,
    /// To [`Question::Connect`]: yes, and whether the peer is trusted.
    Welcome(Trust),
    /// To [`Question::Verify`] and [`Question::Expand`].
    Addresses(Vec<Address>),
    /// To [`Question::StartQueue`]: how many messages wait for the node.
    Started(u64),
    /// No, for a reason that the peer is told.
    Refuse(Status),
    /// No, and the session is over.
    Disconnect(Status),
    /// To [`Question::Authenticate`]: what the proof is checked against.
    Credentials(Credentials),
    /// To [`Question::Authenticate`]: the proof is right.
    Authenticated(Identity),
    /// To [`Question::Authenticate`]: it is not, or could not be checked.
    NotAuthenticated(AuthError),
    /// To [`Question::Finish`]: the message is safe. The text names it for the
    /// peer's log: `queued as 4fz`.
    Accepted(String),
    /// To [`Question::Finish`] in LMTP: one status for each accepted
    /// recipient, in the order of RCPT (RFC 2033 section 4.2).
    AcceptedFor(Vec<Status>),
}
