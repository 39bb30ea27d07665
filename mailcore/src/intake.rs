//! The way in: from a session's MAIL, RCPT and DATA to one commit.
//!
//! Stages ask the filters, recipients are routed as they are named, the message
//! streams into a [`ContentWriter`](crate::message::ContentWriter), and what is
//! to become of it is one [`Plan`](crate::plan::Plan) and one
//! [`Batch`](crate::batch::Batch). Mail that the server or the host writes
//! comes the same way.

mod accept;
mod callout;
mod copy;
mod demands;
mod edit;
mod file;
mod flood;
mod forged;
mod form;
mod head;
mod hook;
pub(crate) mod letters;
mod policy;
mod recipients;
mod settle;
mod stages;
pub(crate) mod tell;
pub(crate) mod trace;
mod transaction;
mod verify;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use thiserror::Error;

use crate::abuse::Limiter;
use crate::address::Domain;
use crate::event::Recorder;
use crate::limits::Limits;
use crate::queue::RetrySchedule;
use crate::seams::{
    Clock, Commit, DeliveryAgent, Directory, Entropy, Filter, FilterSession, QueueStart, Router,
    Rules,
};
use crate::status::Status;
use crate::transcript::Transcript;

pub use accept::Accepted;
pub use callout::{Callout, CalloutConfig};
pub use copy::delivery_id;
pub use file::{After, Filed, Filing, Forwarded, Mail, MailboxTarget};
pub use hook::{HookAgent, HookError, HookRouter, ReceivedMail};
pub use policy::{ForeignFrom, IntakePolicy, Transcripts};
pub use tell::Subjects;
pub use transaction::Transaction;

/// The way in, shared by all sessions.
#[derive(Debug)]
pub struct Intake {
    pub(crate) parts: IntakeParts,
    recorder: Recorder,
    subjects: Subjects,
    policy: IntakePolicy,
    limiter: Option<Arc<Limiter>>,
    queue: OnceLock<Arc<dyn QueueStart>>,
}

/// The seams that intake uses.
#[derive(Debug)]
pub struct IntakeParts {
    /// This server's name, in trace fields.
    pub hostname: Domain,
    /// Where addresses lead.
    pub router: Arc<dyn Router>,
    /// Who may send as whom; without one everybody who authenticated may send
    /// as anybody.
    pub directory: Option<Arc<dyn Directory>>,
    /// The durable write; without one only agents that deliver at once serve.
    pub commit: Option<Arc<dyn Commit>>,
    /// Agents by name.
    pub agents: HashMap<Arc<str>, Arc<dyn DeliveryAgent>>,
    /// In the order in which they are asked.
    pub filters: Vec<Arc<dyn Filter>>,
    /// Asks relayed domains' hosts for recipients; without one nobody is asked.
    pub callout: Option<Callout>,
    /// The recipients' own rules.
    pub rules: Option<Arc<dyn Rules>>,
    /// When queued mail is tried again.
    pub schedule: RetrySchedule,
    /// For how long a copy of what is filed at once is kept; `None` for not at
    /// all.
    pub keep_delivered: Option<Duration>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub entropy: Arc<dyn Entropy>,
    /// Limits.
    pub limits: Limits,
}

/// What intake needs to know of a session.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// Peer, HELO, identity, TLS, door.
    pub filter: FilterSession,
    /// The `with` keyword of the Received field: `ESMTP`, `ESMTPSA` (RFC 3848).
    pub with: &'static str,
    /// What was said, where it is kept for the log of messages.
    pub transcript: Option<Transcript>,
}

/// Which door mail comes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionKind {
    /// From any server, for us (RFC 5321).
    Mx,
    /// From our users, for anybody (RFC 6409).
    Submission,
    /// From a trusted server, one reply for each recipient (RFC 2033).
    Lmtp,
    /// From inside the process.
    Local,
}

/// A no, with what the session should do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{status}")]
#[non_exhaustive]
pub struct Refusal {
    /// What to reply.
    pub status: Status,
    /// Close the connection after the reply.
    pub close: bool,
    /// Wait before the reply.
    pub delay: Option<Duration>,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self {
            status,
            close: false,
            delay: None,
        }
    }
}

impl Intake {
    /// Intake over these seams. Tells nobody of refusals, see
    /// [`Intake::telling`].
    pub fn new(parts: IntakeParts) -> Self {
        Self {
            parts,
            recorder: Recorder::default(),
            subjects: Subjects::default(),
            policy: IntakePolicy::default(),
            limiter: None,
            queue: OnceLock::new(),
        }
    }

    /// With these decisions of the operator.
    #[must_use]
    pub fn with_policy(mut self, policy: IntakePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// This server's name.
    pub fn hostname(&self) -> &Domain {
        &self.parts.hostname
    }

    /// Octets allowed in a message: what SIZE announces.
    pub fn max_message_size(&self) -> u64 {
        self.parts.limits.message_size
    }
}
