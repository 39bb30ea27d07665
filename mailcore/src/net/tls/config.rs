//! [`ServerTls`]: what a listener's handshakes may settle.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{
    ClientHello, ProducesTickets, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;

use crate::seams::Certificates;

/// The name by which a certificate authority asks for the answer to a challenge
/// (RFC 8737 section 3).
pub const ACME_TLS_ALPN: &[u8] = b"acme-tls/1";

/// The TLS of listeners: TLS 1.2 and 1.3, and of TLS 1.2 only suites with
/// ephemeral keys and authenticated encryption (RFC 9325 section 4.2), which
/// are all that rustls has.
///
/// ```
/// # use std::sync::Arc;
/// # use mailcore::net::{ClientCertificates, ServerTls, TlsConfigError};
/// # use mailcore::seams::Certificates;
/// # use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs};
/// # fn wire(
/// #     certificates: Arc<dyn Certificates>,
/// #     roots: Arc<RootCertStore>,
/// # ) -> Result<Arc<ServerConfig>, TlsConfigError> {
/// ServerTls::new(Arc::new(aws_lc_rs::default_provider()), certificates)
///     .tickets(aws_lc_rs::Ticketer::new()?)
///     .client_certificates(ClientCertificates::Optional(roots))
///     .config()
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ServerTls {
    provider: Arc<CryptoProvider>,
    certificates: Arc<dyn Certificates>,
    challenges: Option<Arc<dyn Certificates>>,
    clients: ClientCertificates,
    tickets: Option<Arc<dyn ProducesTickets>>,
}

/// Whether clients are asked for a certificate of their own.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    Off,
    /// They are, and need not have one. One that these authorities did not sign
    /// ends the handshake: it would be mistaken for a good one.
    Optional(Arc<RootCertStore>),
    /// There is no session without one that these authorities signed.
    Required(Arc<RootCertStore>),
}

/// Why there is no TLS configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// The crypto provider has what is needed for neither version.
    #[error("the crypto provider serves neither TLS 1.2 nor TLS 1.3: {0}")]
    Provider(#[from] rustls::Error),
    /// Nobody could sign a client's certificate.
    #[error("client certificates can't be checked: {0}; name the authorities that sign them")]
    Clients(#[from] VerifierBuilderError),
    /// A certificate or key can't be used.
    #[error("{path} can't be used for TLS: {reason}")]
    File {
        /// Which file.
        path: String,
        /// Why not.
        reason: String,
    },
}

impl ServerTls {
    /// TLS that shows these certificates and asks for none.
    pub fn new(provider: Arc<CryptoProvider>, certificates: Arc<dyn Certificates>) -> Self {
        Self {
            provider,
            certificates,
            challenges: None,
            clients: ClientCertificates::Off,
            tickets: None,
        }
    }

    /// Whether clients are asked for certificates.
    pub fn client_certificates(mut self, clients: ClientCertificates) -> Self {
        self.clients = clients;
        self
    }

    /// Lets clients resume sessions by tickets of this ticketer, which must
    /// replace its keys now and then. A ticket is as good as the handshake that
    /// it came from: never share a ticketer between configurations that ask for
    /// different client certificates.
    pub fn tickets(mut self, tickets: Arc<dyn ProducesTickets>) -> Self {
        self.tickets = Some(tickets);
        self
    }

    /// Answers the challenges of a certificate authority by these certificates
    /// (RFC 8737).
    pub fn challenges(mut self, challenges: Arc<dyn Certificates>) -> Self {
        self.challenges = Some(challenges);
        self
    }

    /// The configuration as listeners take it.
    ///
    /// # Errors
    /// [`TlsConfigError`].
    pub fn config(self) -> Result<Arc<ServerConfig>, TlsConfigError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?;
        let verifier =
            |roots| WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&self.provider));
        let builder = match self.clients {
            ClientCertificates::Off => builder.with_no_client_auth(),
            ClientCertificates::Optional(roots) => {
                builder.with_client_cert_verifier(verifier(roots).allow_unauthenticated().build()?)
            }
            ClientCertificates::Required(roots) => {
                builder.with_client_cert_verifier(verifier(roots).build()?)
            }
        };
        let answers = self.challenges.is_some();
        let mut config = builder.with_cert_resolver(Arc::new(Resolve {
            certificates: self.certificates,
            challenges: self.challenges,
        }));
        if let Some(tickets) = self.tickets {
            config.ticketer = tickets;
        }
        if answers {
            config.alpn_protocols = vec![ACME_TLS_ALPN.to_vec()];
        }
        Ok(Arc::new(config))
    }
}

/// [`ServerTls`] without anything that is not asked for: no client certificates
/// and no tickets.
///
/// # Errors
/// When the provider supports neither version.
pub fn server_config(
    provider: Arc<CryptoProvider>,
    certificates: Arc<dyn Certificates>,
) -> Result<ServerConfig, TlsConfigError> {
    let config = ServerTls::new(provider, certificates).config()?;
    Ok(Arc::unwrap_or_clone(config))
}

#[derive(Debug)]
struct Resolve {
    certificates: Arc<dyn Certificates>,
    challenges: Option<Arc<dyn Certificates>>,
}

impl ResolvesServerCert for Resolve {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match &self.challenges {
            Some(challenges) if is_challenge(&hello) => challenges.certificate(hello.server_name()),
            _ => self.certificates.certificate(hello.server_name()),
        }
    }
}

/// Only an authority asks for that protocol, and for no other beside it (RFC
/// 8737 section 3): a client that names both is served as any other.
fn is_challenge(hello: &ClientHello<'_>) -> bool {
    let mut names = hello.alpn().into_iter().flatten();
    names.next() == Some(ACME_TLS_ALPN) && names.next().is_none()
}
