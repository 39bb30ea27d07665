//! The listeners' certificates: those of the configured files and those that an
//! authority gave, or one of the server's own making. Which are in force is
//! [`keys`]'s, what is wrong with them [`loaded`]'s to tell.

mod keys;
mod loaded;
mod own;

use std::path::Path;
use std::sync::Arc;

use mailcore::net::{AcmeError, CertificateError, TlsConfigError};
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use thiserror::Error;

use crate::data::DataError;

pub(crate) use keys::{Keys, Wish};
pub(crate) use loaded::Loaded;
pub(crate) use own::own;

/// Why there is no TLS.
#[derive(Debug, Error)]
pub(crate) enum TlsError {
    #[error("{path}: {source}; it must hold PEM blocks")]
    Pem {
        path: String,
        source: rustls_pki_types::pem::Error,
    },
    #[error("{path} holds no certificate")]
    NoCertificate { path: String },
    #[error("{path}: {source}")]
    Unreadable {
        path: String,
        source: CertificateError,
    },
    #[error("{certificate} and {key} don't belong together: {source}")]
    Pair {
        certificate: String,
        key: String,
        source: rustls::Error,
    },
    #[error("can't set TLS up: {0}")]
    Rustls(#[from] rustls::Error),
    #[error("can't set TLS up: {0}")]
    Config(#[from] TlsConfigError),
    #[error("can't make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("the certificates of [acme]: {0}")]
    Acme(#[from] AcmeError),
    #[error(transparent)]
    Data(#[from] DataError),
}

/// The cryptography of this program. Handed to all that need it: no process
/// default is set.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The certificates of a PEM file.
pub(crate) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let shown = || path.display().to_string();
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| TlsError::Pem {
            path: shown(),
            source,
        })?;
    match chain.is_empty() {
        true => Err(TlsError::NoCertificate { path: shown() }),
        false => Ok(chain),
    }
}

/// The authorities of a PEM file.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}
