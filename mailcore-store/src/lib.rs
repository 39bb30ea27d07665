//! Stores for mailcore: implementations of its storage seams.
//!
//! ```text
//!  Storage  Commit  Spool  State  Outbox      Directory  DirectoryWrite  Authenticator
//!     └───────┴───────┼──────┴──────┘              └───────────┼───────────────┘
//!            ┌────────┴────────┐                     ┌─────────┴─────────┐
//!       MemoryStore      EmbeddedStore        MemoryDirectory     SqliteDirectory
//! ```
//!
//! What a mailbox or a queue entry means is mailcore's; only keeping them is
//! here. All of them pass the suites of `mailcore::testing::conformance`.
//!
//! | feature | brings |
//! |---|---|
//! | `memory` | [`MemoryStore`], no SQLite compiled |
//! | `embedded` | `embedded::EmbeddedStore`: a log that is the truth and a SQLite index that is derived from it |
//! | `journal` | `journal::SqliteJournal`: what happened, for any SQLite tool to read |
//! | `directory` | `directory::MemoryDirectory`, and what both directories share; within `memory` |
//! | `sqlite-directory` | `directory::SqliteDirectory`; within `embedded` |
//!
//! | RFC | what of it |
//! |---|---|
//! | 2142 sections 4 and 5, 5321 section 4.5.1 | `postmaster` and `abuse` reach somebody |
//! | 5233 section 1 | `user+detail` is `user` |
//! | 6851 | moves are one change |
//! | 7162 | ModSeq and tombstones |
//! | 8474 | MAILBOXID and EMAILID |
//! | 9051 section 2.3 | UIDs, UIDVALIDITY, flags |
//!
//! ```
//! # #[cfg(feature = "memory")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mailcore::account::AccountId;
//! use mailcore::mailbox::MailboxName;
//! use mailcore::seams::Storage;
//! use mailcore_store::MemoryStore;
//!
//! let store = MemoryStore::new();
//! let inbox = store.open(&AccountId::new("user@example.com"), &MailboxName::inbox()).await?;
//! assert_eq!(inbox.status().await?.messages, 0);
//! # Ok(())
//! # }
//! # #[cfg(feature = "memory")]
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
//! ```

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

#[cfg(feature = "directory")]
pub mod directory;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "journal")]
pub mod journal;
#[cfg(feature = "memory")]
pub mod memory;

#[cfg(feature = "embedded")]
pub use embedded::{EmbeddedOptions, EmbeddedStore};
#[cfg(feature = "memory")]
pub use memory::{MemoryLimits, MemoryStore};
