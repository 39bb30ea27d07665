//! ARC (RFC 8617): what hosts on the way said of a message, each with a seal over
//! what those before it said.
//!
//! A chain that holds lets a receiver believe a list or a forwarder that it
//! trusts about mail whose own signatures the way has broken.

mod chain;
mod results;
mod seal;
mod verify;

use std::fmt;

use mailcore::address::Domain;
use thiserror::Error;

use super::dkim::{DkimProblem, SyntaxError};

pub use seal::ArcSealer;
pub use verify::ArcVerifier;

/// What a chain is worth (RFC 8617 section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArcResult {
    /// There is none.
    None,
    /// It holds.
    Pass,
    /// It is broken.
    Fail,
    /// DNS did not answer; later it may.
    TempError,
}

impl ArcResult {
    /// As in Authentication-Results and the tag `cv`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
        }
    }
}

impl fmt::Display for ArcResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a message's chain came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArcReport {
    /// The result.
    pub result: ArcResult,
    /// Why it does not hold.
    pub problem: Option<ArcProblem>,
    /// Who sealed, from the first to the last.
    pub sealers: Vec<Domain>,
    /// What the hosts said, in their order: the values of their
    /// ARC-Authentication-Results, instance and all. To be believed of a chain
    /// that holds, and of sealers one trusts.
    pub said: Vec<String>,
    /// Whether the last host signed the From field. It need not, and the chain
    /// says nothing of whose mail it is then.
    pub covers_from: bool,
}

/// Why a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ArcProblem {
    /// A field can't be read.
    #[error("a field can't be read: {0}")]
    Syntax(SyntaxError),
    /// A field without an instance from 1 to 50.
    #[error("a field has no instance from 1 to 50")]
    Instance,
    /// A set lacks a field, or has one twice.
    #[error("set {0} is not one of each field")]
    Incomplete(u8),
    /// A seal says that the chain was broken when it was made, or says nothing
    /// it may.
    #[error("seal {0} tells of a chain that did not hold")]
    ToldBroken(u8),
    /// A seal has tags it must not have.
    #[error("seal {0} names fields")]
    NamesFields(u8),
    /// The last host's signature of the message does not hold.
    #[error("the message is not what host {instance} signed: {problem}")]
    Message {
        /// Which.
        instance: u8,
        /// Why.
        problem: DkimProblem,
    },
    /// A seal does not hold.
    #[error("seal {instance} does not hold: {problem}")]
    Seal {
        /// Which.
        instance: u8,
        /// Why.
        problem: DkimProblem,
    },
    /// The header could not be looked at.
    #[error("{0}")]
    Header(DkimProblem),
}

impl ArcProblem {
    /// What the chain is worth then.
    pub fn result(&self) -> ArcResult {
        match self {
            Self::Message { problem, .. } | Self::Seal { problem, .. } | Self::Header(problem)
                if matches!(problem, DkimProblem::Dns | DkimProblem::Unreadable) =>
            {
                ArcResult::TempError
            }
            _ => ArcResult::Fail,
        }
    }
}

#[cfg(test)]
mod tests;
