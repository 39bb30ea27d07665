//! What can go wrong in a store, shared by the seams that one store implements.

use std::sync::Arc;

use thiserror::Error;

/// Why a store did not do what was asked. Protocols word these in their
/// `wording.rs`; sources go to the log, never to the peer.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No such account.
    #[error("no such account")]
    NoSuchAccount,
    /// No such mailbox, or it was deleted while open.
    #[error("no such mailbox")]
    NoSuchMailbox,
    /// The name is taken.
    #[error("a mailbox of that name exists")]
    MailboxExists,
    /// The mailbox can't be deleted or renamed so (INBOX, one with children).
    #[error("this mailbox can't be changed so: {0}")]
    MailboxProtected(&'static str),
    /// No such message, queue entry or content.
    #[error("no such entry")]
    NotFound,
    /// The owner's or the domain's quota is used up.
    #[error("over quota")]
    OverQuota,
    /// Larger than is allowed here.
    #[error("larger than {limit} octets")]
    TooLarge {
        /// The limit, in octets.
        limit: u64,
    },
    /// A limit on counts: messages in a mailbox, mailboxes of an account.
    #[error("limit reached: {0}")]
    Limit(&'static str),
    /// No space left; retry when there is.
    #[error("the store's disk is full")]
    DiskFull,
    /// The store takes no changes: told to, or after a failed write.
    #[error("the store is read-only: {0}")]
    ReadOnly(String),
    /// These octets are damaged; others are not.
    #[error("damaged: {0}")]
    Damaged(String),
    /// This store lacks the ability ([`Abilities`](super::Abilities)).
    #[error("not supported by this store: {0}")]
    Unsupported(&'static str),
    /// The store is shutting down or too busy; retry later.
    #[error("the store is not available: {0}")]
    Unavailable(&'static str),
    /// The operating system or the database failed.
    #[error("{context}: {source}")]
    Io {
        /// What was being done, with the path.
        context: String,
        /// The cause.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Wraps a cause with what was being done.
    pub fn io(
        context: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Io {
            context: context.into(),
            source: Arc::new(source),
        }
    }

    /// True when the same request may succeed later without a change by its
    /// maker.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::DiskFull
                | Self::ReadOnly(_)
                | Self::Unavailable(_)
                | Self::Io { .. }
                | Self::OverQuota
        )
    }
}
