//! TLS for listeners: rustls with the crypto provider that the host chose.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::seams::{BoxStream, Certificates};
use crate::wire::TlsInfo;

/// Takes TLS connections. Cheap to clone.
#[derive(Clone)]
pub struct TlsAcceptor(tokio_rustls::TlsAcceptor);

impl TlsAcceptor {
    /// An acceptor over a rustls configuration.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(config.into())
    }

    /// An acceptor for one protocol: a client that asks by ALPN, and not for
    /// this one, is refused, so that nobody is made to talk to the wrong server
    /// (ALPACA; RFC 7301 section 3.2). Names that the configuration brings stay.
    pub fn for_protocol(config: &Arc<ServerConfig>, alpn: &str) -> Self {
        if !config.alpn_protocols.is_empty() {
            return Self::new(Arc::clone(config));
        }
        let mut config = ServerConfig::clone(config);
        config.alpn_protocols = vec![alpn.into()];
        Self::new(Arc::new(config))
    }

    /// Does the server's side of a handshake.
    ///
    /// # Errors
    /// What rustls reports; the alert is sent.
    pub async fn accept(&self, stream: BoxStream) -> io::Result<(BoxStream, TlsInfo)> {
        let stream = self.0.accept(stream).await?;
        let session = stream.get_ref().1;
        let info = TlsInfo {
            version: session
                .protocol_version()
                .and_then(|version| version.as_str())
                .map(|name| name.replace('_', "."))
                .unwrap_or_default(),
            cipher: session
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or_default()
                .to_owned(),
            server_name: session.server_name().map(str::to_owned),
        };
        Ok((Box::new(stream), info))
    }
}

impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsAcceptor")
    }
}

/// A server configuration with our policy: TLS 1.2 and 1.3, no client
/// certificate, the certificate asked for at each handshake.
///
/// # Errors
/// When the provider supports neither version.
pub fn server_config(
    provider: Arc<CryptoProvider>,
    certificates: Arc<dyn Certificates>,
) -> Result<ServerConfig, rustls::Error> {
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolve(certificates))))
}

#[derive(Debug)]
struct Resolve(Arc<dyn Certificates>);

impl ResolvesServerCert for Resolve {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.certificate(hello.server_name())
    }
}

/// One certificate for every name.
#[derive(Debug)]
pub struct FixedCertificate(Arc<CertifiedKey>);

impl FixedCertificate {
    /// From a chain, leaf first, and its key.
    ///
    /// # Errors
    /// When the key is of no kind that the provider knows.
    pub fn new(
        provider: &CryptoProvider,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let key = provider.key_provider.load_private_key(key)?;
        Ok(Self(Arc::new(CertifiedKey::new(chain, key))))
    }
}

impl Certificates for FixedCertificate {
    fn certificate(&self, _server_name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
