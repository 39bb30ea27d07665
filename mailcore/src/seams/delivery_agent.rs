//! Whoever takes a message one step further.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::NextHop;
use crate::address::ReversePath;
use crate::envelope::{MailParams, Recipient};
use crate::event::TraceId;
use crate::message::Message;
use crate::plan::Finding;
use crate::queue::Origin;
use crate::status::Outcome;
use crate::time::Timestamp;
use crate::transcript::Transcript;

/// Delivers to mailboxes, other hosts, or the host application.
///
/// One [`Outcome`] per recipient, in the job's order, never a bare error: what
/// is not known to be delivered is deferred. A call may be repeated after a
/// crash, with the same `trace`: delivery is at least once (RFC 5321 section
/// 6.1). Dropping the future abandons the attempt.
#[async_trait]
pub trait DeliveryAgent: Debug + Send + Sync {
    /// Makes one attempt.
    async fn deliver(&self, job: DeliveryJob) -> Vec<Outcome>;
}

/// One attempt: a message for those recipients that share a next hop.
#[derive(Debug, Clone)]
pub struct DeliveryJob {
    /// The message's track.
    pub trace: TraceId,
    /// Where notices go.
    pub reverse_path: ReversePath,
    /// What MAIL asked for.
    pub params: MailParams,
    /// Where it came from.
    pub origin: Origin,
    /// For whom.
    pub recipients: Vec<Recipient>,
    /// Where to.
    pub next_hop: NextHop,
    /// The octets.
    pub message: Message,
    /// When this server accepted it.
    pub received_at: Timestamp,
    /// What the filters found when it came, as far as the queue keeps it.
    pub findings: Arc<[Finding]>,
    /// The agent's name in the route.
    pub agent: Arc<str>,
    /// Takes what was said, for the message log. An agent need not write to it.
    pub transcript: Transcript,
}
