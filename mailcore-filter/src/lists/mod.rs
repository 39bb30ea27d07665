//! Lists kept here, as against those that DNS publishes.

mod access;
mod ask;
pub mod import;
mod network;
mod pattern;
mod rule;
mod rule_set;
mod rules;
mod scoped;

pub use access::AccessList;
pub use ask::{ListTest, SenderProof};
pub use import::{ImportError, ImportReason, RuleDefaults};
pub use network::{Network, NetworkError};
pub use pattern::{Pattern, PatternError};
pub use rule::{About, Decision, Force, Rule, RuleError};
pub use rule_set::{RuleSet, RuleVerdict};
pub use rules::AccessListError;
pub use scoped::{LIST_PREFIX, ListError, MAX_RULES, ScopedLists};
