//! Directories: who is served, kept in memory or in SQLite, under one set of
//! rules.
//!
//! [`LocalDirectory`] is the one implementation of
//! [`Directory`](mailcore::seams::Directory),
//! [`DirectoryWrite`](mailcore::seams::DirectoryWrite), all that is reached
//! through them, and [`Authenticator`](mailcore::seams::Authenticator). It
//! answers from memory; a write is a list of [`Change`]s that a rule made from
//! the newest content, kept by what [`Keep`] is and then applied. Nothing here
//! knows mail.

mod addresses;
mod administration;
mod app_passwords;
mod apply;
mod argon;
mod authenticate;
mod credentials;
mod groups;
mod hashes;
mod keep;
mod lists;
mod local;
mod mac;
mod passwords;
mod patterns;
mod renewal;
mod scram;
mod scripts;
mod seal;
mod sealed;
mod second_factor;
mod secrets;
mod settings;
#[cfg(feature = "sqlite-directory")]
mod sqlite;
mod table;
mod totp;
mod write;

pub use keep::{
    AccountRow, AppPasswordRow, Change, Damage, Extent, Keep, Nowhere, Opened, ScriptKey, Section,
};
pub use lists::MAX_LIST_MEMBERS;
pub use local::{LocalDirectory, MemoryDirectory};
pub use mac::mac;
pub use passwords::PasswordHashing;
pub use scripts::ScriptLimits;
pub use seal::StoreKey;
pub use second_factor::CodeLogin;
pub use settings::{MAX_DOMAIN_SETTINGS, MAX_SETTING_VALUE, MAX_SETTINGS};
#[cfg(feature = "sqlite-directory")]
pub use sqlite::{Database, SqliteDirectory};
pub use table::Table;
pub use write::MAX_ALIAS_TARGETS;

/// Makes the names in a file's directory durable.
fn sync_parent(path: &std::path::Path) -> std::io::Result<()> {
    match path.parent().filter(|it| !it.as_os_str().is_empty()) {
        Some(parent) => std::fs::File::open(parent)?.sync_all(),
        None => std::fs::File::open(".")?.sync_all(),
    }
}
