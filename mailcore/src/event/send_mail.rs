//! Mail that events send: a [`MailRule`] names events, conditions on their
//! fields, and the mail that is written then.
//!
//! A mail enters intake like any other, in one commit with the place up to
//! which events were read: so each event sends a rule's mail once, also over a
//! crash. (A closure that takes the mail as its recipient may be called twice.)
//! Mail that a rule sent raises no rule, nor does what comes of it: a notice,
//! or the mail itself where it was sent back to this server.

mod condition;
mod message;
mod nearest;
mod own;
mod processor;
mod rule;
mod template;
mod throttle;

pub use condition::{Condition, Sense, Test};
pub use rule::{MailRule, MailTo, RuleError};

pub(crate) use processor::{MailRules, RuleSeams, forget};
