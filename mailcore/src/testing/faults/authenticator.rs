//! [`FaultyAuthenticator`]: logins that can't be checked, or come out wrong.

use std::sync::Arc;

use async_trait::async_trait;

use super::FaultPlan;
use super::rules::{Rules, planned};
use crate::account::Identity;
use crate::seams::{
    AuthError, AuthRequest, Authenticator, CredentialRequest, Credentials, ProofKind,
};

/// What can be wrong with a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginFault {
    /// It can't be checked now.
    Unavailable,
    /// It is wrong, whatever was proved.
    Invalid,
    /// The account may not log in.
    Disabled,
    /// Too many were wrong.
    Throttled,
    /// No answer, ever: the caller's patience ends it.
    Hangs,
}

/// An [`Authenticator`] by a [`FaultPlan`]. Its subjects are logins as typed.
#[derive(Debug)]
pub struct FaultyAuthenticator {
    inner: Arc<dyn Authenticator>,
    rules: Rules<LoginFault>,
}

planned!(FaultyAuthenticator, LoginFault);

impl FaultyAuthenticator {
    pub(super) fn new(plan: FaultPlan, inner: Arc<dyn Authenticator>) -> Self {
        Self {
            inner,
            rules: Rules::new(plan, "login"),
        }
    }

    async fn may_go_on(&self, login: &str) -> Result<(), AuthError> {
        Err(match self.rules.strike(login) {
            None => return Ok(()),
            Some(LoginFault::Unavailable) => {
                AuthError::Unavailable("put in by the test".to_owned())
            }
            Some(LoginFault::Invalid) => AuthError::Invalid,
            Some(LoginFault::Disabled) => AuthError::Disabled,
            Some(LoginFault::Throttled) => AuthError::Throttled,
            Some(LoginFault::Hangs) => std::future::pending().await,
        })
    }
}

#[async_trait]
impl Authenticator for FaultyAuthenticator {
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError> {
        self.may_go_on(&request.login).await?;
        self.inner.authenticate(request).await
    }

    fn proofs(&self) -> Vec<ProofKind> {
        self.inner.proofs()
    }

    async fn credentials(&self, request: &CredentialRequest) -> Result<Credentials, AuthError> {
        self.may_go_on(&request.login).await?;
        self.inner.credentials(request).await
    }

    async fn disproved(&self, request: &CredentialRequest) {
        self.inner.disproved(request).await;
    }
}
