//! What an exchange asks of an authenticator: [`Inquiry`].

use std::net::IpAddr;

use crate::account::Identity;
use crate::seams::{AuthError, AuthRequest, Authenticator, CredentialRequest, Credentials, Proof};

/// A name and its proof, where nobody knows yet where they came from.
#[derive(Debug, Clone)]
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
