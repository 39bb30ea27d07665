//! [`ScreenedLogins`]: an authenticator that is asked only by those who may
//! still guess.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::guesses::Fingerprint;
use super::{Limiter, Sender};
use crate::account::Identity;
use crate::seams::{
    AuthError, AuthRequest, Authenticator, CredentialRequest, Credentials, Proof, ProofKind,
};

/// Asks another authenticator, unless the [`Limiter`] says that the peer has
/// guessed enough: then neither the directory nor a hash is troubled.
#[derive(Debug)]
pub struct ScreenedLogins {
    inner: Arc<dyn Authenticator>,
    limiter: Arc<Limiter>,
}

impl ScreenedLogins {
    /// Screens what `inner` is asked.
    pub fn new(inner: Arc<dyn Authenticator>, limiter: Arc<Limiter>) -> Self {
        Self { inner, limiter }
    }

    /// What a client that tries again tries again.
    fn fingerprint(&self, request: &AuthRequest) -> Option<Fingerprint> {
        match &request.proof {
            Proof::Password(secret) | Proof::Bearer(secret) => {
                let login = request.login.to_ascii_lowercase();
                Some(self.limiter.fingerprint(&login, secret))
            }
            _ => None,
        }
    }

    /// A guess for a proof, where one is counted.
    async fn guess<'a>(&'a self, request: &'a AuthRequest) -> Result<Option<Guess<'a>>, AuthError> {
        let Some(peer) = request.peer else {
            // Within the process there is nobody to be kept out.
            return Ok(None);
        };
        match &request.proof {
            // It was let pass when it asked for its challenge.
            Proof::Verified(_) => Ok(Some(self.limiter.answered(peer, tried(request)))),
            _ => {
                let fingerprint = self.fingerprint(request);
                let guess = self.limiter.guess(peer, fingerprint, tried(request));
                Ok(Some(guess.await?))
            }
        }
    }
}

#[async_trait]
impl Authenticator for ScreenedLogins {
    async fn authenticate(&self, request: &AuthRequest) -> Result<Identity, AuthError> {
        let guess = self.guess(request).await?;
        let answer = self.inner.authenticate(request).await;
        if let Some(guess) = guess {
            match &answer {
                Ok(_) => guess.right(),
                Err(AuthError::Invalid) => guess.wrong().await,
                // The proof was right, or was not looked at.
                Err(_) => guess.untold(),
            }
        }
        answer
    }

    fn proofs(&self) -> Vec<ProofKind> {
        self.inner.proofs()
    }

    async fn credentials(&self, request: &CredentialRequest) -> Result<Credentials, AuthError> {
        let Some(peer) = request.peer else {
            return self.inner.credentials(request).await;
        };
        let tried = Tried::new(&request.login, request.protocol);
        let guess = self.limiter.guess(peer, None, tried).await?;
        let answer = self.inner.credentials(request).await;
        match &answer {
            Ok(_) => guess.challenged(),
            Err(AuthError::Invalid) => guess.wrong().await,
            Err(_) => guess.untold(),
        }
        answer
    }

    async fn disproved(&self, request: &CredentialRequest) {
        self.inner.disproved(request).await;
        if let Some(peer) = request.peer {
            let tried = Tried::new(&request.login, request.protocol);
            self.limiter.answered(peer, tried).wrong().await;
        }
    }
}

fn tried(request: &AuthRequest) -> Tried<'_> {
    Tried::new(&request.login, request.protocol)
}

/// As whom somebody tries to log in, and over what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tried<'a> {
    login: &'a str,
    protocol: &'a str,
}

impl<'a> Tried<'a> {
    fn new(login: &'a str, protocol: &'a str) -> Self {
        Self { login, protocol }
    }

    /// As the rules count it.
    pub(super) fn from(self, peer: IpAddr) -> Sender<'a> {
        Sender::new(Some(peer), self.protocol).trying(self.login)
    }
}

/// A guess that is being checked. One that is dropped counts as wrong: hanging up
/// before the answer makes no check free.
#[derive(Debug)]
pub(super) struct Guess<'a> {
    pub(super) limiter: &'a Limiter,
    /// `None` for a peer that is not counted.
    pub(super) peer: Option<IpAddr>,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) tried: Tried<'a>,
}

impl Guess<'_> {
    fn right(mut self) {
        if let Some(peer) = self.peer.take() {
            self.limiter.guessed_right(peer);
        }
    }

    fn challenged(mut self) {
        if let Some(peer) = self.peer.take() {
            self.limiter.challenged(peer);
        }
    }

    fn untold(mut self) {
        if let Some(peer) = self.peer.take() {
            self.limiter.guess_untold(peer);
        }
    }

    /// Counts it, and holds the answer back as long as the network has earned.
    async fn wrong(mut self) {
        let Some(peer) = self.peer.take() else {
            return;
        };
        let sender = self.tried.from(peer);
        let delay = self.limiter.guessed_wrong(peer, self.fingerprint, &sender);
        self.limiter.pause(delay).await;
    }
}

impl Drop for Guess<'_> {
    fn drop(&mut self) {
        if let Some(peer) = self.peer.take() {
            let sender = self.tried.from(peer);
            self.limiter.guessed_wrong(peer, self.fingerprint, &sender);
        }
    }
}
