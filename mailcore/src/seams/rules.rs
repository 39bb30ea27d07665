//! What a recipient's own rules make of a message.

use std::fmt::Debug;

use crate::account::AccountId;
use crate::address::{Address, ReversePath};
use crate::message::{Message, Summary};
use crate::plan::Action;

/// Message and recipient in, actions out. Pure: no change, no waiting. An
/// error inside is implicit keep: no actions.
pub trait Rules: Debug + Send + Sync {
    /// The actions for this copy; none means keep.
    fn evaluate(&self, input: &RulesInput<'_>) -> Vec<Action>;
}

/// What rules may look at.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RulesInput<'a> {
    /// Whose rules.
    pub account: &'a AccountId,
    /// From whom, by the envelope.
    pub reverse_path: &'a ReversePath,
    /// To whom, by the envelope.
    pub recipient: &'a Address,
    /// The octets.
    pub message: &'a Message,
    /// The message's structure.
    pub summary: &'a Summary,
}

impl<'a> RulesInput<'a> {
    /// All of it.
    pub fn new(
        account: &'a AccountId,
        reverse_path: &'a ReversePath,
        recipient: &'a Address,
        message: &'a Message,
        summary: &'a Summary,
    ) -> Self {
        Self {
            account,
            reverse_path,
            recipient,
            message,
            summary,
        }
    }
}
