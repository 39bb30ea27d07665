//! One run of a mechanism, the server's side: [`Exchange`].

use std::fmt::Debug;
use std::net::IpAddr;

use thiserror::Error;

use super::{Finding, Inquiry};
use crate::account::Identity;
use crate::seams::{
    AuthError, AuthRequest, CredentialKind, CredentialRequest, Credentials, Proof, Verified,
};

/// One run of a mechanism. [`Offer::begin`](super::Offer::begin) makes it.
#[derive(Debug)]
pub struct Exchange {
    peer: Option<IpAddr>,
    protocol: &'static str,
    /// None when it is over.
    run: Option<Box<dyn Run>>,
    /// What credentials were asked for, or a proof was checked, last.
    login: String,
    /// Why it fails once the client has answered the last challenge.
    failure: Option<AuthError>,
}

/// What comes next in an exchange.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress {
    /// Send this to the client, then hand its response to [`Exchange::step`].
    Challenge(Vec<u8>),
    /// Put this to the authenticator, then hand what it says to
    /// [`Exchange::answer`].
    Ask(Inquiry),
    /// The exchange is over; this is who it is.
    Authenticated(Identity),
    /// The exchange is over; nobody has logged in.
    Failed(SaslError),
}

/// Why an exchange failed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum SaslError {
    /// A response is not what the mechanism asks for.
    #[error("the response does not follow the mechanism's rules; send it as its RFC says")]
    Malformed,
    /// A user name or password is over [`MAX_LOGIN`](super::MAX_LOGIN) or
    /// [`MAX_PASSWORD`](super::MAX_PASSWORD).
    #[error("the user name or password is too long; use a shorter one")]
    TooLong,
    /// The client asks to act as somebody else than who it logs in as.
    #[error("acting as another user is not allowed; leave the authorization identity empty")]
    Authorization,
    /// The client thinks that this server offers no channel binding, which it
    /// does: somebody between the two took it away (RFC 5802 section 6).
    #[error("channel binding was offered and not seen; somebody may be listening")]
    Downgraded,
    /// The authenticator said no.
    #[error(transparent)]
    Refused(AuthError),
    /// A response, or an answer, that nothing asked for.
    #[error("the exchange is over; start a new one")]
    Finished,
}

/// A mechanism's own part of an exchange.
pub(super) trait Run: Debug + Send {
    /// The challenge for a client that sent no initial response. Empty where
    /// the client speaks first.
    fn first_challenge(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// True when the server speaks first, so that an initial response answers
    /// nothing.
    fn server_speaks_first(&self) -> bool {
        false
    }

    /// Takes the client's response.
    fn respond(&mut self, response: &[u8]) -> Result<Move, SaslError>;

    /// Takes what [`Move::Need`] asked for.
    fn supply(&mut self, credentials: &Credentials) -> Result<Move, SaslError> {
        let _ = credentials;
        Err(SaslError::Finished)
    }

    /// A last challenge that says why a proof was refused.
    fn refusal(&self, error: &AuthError) -> Option<Vec<u8>> {
        let _ = error;
        None
    }
}

/// What a mechanism wants next.
#[derive(Debug)]
pub(super) enum Move {
    /// An answer to this.
    Challenge(Vec<u8>),
    /// The credentials of this login.
    #[cfg_attr(not(feature = "sasl"), expect(dead_code, reason = "PLAIN needs none"))]
    Need(String, CredentialKind),
    /// A check of this.
    Proof(String, Proof),
    /// A last word on credentials that it has seen proved.
    #[cfg_attr(not(feature = "sasl"), expect(dead_code, reason = "as above"))]
    Verified(Verified),
    /// Nothing more: they were not proved.
    #[cfg_attr(not(feature = "sasl"), expect(dead_code, reason = "as above"))]
    Disproved(CredentialKind),
}

impl Exchange {
    pub(super) fn new(run: Box<dyn Run>, peer: Option<IpAddr>, protocol: &'static str) -> Self {
        Self {
            peer,
            protocol,
            run: Some(run),
            login: String::new(),
            failure: None,
        }
    }

    /// Begins, with the initial response where the client's command held one
    /// (RFC 4422 section 3.3). An empty one (`=`) is `Some(b"")`.
    pub fn start(&mut self, initial: Option<&[u8]>) -> Progress {
        let Some(run) = &mut self.run else {
            return Progress::Failed(SaslError::Finished);
        };
        match initial {
            None => Progress::Challenge(run.first_challenge()),
            // RFC 4954 section 4 and RFC 4959 section 3 call it a failure.
            Some(_) if run.server_speaks_first() => self.fail(SaslError::Malformed),
            Some(response) => self.step(response),
        }
    }

    /// Takes the client's next response.
    pub fn step(&mut self, response: &[u8]) -> Progress {
        if let Some(error) = self.failure.take() {
            // The client has heard why; what it says to that changes nothing.
            return self.fail(SaslError::Refused(error));
        }
        let next = match &mut self.run {
            Some(run) => run.respond(response),
            None => Err(SaslError::Finished),
        };
        self.go_on(next)
    }

    /// Takes the answer to [`Progress::Ask`].
    pub fn answer(&mut self, answer: Result<Finding, AuthError>) -> Progress {
        let Some(run) = &mut self.run else {
            return Progress::Failed(SaslError::Finished);
        };
        match answer {
            Ok(Finding::Identity(identity)) => {
                self.run = None;
                Progress::Authenticated(identity)
            }
            Ok(Finding::Credentials(credentials)) => {
                let next = run.supply(&credentials);
                self.go_on(next)
            }
            Err(error) => match run.refusal(&error) {
                Some(challenge) => {
                    self.failure = Some(error);
                    Progress::Challenge(challenge)
                }
                None => self.fail(SaslError::Refused(error)),
            },
        }
    }

    fn go_on(&mut self, next: Result<Move, SaslError>) -> Progress {
        let inquiry = match next {
            Ok(Move::Challenge(challenge)) => return Progress::Challenge(challenge),
            Err(error) => return self.fail(error),
            Ok(Move::Need(login, kind)) => {
                self.login = login;
                Inquiry::Credentials(self.credentials(kind))
            }
            Ok(Move::Proof(login, proof)) => {
                self.login = login;
                Inquiry::Authenticate(self.request(proof))
            }
            Ok(Move::Verified(verified)) => {
                Inquiry::Authenticate(self.request(Proof::Verified(verified)))
            }
            Ok(Move::Disproved(kind)) => Inquiry::Disproved(self.credentials(kind)),
        };
        Progress::Ask(inquiry)
    }

    fn credentials(&self, kind: CredentialKind) -> CredentialRequest {
        CredentialRequest {
            login: self.login.clone(),
            kind,
            peer: self.peer,
            protocol: self.protocol,
        }
    }

    fn request(&self, proof: Proof) -> AuthRequest {
        AuthRequest {
            login: self.login.clone(),
            proof,
            peer: self.peer,
            protocol: self.protocol,
        }
    }

    fn fail(&mut self, error: SaslError) -> Progress {
        self.run = None;
        Progress::Failed(error)
    }
}
