//! [`KitError`]: why the test kit did not do what it was asked.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::address::AddressError;
use crate::mailbox::MailboxNameError;
use crate::queue::OperateError;
use crate::seams::StoreError;
use crate::server::{ConnectError, StartError};

/// Why the test kit did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KitError {
    /// Not an address.
    #[error("{text:?} is no address: {source}")]
    Address {
        /// What was given.
        text: String,
        /// Why not.
        source: AddressError,
    },
    /// Not a name of a mailbox.
    #[error("{text:?} is no mailbox: {source}")]
    MailboxName {
        /// What was given.
        text: String,
        /// Why not.
        source: MailboxNameError,
    },
    /// No such account, and none is made.
    #[error("there is no account {0}; add it to the builder: .account(..), or let unknown ones in")]
    NoAccount(String),
    /// The server was given no store.
    #[error("no store; give the builder one: .stores(MemoryStore::with)")]
    NoStore,
    /// The server did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is no stream to a service.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A file or folder can't be read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A connection to a service broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The server refused a message.
    #[error("refused after {after}: {reply}")]
    Refused {
        /// What was said to it.
        after: String,
        /// Its reply.
        reply: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] OperateError),
}
