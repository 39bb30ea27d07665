//! [`Secrets`]: passwords for single programs, certificates that stand for an
//! account, and secrets that must be known again in clear.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::{CertificateName, DirectoryError};
use crate::account::{AccountId, Secret};
use crate::net::Network;
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
        scope: &AppPasswordScope,
    ) -> Result<Secret, DirectoryError>;

    /// Ends an app password.
    async fn remove_app_password(
        &self,
        account: &AccountId,
        name: &str,
    ) -> Result<(), DirectoryError>;

    /// What a client's certificate is known by when it stands for this account.
    async fn certificates(
        &self,
        account: &AccountId,
    ) -> Result<Vec<CertificateName>, DirectoryError> {
        let _ = account;
        Ok(Vec::new())
    }

    /// Has certificates of this name stand for the account, and for no other.
    async fn add_certificate(
        &self,
        account: &AccountId,
        name: &CertificateName,
    ) -> Result<(), DirectoryError> {
        let _ = (account, name);
        Err(DirectoryError::Unsupported("keep clients' certificates"))
    }

    /// Certificates of this name stand for the account no longer.
    async fn remove_certificate(
        &self,
        account: &AccountId,
        name: &CertificateName,
    ) -> Result<(), DirectoryError> {
        let _ = (account, name);
        Err(DirectoryError::Unsupported("keep clients' certificates"))
    }

    /// A secret kept under a name (`oldserver`), in clear.
    async fn secret(
        &self,
        account: &AccountId,
        name: &str,
    ) -> Result<Option<Secret>, DirectoryError> {
        let _ = (account, name);
        Ok(None)
    }

    /// Keeps a secret so that it can be had in clear again, encrypted at rest;
    /// replaces what the name had. For what can't do with a hash only, such as
    /// other servers' passwords.
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
    /// Where it counts.
    pub scope: AppPasswordScope,
}

/// The protocol of web pages, whose logins lead to everything of an account.
const WEB: &str = "web";

/// Where an app password counts; by default everywhere but on web pages, which
/// ask for the password itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AppPasswordScope {
    /// The protocols, as [`AuthRequest::protocol`](crate::seams::AuthRequest)
    /// names them; empty for all but `web`.
    pub protocols: Vec<Arc<str>>,
    /// Where the client is; empty for anywhere.
    pub networks: Vec<Network>,
}

impl AppPasswordScope {
    /// Whether a client there may log in so.
    pub fn admits(&self, protocol: &str, peer: Option<IpAddr>) -> bool {
        let within = |peer: IpAddr| self.networks.iter().any(|it| it.contains(peer));
        let everywhere = self.protocols.is_empty() && protocol != WEB;
        (everywhere || self.protocols.iter().any(|it| &**it == protocol))
            && (self.networks.is_empty() || peer.is_some_and(within))
    }
}
