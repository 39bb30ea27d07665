//! TLS for the client: what is verified, and how.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use mailcore::address::Domain;
use mailcore::net::client_bindings;
use mailcore::seams::{BoxStream, Tlsa};
use mailcore::wire::TlsInfo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_rustls::TlsConnector;

use super::dane::{self, Presented};
use super::error::{TlsFault, TlsFaultKind};

/// A configuration that takes any certificate (RFC 7435): for
/// [`TlsPolicy::Opportunistic`](super::TlsPolicy::Opportunistic).
///
/// # Errors
/// When the provider has no suites for TLS 1.2 or 1.3.
pub fn opportunistic_config(
    provider: Arc<CryptoProvider>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    judged_by(&provider, Judgement::Any)
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

/// How a certificate is judged.
#[derive(Debug)]
pub(super) enum Judgement {
    /// Not at all (RFC 7435).
    Any,
    /// By TLSA records; those of an authority's need one of the names.
    Dane {
        records: Vec<Tlsa>,
        names: Vec<ServerName<'static>>,
    },
    /// By the roots and the host's name, but only to tell what came of it:
    /// MTA-STS in mode `testing`.
    Observed {
        judge: Arc<WebPkiServerVerifier>,
        verdict: Arc<Observation>,
    },
}

/// What was found wrong with a certificate that was taken nevertheless.
#[derive(Debug, Default)]
pub(super) struct Observation(Mutex<Option<TlsFaultKind>>);

impl Observation {
    pub(super) fn fault(&self) -> Option<TlsFaultKind> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, fault: TlsFaultKind) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }
}

/// A configuration for one kind of judgement.
pub(super) fn judged_by(
    provider: &Arc<CryptoProvider>,
    judgement: Judgement,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let judge = Arc::new(Judge {
        provider: provider.clone(),
        judgement,
    });
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(judge)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Makes the handshake with `host`.
pub(super) async fn connect(
    config: Arc<ClientConfig>,
    host: &Domain,
    stream: BoxStream,
) -> Result<(BoxStream, TlsInfo), TlsFault> {
    let name = server_name(host).map_err(TlsFault::handshake)?;
    let connector = TlsConnector::from(config);
    let stream = connector.connect(name, stream).await.map_err(fault)?;
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
    info.bindings = client_bindings(session);
    Ok((Box::new(stream), info))
}

fn fault(error: io::Error) -> TlsFault {
    let rustls = error.get_ref().and_then(|inner| inner.downcast_ref());
    let kind = rustls.map_or(TlsFaultKind::Lost, fault_kind);
    let text = match kind {
        TlsFaultKind::Tlsa => "no TLSA record names the host's certificate".to_owned(),
        _ => error.to_string(),
    };
    TlsFault { kind, text }
}

/// What rustls found wrong.
pub(super) fn fault_kind(error: &rustls::Error) -> TlsFaultKind {
    use CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else {
        return TlsFaultKind::Handshake;
    };
    match bad {
        Bad::Expired
        | Bad::ExpiredContext { .. }
        | Bad::NotValidYet
        | Bad::NotValidYetContext { .. } => TlsFaultKind::Expired,
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => TlsFaultKind::HostMismatch,
        Bad::ApplicationVerificationFailure => TlsFaultKind::Tlsa,
        _ => TlsFaultKind::NotTrusted,
    }
}

/// The name as certificates and SNI have it.
pub(super) fn server_name(host: &Domain) -> Result<ServerName<'static>, String> {
    if let Some(ip) = host.as_ip() {
        return Ok(ServerName::IpAddress(ip.into()));
    }
    let ascii = host.to_ascii().map_err(|error| error.to_string())?;
    ServerName::try_from(ascii.as_str().to_owned()).map_err(|error| error.to_string())
}

/// Judges the certificate; that the peer has its key is asked for always.
#[derive(Debug)]
struct Judge {
    provider: Arc<CryptoProvider>,
    judgement: Judgement,
}

impl Judge {
    fn by_records(
        &self,
        records: &[Tlsa],
        names: &[ServerName<'_>],
        (certificate, chain, now): (&CertificateDer<'_>, &[CertificateDer<'_>], UnixTime),
    ) -> Result<(), rustls::Error> {
        let presented = Presented {
            certificate,
            chain,
            now,
            algorithms: self.provider.signature_verification_algorithms.all,
        };
        dane::verify(records, &presented, names).map_err(|kind| {
            rustls::Error::InvalidCertificate(match kind {
                TlsFaultKind::Expired => CertificateError::Expired,
                TlsFaultKind::HostMismatch => CertificateError::NotValidForName,
                TlsFaultKind::NotTrusted => CertificateError::UnknownIssuer,
                TlsFaultKind::Tlsa | TlsFaultKind::Lost | TlsFaultKind::Handshake => {
                    CertificateError::ApplicationVerificationFailure
                }
            })
        })
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.judgement {
            Judgement::Any => {}
            Judgement::Dane { records, names } => {
                self.by_records(records, names, (certificate, chain, now))?;
            }
            Judgement::Observed { judge, verdict } => {
                if let Err(error) = judge.verify_server_cert(certificate, chain, name, ocsp, now) {
                    verdict.note(fault_kind(&error));
                }
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
