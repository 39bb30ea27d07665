//! The client's side of mechanisms that show no password: [`Challenged`].
//!
//! Mechanisms whose responses don't depend on the challenges are the protocol
//! clients' own.

use thiserror::Error;

use super::Mechanism;
use crate::account::Secret;
use crate::seams::Entropy;
use crate::wire::TlsInfo;

/// One run of SCRAM or CRAM-MD5, the client's side.
#[derive(Debug)]
pub struct Challenged {
    mechanism: Mechanism,
    #[cfg(feature = "sasl")]
    run: Run,
}

#[cfg(feature = "sasl")]
#[derive(Debug)]
enum Run {
    Scram(super::scram::Client),
    CramMd5(Option<super::cram_md5::Client>),
}

/// Why a client gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A challenge is not what the mechanism asks for.
    #[error("the server's challenge does not follow the mechanism's rules")]
    Malformed,
    /// The server asks for so many rounds of hashing, or for so few.
    #[error("the server asks for {0} rounds of hashing, which is too few or too many")]
    Iterations(u32),
    /// The server does not prove that it knows the client's keys.
    #[error("the server did not prove that it knows this account")]
    ServerUnproved,
}

impl Challenged {
    /// The strongest of these mechanisms that `offers` finds the server to
    /// offer; the proof is tied to `tls` where it can be. None when it offers
    /// none of them, or this build speaks none. CRAM-MD5 is taken only with
    /// [`Legacy::Allowed`].
    pub fn choose(
        offers: impl Fn(&str) -> bool,
        (login, password): (&str, &Secret),
        tls: Option<&TlsInfo>,
        legacy: Legacy,
        entropy: &dyn Entropy,
    ) -> Option<Self> {
        let can_bind = tls.is_some_and(|tls| {
            tls.bindings.exporter.is_some() || tls.bindings.server_end_point.is_some()
        });
        let mechanism = [
            Mechanism::ScramSha256Plus,
            Mechanism::ScramSha1Plus,
            Mechanism::ScramSha256,
            Mechanism::ScramSha1,
            Mechanism::CramMd5,
        ]
        .into_iter()
        .filter(|mechanism| mechanism.is_built_in())
        .filter(|mechanism| can_bind || !mechanism.is_bound())
        .filter(|&mechanism| legacy == Legacy::Allowed || mechanism != Mechanism::CramMd5)
        .find(|mechanism| offers(mechanism.as_str()))?;
        Self::new(mechanism, (login, password), tls, can_bind, entropy)
    }

    #[cfg(feature = "sasl")]
    fn new(
        mechanism: Mechanism,
        credentials: (&str, &Secret),
        tls: Option<&TlsInfo>,
        can_bind: bool,
        entropy: &dyn Entropy,
    ) -> Option<Self> {
        use super::scram::{Client, ClientBinding, ScramHash};
        let binding = match (tls, can_bind) {
            (Some(tls), true) if mechanism.is_bound() => ClientBinding::Bound(tls.bindings.clone()),
            (_, true) => ClientBinding::NotOffered,
            (_, false) => ClientBinding::Unable,
        };
        let run = match mechanism {
            Mechanism::CramMd5 => {
                let (login, password) = credentials;
                Run::CramMd5(Some(super::cram_md5::Client::new(login, password)))
            }
            Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => {
                Run::Scram(Client::new(ScramHash::Sha1, credentials, &binding, entropy))
            }
            _ => Run::Scram(Client::new(
                ScramHash::Sha256,
                credentials,
                &binding,
                entropy,
            )),
        };
        Some(Self { mechanism, run })
    }

    #[cfg(not(feature = "sasl"))]
    fn new(
        _: Mechanism,
        _: (&str, &Secret),
        _: Option<&TlsInfo>,
        _: bool,
        _: &dyn Entropy,
    ) -> Option<Self> {
        None
    }

    /// Which mechanism this is.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// True when the client speaks first, so that its first response, to an
    /// empty challenge, may go with the command.
    pub fn speaks_first(&self) -> bool {
        self.mechanism != Mechanism::CramMd5
    }

    /// The response to a challenge.
    ///
    /// # Errors
    /// When the challenge is not to be answered: cancel the exchange.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Secret, ClientError> {
        #[cfg(feature = "sasl")]
        return match &mut self.run {
            Run::Scram(client) => client.respond(challenge).map(Secret::new),
            Run::CramMd5(client) => {
                let client = client.take().ok_or(ClientError::Malformed)?;
                Ok(Secret::new(client.respond(challenge)))
            }
        };
        #[cfg(not(feature = "sasl"))]
        {
            let _ = challenge;
            Err(ClientError::Malformed)
        }
    }

    /// True when a server that says so now may be believed that the login is
    /// done: one that never proved itself with SCRAM may not.
    pub fn is_done(&self) -> bool {
        #[cfg(feature = "sasl")]
        return match &self.run {
            Run::Scram(client) => client.is_done(),
            Run::CramMd5(client) => client.is_none(),
        };
        #[cfg(not(feature = "sasl"))]
        false
    }
}

/// Whether CRAM-MD5 is good enough for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Legacy {
    /// Where nothing better shows no password.
    Allowed,
    /// No: a password within TLS is safer with who keeps it.
    Refused,
}
