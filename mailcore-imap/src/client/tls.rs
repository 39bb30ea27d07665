//! [`TlsSetup`]: TLS from the client's side.
//!
//! Which certificates are trusted is in the configuration the caller brings;
//! the name they must have is the host's.

#[cfg(feature = "tls")]
use std::sync::Arc;

use mailcore::address::Domain;
use mailcore::seams::BoxStream;
use mailcore::wire::TlsInfo;

use super::error::ClientError;

/// How a connection is secured; the default can't.
#[derive(Clone, Default)]
pub(super) struct TlsSetup {
    /// Whose certificate it must be.
    pub(super) host: Option<Domain>,
    #[cfg(feature = "tls")]
    pub(super) config: Option<Arc<rustls::ClientConfig>>,
}

impl TlsSetup {
    #[cfg(feature = "tls")]
    pub(super) async fn secure(
        &self,
        stream: BoxStream,
    ) -> Result<(BoxStream, TlsInfo), ClientError> {
        let (Some(host), Some(config)) = (&self.host, &self.config) else {
            return Err(ClientError::NoTls);
        };
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        let connected = connector.connect(server_name(host)?, stream).await;
        let stream = connected.map_err(|error| ClientError::Tls(error.to_string()))?;
        let (_, session) = stream.get_ref();
        let mut info = TlsInfo::default();
        info.version = session
            .protocol_version()
            .and_then(|version| version.as_str())
            .map(|name| name.replace('_', "."))
            .unwrap_or_default();
        info.cipher = session
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or_default()
            .to_owned();
        info.server_name = Some(host.to_string());
        info.bindings = mailcore::net::client_bindings(session);
        Ok((Box::new(stream), info))
    }

    #[cfg(not(feature = "tls"))]
    pub(super) async fn secure(&self, _: BoxStream) -> Result<(BoxStream, TlsInfo), ClientError> {
        Err(ClientError::NoTls)
    }
}

#[cfg(feature = "tls")]
fn server_name(host: &Domain) -> Result<rustls::pki_types::ServerName<'static>, ClientError> {
    if let Some(ip) = host.as_ip() {
        return Ok(rustls::pki_types::ServerName::IpAddress(ip.into()));
    }
    let ascii = host
        .to_ascii()
        .map_err(|error| ClientError::Tls(error.to_string()))?;
    rustls::pki_types::ServerName::try_from(ascii.as_str().to_owned())
        .map_err(|error| ClientError::Tls(error.to_string()))
}

/// A configuration that takes certificates valid for the host's name, signed
/// by one of `roots`.
///
/// # Errors
/// When the provider has no suites for TLS 1.2 or 1.3.
#[cfg(feature = "tls")]
pub fn verified_config(
    provider: Arc<rustls::crypto::CryptoProvider>,
    roots: rustls::RootCertStore,
) -> Result<Arc<rustls::ClientConfig>, rustls::Error> {
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

impl std::fmt::Debug for TlsSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSetup")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}
