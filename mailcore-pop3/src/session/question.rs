//! What a session and its host say to one another: [`Question`], [`Answer`],
//! [`Notice`].

use bytes::Bytes;
use mailcore::account::Identity;
use mailcore::mailbox::{Uid, UidSet};
use mailcore::sasl::{Finding, Inquiry};
use mailcore::seams::AuthError;

use crate::maildrop::Maildrop;

/// What the session asks its host.
#[derive(Debug, Clone)]
pub enum Question {
    /// Ask the authenticator.
    Ask(Inquiry),
    /// Lock the maildrop of the one who logged in, and list it.
    Open(Identity),
    /// Up to 64 kB of a message.
    Read {
        /// Which.
        uid: Uid,
        /// From this octet on.
        from: u64,
    },
    /// Remove these messages, and no others, and unlock the maildrop.
    Update {
        /// Which; may be none.
        deleted: UidSet,
    },
}

/// What the host answers, each to its question.
#[derive(Debug)]
pub enum Answer {
    /// To [`Question::Ask`].
    Found(Result<Finding, AuthError>),
    /// To [`Question::Open`].
    Opened(Result<Maildrop, LoginRefusal>),
    /// To [`Question::Read`]: octets, none at the message's end.
    Read(Result<Bytes, ReadFailure>),
    /// To [`Question::Update`].
    Update(UpdateOutcome),
}

/// Why a login failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginRefusal {
    /// Unknown user or wrong password.
    Invalid,
    /// Right password, but the account may not log in.
    Disabled,
    /// Too many failures.
    Throttled,
    /// Right password, but another session holds the maildrop.
    InUse,
    /// Right password, but the last login was too short a time ago.
    TooSoon,
    /// Right password, but the account has no such folder.
    NoFolder,
    /// It could not be checked, or the maildrop not opened.
    Unavailable,
}

impl From<&AuthError> for LoginRefusal {
    fn from(error: &AuthError) -> Self {
        match error {
            AuthError::Invalid => Self::Invalid,
            AuthError::Disabled => Self::Disabled,
            AuthError::Throttled => Self::Throttled,
            _ => Self::Unavailable,
        }
    }
}

impl LoginRefusal {
    /// True when the client may be guessing: it waits, and is let guess a few
    /// times only.
    pub(super) fn is_guess(self) -> bool {
        match self {
            Self::Invalid | Self::Disabled | Self::Throttled => true,
            Self::InUse | Self::TooSoon | Self::NoFolder | Self::Unavailable => false,
        }
    }
}

/// Why a message can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadFailure {
    /// Expunged by another session.
    Gone,
    /// Its octets are damaged.
    Damaged,
    /// The store failed.
    Unavailable,
}

/// What became of the messages marked as deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// All are gone.
    Removed,
    /// Some may still be there.
    Incomplete,
}

/// What may happen beside the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The account was closed: end the session without removing anything.
    AccountClosed,
}
