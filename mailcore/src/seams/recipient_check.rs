//! Asking the host of a relayed domain whether it takes mail for an address.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::NextHop;
use crate::address::Address;
use crate::status::Status;

/// Asks another host for a recipient without sending it anything. What it says
/// is remembered by whoever asks, who also sets a deadline: dropping the future
/// ends the call.
#[async_trait]
pub trait RecipientCheck: Debug + Send + Sync {
    /// What the next hop says of the recipient.
    async fn check(&self, query: &RecipientQuery<'_>) -> Standing;
}

/// Who is asked, and for whom.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RecipientQuery<'a> {
    /// The agent that would deliver: hosts are called with its settings.
    pub agent: &'a Arc<str>,
    /// Where it would deliver.
    pub next_hop: &'a NextHop,
    /// To whom.
    pub recipient: &'a Address,
}

impl<'a> RecipientQuery<'a> {
    /// A question to `next_hop`, as `agent` reaches it.
    pub fn new(agent: &'a Arc<str>, next_hop: &'a NextHop, recipient: &'a Address) -> Self {
        Self {
            agent,
            next_hop,
            recipient,
        }
    }
}

/// What a host says of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It takes mail for it.
    Known,
    /// It takes none, and never will: in its words.
    Unknown(Status),
    /// It can't be asked, or does not say.
    NoAnswer(Status),
}
