//! Who is who.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;

use super::credentials::{CredentialKind, CredentialRequest, Credentials};
use crate::account::{Identity, Secret};
use crate::wire::ClientCertificate;

/// Checks proofs of identity.
///
/// Answers for unknown and known users take the same time and say the same.
/// Dropping a future abandons the check.
#[async_trait]
pub trait Authenticator: Debug + Send + Sync {
    /// Who the proof belongs to. What is not known to be right is
    /// [`AuthError::Invalid`], a kind of proof that is not known included.
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError>;

    /// The kinds of proof that some account here can be proved by. Mechanisms
    /// that need another one are not offered.
    fn proofs(&self) -> Vec<ProofKind> {
        vec![ProofKind::Password]
    }

    /// What a proof by challenge and response is checked against, by the
    /// exchange itself. It is asked for kinds that [`Self::proofs`] names, and
    /// followed by [`Self::authenticate`] with [`Proof::Verified`] when the
    /// proof was right, by [`Self::disproved`] when it was wrong.
    ///
    /// A stranger is told salt and iterations before any proof: for a name that
    /// is not known, or has no such keys, the answer is a made-up one
    /// (`ScramKeys::made_up`, feature `sasl`), the same each time.
    /// The other kinds show nothing, and such names are [`AuthError::Invalid`].
    async fn credentials(&self, request: &CredentialRequest) -> Result<Credentials, AuthError> {
        Err(AuthError::Unavailable(format!(
            "this authenticator keeps nothing for {:?}; have its `proofs` leave it out",
            request.kind
        )))
    }

    /// What [`Self::credentials`] gave for this request was not proved: a
    /// failed login, for those who count them.
    async fn disproved(&self, request: &CredentialRequest) {
        let _ = request;
    }
}

/// A claim and its proof.
#[derive(Debug, Clone)]
pub struct AuthRequest {
    /// The name as the user typed it: an address, or a bare local part that
    /// means the default domain. Empty where the proof alone says who it is: a
    /// token or a certificate.
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
    /// An OAuth 2.0 access token (RFC 6750), from OAUTHBEARER or XOAUTH2.
    Bearer(Secret),
    /// The certificate that the client proved in its TLS handshake to have the
    /// key of, from EXTERNAL. Its chain is verified.
    Certificate(Arc<ClientCertificate>),
    /// The exchange has proved that the client knows what
    /// [`Authenticator::credentials`] gave for this login: what is left to say
    /// is whether the account may log in. No peer can make this one up.
    Verified(Verified),
    /// Nothing: the login is what an anonymous user says of itself (RFC 4505).
    /// For test servers.
    Anonymous,
}

/// What an exchange has proved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Knowledge of which kind of credentials.
    pub kind: CredentialKind,
    /// Of which of them, by the label that they had.
    pub label: Option<Arc<str>>,
    /// The key that SCRAM's proof was checked with
    /// ([`ScramPair::stored_key`](super::ScramPair::stored_key)): by now the
    /// account may have another password.
    pub stored_key: Option<Secret>,
}

impl Verified {
    /// A proof of credentials of this kind.
    pub fn new(kind: CredentialKind, label: Option<Arc<str>>) -> Self {
        Self {
            kind,
            label,
            stored_key: None,
        }
    }

    /// Checked with this key.
    #[must_use]
    pub fn with_stored_key(mut self, stored_key: Secret) -> Self {
        self.stored_key = Some(stored_key);
        self
    }
}

/// What an [`Authenticator`] can tell the truth of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProofKind {
    /// [`Proof::Password`].
    Password,
    /// [`Proof::Bearer`].
    Bearer,
    /// [`Proof::Certificate`].
    Certificate,
    /// [`Proof::Verified`]: the authenticator gives credentials of this kind.
    Credentials(CredentialKind),
    /// [`Proof::Anonymous`].
    Anonymous,
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
