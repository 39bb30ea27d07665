//! Who is who.

use std::fmt::Debug;
use std::net::IpAddr;

use async_trait::async_trait;
use thiserror::Error;

use crate::account::{Identity, Secret};

/// Checks proofs of identity.
///
/// Answers for unknown and known users take the same time and say the same.
/// Dropping the future abandons the check.
#[async_trait]
pub trait Authenticator: Debug + Send + Sync {
    /// Who the proof belongs to.
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError>;
}

/// A claim and its proof.
#[derive(Debug, Clone)]
pub struct AuthRequest {
    /// The name as the user typed it: an address, or a bare local part that
    /// means the default domain.
    pub login: String,
    /// The proof.
    pub proof: Proof,
    /// Where it came from.
    pub peer: Option<IpAddr>,
    /// Which protocol: `smtp`, `imap`, `pop3`.
    pub protocol: &'static str,
}

/// Evidence.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Proof {
    /// A password, from PLAIN, LOGIN, USER/PASS.
    Password(Secret),
}

/// Why nobody was authenticated.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AuthError {
    /// Unknown user or wrong proof: the same for both.
    #[error("user name or password is wrong")]
    Invalid,
    /// The account may not log in, which is told only after a right proof.
    #[error("this account may not log in")]
    Disabled,
    /// Too many failures; wait.
    #[error("too many failed logins; wait and try again")]
    Throttled,
    /// The check could not be made now.
    #[error("logins can't be checked now: {0}")]
    Unavailable(String),
}
