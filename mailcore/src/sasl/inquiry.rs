//! What an exchange asks of an authenticator: [`Inquiry`].

use std::net::IpAddr;

use crate::account::Identity;
use crate::seams::{AuthError, AuthRequest, Authenticator, CredentialRequest, Credentials, Proof};

/// A name and its proof, where nobody knows yet where they came from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Claim {
    /// The user name as given.
    pub login: String,
    /// The proof.
    pub proof: Proof,
}

/// A question to an [`Authenticator`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Inquiry {
    /// What is the client to prove that it knows?
    Credentials(CredentialRequest),
    /// Is the proof right, and may its owner log in?
    Authenticate(AuthRequest),
    /// The client did not know what it was to prove. The answer is always
    /// [`AuthError::Invalid`].
    Disproved(CredentialRequest),
}

/// What an [`Authenticator`] found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Finding {
    /// To [`Inquiry::Credentials`].
    Credentials(Credentials),
    /// To [`Inquiry::Authenticate`]: who it is. The login is done.
    Identity(Identity),
}

impl Inquiry {
    /// Where the client is.
    pub fn peer(&self) -> Option<IpAddr> {
        match self {
            Self::Credentials(request) | Self::Disproved(request) => request.peer,
            Self::Authenticate(request) => request.peer,
        }
    }

    /// Asks.
    ///
    /// # Errors
    /// What the authenticator says; [`AuthError::Invalid`] to a proof that is
    /// already known to be wrong.
    pub async fn put_to(&self, authenticator: &dyn Authenticator) -> Result<Finding, AuthError> {
        match self {
            Self::Credentials(request) => authenticator
                .credentials(request)
                .await
                .map(Finding::Credentials),
            // Not every way to log in is an exchange: IMAP's LOGIN is none. What
            // an empty password or one with NUL means differs from checker to
            // checker (an LDAP server may bind without one, crypt(3) stops at
            // NUL); here it is nobody's.
            Self::Authenticate(AuthRequest {
                proof: Proof::Password(password),
                ..
            }) if password.expose().is_empty() || password.expose().contains(&0) => {
                Err(AuthError::Invalid)
            }
            Self::Authenticate(request) => authenticator
                .authenticate(request)
                .await
                .map(Finding::Identity),
            Self::Disproved(request) => {
                authenticator.disproved(request).await;
                Err(AuthError::Invalid)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::account::{AccountId, Secret};

    /// Believes every proof.
    #[derive(Debug)]
    struct Credulous;

    #[async_trait]
    impl Authenticator for Credulous {
        async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError> {
            Ok(Identity {
                account: AccountId::new(&request.login),
                login: request.login.as_str().into(),
            })
        }
    }

    #[tokio::test]
    async fn a_password_that_is_none_is_not_put_to_anybody() {
        for (password, is_put) in [("", false), ("a\0b", false), ("\0", false), (" ", true)] {
            let inquiry = Inquiry::Authenticate(AuthRequest {
                login: "ann@x.test".into(),
                proof: Proof::Password(Secret::new(password)),
                peer: None,
                protocol: "imap",
            });
            let found = inquiry.put_to(&Credulous).await;
            assert_eq!(found.is_ok(), is_put, "{password:?}");
        }
    }
}
