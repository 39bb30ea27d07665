//! [`Secrets`]: passwords for single programs, and secrets that must be known
//! again in clear.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::DirectoryError;
use crate::account::{AccountId, Secret};
use crate::time::Timestamp;

/// Secrets of accounts beside the one password. What is removed is gone from
/// disk when the call returns.
#[async_trait]
pub trait Secrets: Debug + Send + Sync {
    /// The account's app passwords, in name order.
    async fn app_passwords(&self, account: &AccountId) -> Result<Vec<AppPassword>, DirectoryError>;

    /// Makes a password up under which the account logs in as with its own, for
    /// one program. It is told this once and kept as a hash.
    async fn add_app_password(
        &self,
        account: &AccountId,
        name: &str,
    ) -> Result<Secret, DirectoryError>;

    /// Ends an app password.
    async fn remove_app_password(
        &self,
        account: &AccountId,
        name: &str,
    ) -> Result<(), DirectoryError>;

    /// A secret kept under a name (`cram-md5`), in clear.
    async fn secret(
        &self,
        account: &AccountId,
        name: &str,
    ) -> Result<Option<Secret>, DirectoryError> {
        let _ = (account, name);
        Ok(None)
    }

    /// Keeps a secret so that it can be had in clear again, encrypted at rest;
    /// replaces what the name had. For what can't do with a hash only:
    /// CRAM-MD5, APOP, NTLM, other servers' passwords.
    ///
    /// # Errors
    /// [`DirectoryError::Unsupported`] where there is no key to encrypt with.
    async fn keep_secret(
        &self,
        account: &AccountId,
        name: &str,
        secret: &Secret,
    ) -> Result<(), DirectoryError> {
        let _ = (account, name, secret);
        Err(DirectoryError::Unsupported("keep secrets"))
    }

    /// Forgets a secret.
    async fn forget_secret(&self, account: &AccountId, name: &str) -> Result<(), DirectoryError> {
        let _ = (account, name);
        Err(DirectoryError::Unsupported("keep secrets"))
    }
}

/// An app password without the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPassword {
    /// What its owner calls it.
    pub name: Arc<str>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last let somebody in, to about an hour.
    pub last_used: Option<Timestamp>,
}
