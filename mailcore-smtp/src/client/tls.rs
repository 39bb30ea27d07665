//! TLS for the client: what is verified, and how.

use std::sync::Arc;

use mailcore::address::Domain;
use mailcore::seams::BoxStream;
use mailcore::wire::TlsInfo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

/// A configuration that takes any certificate (RFC 7435): for
/// [`TlsPolicy::Opportunistic`](super::TlsPolicy::Opportunistic).
///
/// # Errors
/// When the provider has no suites for TLS 1.2 or 1.3.
pub fn opportunistic_config(
    provider: Arc<CryptoProvider>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let verifier = Arc::new(AnyCertificate(provider.clone()));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A configuration that takes certificates valid for the host's name, signed
/// by one of `roots`: for [`TlsPolicy::Verified`](super::TlsPolicy::Verified).
///
/// # Errors
/// When the provider has no suites for TLS 1.2 or 1.3.
pub fn verified_config(
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Makes the handshake with `host`.
pub(super) async fn connect(
    config: Arc<ClientConfig>,
    host: &Domain,
    stream: BoxStream,
) -> Result<(BoxStream, TlsInfo), String> {
    let name = server_name(host)?;
    let connector = TlsConnector::from(config);
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| error.to_string())?;
    let (_, session) = stream.get_ref();
    let mut info = TlsInfo::default();
    info.version = session
        .protocol_version()
        .and_then(|version| version.as_str())
        .unwrap_or_default()
        .to_owned();
    info.cipher = session
        .negotiated_cipher_suite()
        .and_then(|suite| suite.suite().as_str())
        .unwrap_or_default()
        .to_owned();
    info.server_name = Some(host.to_string());
    Ok((Box::new(stream), info))
}

fn server_name(host: &Domain) -> Result<ServerName<'static>, String> {
    if let Some(ip) = host.as_ip() {
        return Ok(ServerName::IpAddress(ip.into()));
    }
    let ascii = host.to_ascii().map_err(|error| error.to_string())?;
    ServerName::try_from(ascii.as_str().to_owned()).map_err(|error| error.to_string())
}

/// Believes any certificate, but not a peer without the certificate's key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
