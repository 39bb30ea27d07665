//! What is asked of which authority, with whose help.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::crypto::CryptoProvider;
use thiserror::Error;

use super::{AcmeStore, ChallengeStore};
use crate::account::Secret;
use crate::net::HttpsClient;
use crate::seams::{Clock, Entropy};

/// Which certificates are wanted, and from whom.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AcmeConfig {
    /// The URL of the authority's directory (RFC 8555 section 7.1.1).
    pub directory: String,
    /// Whom the authority may write to: `mailto:` URLs.
    pub contacts: Vec<String>,
    /// One certificate for each of these lists of names.
    pub certificates: Vec<Vec<String>>,
    /// How names are shown to be ours.
    pub challenge: Challenge,
    /// Which key the next certificate is for.
    pub keys: KeyChoice,
    /// The account that the authority knows us by from elsewhere (RFC 8555
    /// section 7.3.4).
    pub external_account: Option<ExternalAccount>,
    /// How long one certificate may take, from the order to its end.
    pub time: Duration,
    /// How long it takes until name servers show what was published.
    pub dns_delay: Duration,
    /// Wait after a failure; each one more doubles it, up to a day.
    pub retry: Duration,
}

/// Which key a certificate is for when it is renewed. DANE's records name keys
/// (RFC 7671 section 5.1), and have to be out before a key is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KeyChoice {
    /// A new one each time.
    #[default]
    Fresh,
    /// The one that it has: records stay as they are.
    Kept,
    /// One that was made when the last certificate came, and can be published
    /// since ([`Acme::next_keys`](super::Acme::next_keys)).
    Announced,
}

/// How a name is shown to be ours.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Challenge {
    /// By a handshake on port 443 (RFC 8737).
    TlsAlpn01,
    /// By a page on port 80 (RFC 8555 section 8.3).
    Http01,
    /// By a TXT record (RFC 8555 section 8.4): the only way to a wildcard.
    Dns01(Arc<dyn DnsPublisher>),
}

/// Puts TXT records into DNS and takes them away.
///
/// *Idempotence*: both may be called again for what is done already. *Time*:
/// [`AcmeConfig::time`] ends the call by dropping it. *Several values*: a name
/// may need two at once, for itself and for its wildcard.
#[async_trait]
pub trait DnsPublisher: fmt::Debug + Send + Sync {
    /// Adds a value to the TXT records of `name`, `_acme-challenge.example.com`.
    ///
    /// # Errors
    /// Words for the log; the certificate is tried again later.
    async fn present(&self, name: &str, value: &str) -> Result<(), String>;

    /// Takes it away again.
    ///
    /// # Errors
    /// Words for the log.
    async fn remove(&self, name: &str, value: &str) -> Result<(), String>;
}

/// An account elsewhere that pays or vouches for this one.
#[derive(Debug, Clone)]
pub struct ExternalAccount {
    /// The identifier of its key.
    pub key_id: String,
    /// The key itself, decoded.
    pub key: Secret,
}

/// What ACME works with.
#[derive(Debug, Clone)]
pub struct AcmeSeams {
    /// Calls the authority. Its roots must be those that sign the authority's
    /// own certificate.
    pub http: HttpsClient,
    /// Keeps the account and the certificates.
    pub store: Arc<dyn AcmeStore>,
    /// Where challenges are answered from.
    pub challenges: Arc<ChallengeStore>,
    /// What certificates' keys are used by.
    pub provider: Arc<CryptoProvider>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub entropy: Arc<dyn Entropy>,
}

/// Why there is no certificate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// The authority refused, or could not be talked to.
    #[error("the certificate authority: {0}")]
    Authority(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The authority did not find the answer to its challenge.
    #[error("{name} was not shown to be ours: {reason}")]
    Challenge {
        /// The name.
        name: String,
        /// What the authority says.
        reason: String,
    },
    /// The authority does not take what is configured.
    #[error("the authority does not offer {challenge} for {name}; configure another challenge")]
    NotOffered {
        /// What is configured.
        challenge: &'static str,
        /// The name.
        name: String,
    },
    /// The record could not be published.
    #[error("publishing the TXT record of {name} failed: {reason}")]
    Dns {
        /// The record's name.
        name: String,
        /// What the publisher says.
        reason: String,
    },
    /// A key or a request could not be made.
    #[error("making a key failed: {0}")]
    Make(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What the authority gave is not usable.
    #[error("what the authority gave can't be used: {0}")]
    Unusable(String),
    /// The store.
    #[error("{0}")]
    Store(#[from] std::io::Error),
    /// It took too long.
    #[error("no certificate within {0:?}")]
    TimedOut(Duration),
}

impl AcmeConfig {
    /// Certificates of the authority whose directory is at this URL, by
    /// TLS-ALPN-01. Whoever calls this has agreed to the authority's terms of
    /// service.
    pub fn new(directory: impl Into<String>) -> Self {
        Self {
            directory: directory.into(),
            contacts: Vec::new(),
            certificates: Vec::new(),
            challenge: Challenge::TlsAlpn01,
            keys: KeyChoice::Fresh,
            external_account: None,
            time: Duration::from_secs(10 * 60),
            dns_delay: Duration::from_secs(30),
            retry: Duration::from_secs(15 * 60),
        }
    }
}

impl AcmeError {
    /// True when the authority does not know the account (RFC 8555 section 6.7).
    pub(super) fn is_unknown_account(&self) -> bool {
        let Self::Authority(error) = self else {
            return false;
        };
        let Some(instant_acme::Error::Api(problem)) = error.downcast_ref() else {
            return false;
        };
        let kind = problem.r#type.as_deref();
        kind == Some("urn:ietf:params:acme:error:accountDoesNotExist")
    }
}

// What these two crates call their errors is no part of ours: they are boxed, so
// that another version of either changes no signature that a host matches on.
impl From<instant_acme::Error> for AcmeError {
    fn from(error: instant_acme::Error) -> Self {
        Self::Authority(error.into())
    }
}

impl From<rcgen::Error> for AcmeError {
    fn from(error: rcgen::Error) -> Self {
        Self::Make(error.into())
    }
}

impl Challenge {
    pub(super) fn kind(&self) -> instant_acme::ChallengeType {
        match self {
            Self::TlsAlpn01 => instant_acme::ChallengeType::TlsAlpn01,
            Self::Http01 => instant_acme::ChallengeType::Http01,
            Self::Dns01(_) => instant_acme::ChallengeType::Dns01,
        }
    }

    /// The word of RFC 8555 and of configurations.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Http01 => "http-01",
            Self::Dns01(_) => "dns-01",
        }
    }
}
