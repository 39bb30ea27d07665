//! [`Scripts`]: Sieve scripts and rule sets, as ManageSieve (RFC 5804) keeps
//! them: named, one active, within limits.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::{DirectoryError, Scope};

/// Octets allowed in a script's name (RFC 5804 section 1.6).
const MAX_NAME: usize = 512;

/// Named texts of an account, a domain or the whole site. The directory does
/// not look into them: they are checked before they come here.
#[async_trait]
pub trait Scripts: Debug + Send + Sync {
    /// What an owner has of one kind, in name order, without the texts.
    async fn script_entries(
        &self,
        owner: &Scope,
        kind: ScriptKind,
    ) -> Result<Vec<ScriptEntry>, DirectoryError>;

    /// A text.
    ///
    /// # Errors
    /// [`DirectoryError::NotFound`].
    async fn script(
        &self,
        owner: &Scope,
        kind: ScriptKind,
        name: &str,
    ) -> Result<Arc<str>, DirectoryError>;

    /// The name and text of the active one.
    async fn active_script(
        &self,
        owner: &Scope,
        kind: ScriptKind,
    ) -> Result<Option<(Arc<str>, Arc<str>)>, DirectoryError> {
        for entry in self.script_entries(owner, kind).await? {
            if entry.is_active {
                let text = self.script(owner, kind, &entry.name).await?;
                return Ok(Some((entry.name, text)));
            }
        }
        Ok(None)
    }

    /// Whether a text of this size would be taken under this name now
    /// (HAVESPACE, RFC 5804 section 2.5).
    ///
    /// # Errors
    /// [`DirectoryError::OverQuota`], or what is wrong with the name.
    async fn check_space(
        &self,
        owner: &Scope,
        kind: ScriptKind,
        name: &str,
        size: u64,
    ) -> Result<(), DirectoryError> {
        let _ = (owner, kind, name, size);
        Err(DirectoryError::Unsupported("change scripts"))
    }

    /// Adds a text, or replaces the one of that name, which stays active when
    /// it was.
    ///
    /// # Errors
    /// As [`Scripts::check_space`].
    async fn put_script(
        &self,
        owner: &Scope,
        kind: ScriptKind,
        name: &str,
        text: &str,
    ) -> Result<(), DirectoryError> {
        let _ = (owner, kind, name, text);
        Err(DirectoryError::Unsupported("change scripts"))
    }

    /// Renames one; it stays active when it was.
    ///
    /// # Errors
    /// [`DirectoryError::NotFound`], [`DirectoryError::Exists`].
    async fn rename_script(
        &self,
        owner: &Scope,
        kind: ScriptKind,
        name: &str,
        new: &str,
    ) -> Result<(), DirectoryError> {
        let _ = (owner, kind, name, new);
        Err(DirectoryError::Unsupported("change scripts"))
    }

    /// Makes one active instead of any other; `None` for none.
    ///
    /// # Errors
    /// [`DirectoryError::NotFound`].
    async fn set_active(
        &self,
        owner: &Scope,
        kind: ScriptKind,
        name: Option<&str>,
    ) -> Result<(), DirectoryError> {
        let _ = (owner, kind, name);
        Err(DirectoryError::Unsupported("change scripts"))
    }

    /// Removes one that is not active.
    ///
    /// # Errors
    /// [`DirectoryError::NotFound`]; [`DirectoryError::InUse`] for the active
    /// one (RFC 5804 section 2.10).
    async fn delete_script(
        &self,
        owner: &Scope,
        kind: ScriptKind,
        name: &str,
    ) -> Result<(), DirectoryError> {
        let _ = (owner, kind, name);
        Err(DirectoryError::Unsupported("change scripts"))
    }

    /// A number that changes with every change of any script. Who holds what he
    /// read reads it again then, and where there is none, each time.
    fn watch(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}

/// What kind of text it is. The kinds have names of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ScriptKind {
    /// A Sieve script (RFC 5228).
    Sieve,
    /// A set of message rules.
    Rules,
}

/// A line of the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptEntry {
    /// Its name.
    pub name: Arc<str>,
    /// Octets of the text.
    pub size: u64,
    /// True when mail goes by it.
    pub is_active: bool,
}

/// Checks a script's name (RFC 5804 section 1.6): 1 to 512 octets without
/// control characters or line and paragraph separators.
///
/// # Errors
/// [`DirectoryError::Invalid`].
pub fn check_script_name(name: &str) -> Result<(), DirectoryError> {
    let odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if name.is_empty() || name.len() > MAX_NAME || name.contains(odd) {
        return Err(DirectoryError::Invalid(format!(
            "a script's name has 1 to {MAX_NAME} octets and no control characters"
        )));
    }
    Ok(())
}
