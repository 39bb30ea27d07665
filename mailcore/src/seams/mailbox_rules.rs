//! What runs when a client changes a mailbox (RFC 6785).

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Letter, Mailbox};
use crate::account::AccountId;
use crate::mailbox::{Flags, MailboxName, Uid};

/// Told of what clients add and change, and acts on it: the scripts that users tie
/// to mailboxes.
///
/// The client's change was made when this is asked, and nothing here undoes or
/// fails it. What an implementation changes itself is not told to it again.
/// *Cost*: the client waits; [`MailboxRules::concerns`] is asked at each change of
/// a mailbox and answers from memory.
#[async_trait]
pub trait MailboxRules: Debug + Send + Sync {
    /// Where clients keep the scripts: a `sieve://` URL without a path (RFC 5804
    /// section 3). Without one nothing is announced.
    fn script_server(&self) -> Option<Arc<str>> {
        None
    }

    /// Whether anything runs when this mailbox changes.
    async fn concerns(&self, account: &AccountId, mailbox: &MailboxName) -> bool;

    /// One message was added or changed. Returns mail that comes of it.
    async fn changed(&self, change: &MailboxChange<'_>) -> Vec<Letter>;

    /// The account's mailboxes or their annotations were changed: what is
    /// remembered of them no longer holds.
    fn forget(&self, account: &AccountId) {
        let _ = account;
    }
}

/// How a message came to be new or different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MailboxCause {
    /// It was added.
    Append,
    /// It came from another mailbox.
    Copy,
    /// Its flags were changed.
    Flag,
}

impl MailboxCause {
    /// As scripts know it (RFC 6785 section 4.3).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "APPEND",
            Self::Copy => "COPY",
            Self::Flag => "FLAG",
        }
    }
}

/// A change of one message.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MailboxChange<'a> {
    /// Whose mailbox it is.
    pub account: &'a AccountId,
    /// Who made the change, as he logged in.
    pub login: &'a str,
    /// Which mailbox.
    pub name: &'a MailboxName,
    /// The same, opened.
    pub mailbox: &'a dyn Mailbox,
    /// Which message.
    pub uid: Uid,
    /// What happened.
    pub cause: MailboxCause,
    /// The flags that were set or removed, where flags were changed.
    pub flags: &'a Flags,
}

impl<'a> MailboxChange<'a> {
    /// Of a message in this mailbox of an account, made by who logged in so.
    pub fn new(
        (account, login): (&'a AccountId, &'a str),
        (name, mailbox): (&'a MailboxName, &'a dyn Mailbox),
        uid: Uid,
        (cause, flags): (MailboxCause, &'a Flags),
    ) -> Self {
        Self {
            account,
            login,
            name,
            mailbox,
            uid,
            cause,
            flags,
        }
    }
}
