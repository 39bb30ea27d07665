//! TLS for listeners: rustls with the crypto provider that the host chose.
//!
//! What a handshake may settle is [`ServerTls`]'s; which certificate is shown
//! for which name is said by [`Certificates`](crate::seams::Certificates).

mod bindings;
mod certificates;
mod clients;
mod config;
#[cfg(feature = "x509")]
mod facts;

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;

use self::bindings::{CHOSEN, Witness, bindings};
use crate::seams::BoxStream;
use crate::wire::TlsInfo;

pub use bindings::client_bindings;
pub use certificates::{FixedCertificate, NamedCertificates, ReplaceableCertificates};
pub use config::{ACME_TLS_ALPN, ClientCertificates, ServerTls, TlsConfigError, server_config};
#[cfg(feature = "x509")]
pub use facts::{CertificateError, CertificateFacts};

/// Takes TLS connections. Cheap to clone.
#[derive(Clone)]
pub struct TlsAcceptor(tokio_rustls::TlsAcceptor);

impl TlsAcceptor {
    /// An acceptor over a rustls configuration.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self::witnessing(ServerConfig::clone(&config))
    }

    /// Channel bindings need to know which certificate was chosen.
    fn witnessing(mut config: ServerConfig) -> Self {
        config.cert_resolver = Arc::new(Witness(config.cert_resolver));
        Self(Arc::new(config).into())
    }

    /// An acceptor for one protocol: a client that asks by ALPN, and not for
    /// this one, is refused, so that nobody is made to talk to the wrong server
    /// (ALPACA; RFC 7301 section 3.2). Names that the configuration brings stay,
    /// but for that of ACME's challenges, which only adds to the protocol's own.
    pub fn for_protocol(config: &Arc<ServerConfig>, alpn: &str) -> Self {
        let challenges = |name: &Vec<u8>| name == ACME_TLS_ALPN;
        if !config.alpn_protocols.iter().all(challenges) {
            return Self::new(Arc::clone(config));
        }
        let mut config = ServerConfig::clone(config);
        config.alpn_protocols.insert(0, alpn.into());
        Self::witnessing(config)
    }

    /// Does the server's side of a handshake.
    ///
    /// # Errors
    /// What rustls reports; the alert is sent. A handshake that answered an
    /// ACME challenge ends in an error, too: no protocol follows it (RFC 8737
    /// section 3).
    pub async fn accept(&self, stream: BoxStream) -> io::Result<(BoxStream, TlsInfo)> {
        let chosen = Arc::new(OnceLock::new());
        let mut stream = CHOSEN
            .scope(Arc::clone(&chosen), self.0.accept(stream))
            .await?;
        if stream.get_ref().1.alpn_protocol() == Some(ACME_TLS_ALPN) {
            stream.shutdown().await?;
            return Err(io::Error::other("an ACME challenge was answered"));
        }
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
            bindings: bindings(session, chosen.get().map(Arc::as_ref)),
            client_certificate: session
                .peer_certificates()
                .and_then(<[_]>::first)
                .map(|leaf| Arc::new(clients::client_certificate(leaf))),
        };
        Ok((Box::new(stream), info))
    }
}

impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsAcceptor")
    }
}

#[cfg(test)]
mod tests;
