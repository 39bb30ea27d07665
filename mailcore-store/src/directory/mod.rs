//! Directories: who is served, kept in memory or in SQLite, under one set of
//! rules.
//!
//! [`LocalDirectory`] is the one implementation of
//! [`Directory`](mailcore::seams::Directory),
//! [`DirectoryWrite`](mailcore::seams::DirectoryWrite) and
//! [`Authenticator`](mailcore::seams::Authenticator); it answers from memory
//! and writes through to what [`Keep`] is. Nothing here knows mail.

mod argon;
mod authenticate;
mod keep;
mod local;
mod passwords;
#[cfg(feature = "sqlite-directory")]
mod sqlite;
mod table;

pub use keep::{Change, Keep, Nowhere};
pub use local::{Access, LocalDirectory, MemoryDirectory, Role};
pub use passwords::PasswordHashing;
#[cfg(feature = "sqlite-directory")]
pub use sqlite::{Database, SqliteDirectory};
pub use table::{MAX_ALIAS_TARGETS, Table};
