//! The listeners' certificate: read from the configured files, or made and kept
//! in the data directory.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use mailcore::address::Domain;
use mailcore::net::{TlsConfigError, server_config};
use mailcore::seams::Certificates;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use crate::config::{Config, TlsFiles};
use crate::data::{DataDir, DataError};

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
    #[error(transparent)]
    Data(#[from] DataError),
}

/// The cryptography of this program. Handed to all that need it: no process
/// default is set.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The certificate in force, which new files may replace while the server runs.
#[derive(Debug)]
pub(crate) struct Keys {
    files: TlsFiles,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Keys {
    /// The configured certificate, or one of the server's own making.
    pub(crate) fn load(config: &Config, data: &DataDir) -> Result<Arc<Self>, TlsError> {
        let files = match &config.tls {
            Some(files) => files.clone(),
            None => own(&config.hostname, data)?,
        };
        Ok(Arc::new(Self {
            current: RwLock::new(read(&files)?),
            files,
        }))
    }

    /// The TLS of all listeners.
    pub(crate) fn server_config(self: Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        Ok(Arc::new(server_config(provider(), self)?))
    }

    /// Reads the files anew. What they hold serves the next connection; when
    /// they can't be used, nothing changes.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let new = read(&self.files)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

impl Certificates for Keys {
    fn certificate(&self, _server_name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

/// Reads the files and checks that they belong together.
pub(crate) fn read(files: &TlsFiles) -> Result<Arc<CertifiedKey>, TlsError> {
    let pem = |path: &Path| {
        let path = path.display().to_string();
        move |source| TlsError::Pem { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(pem(&files.certificate))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate {
            path: files.certificate.display().to_string(),
        });
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(pem(&files.key))?;
    CertifiedKey::from_der(chain, key, &provider())
        .map(Arc::new)
        .map_err(|source| TlsError::Pair {
            certificate: files.certificate.display().to_string(),
            key: files.key.display().to_string(),
            source,
        })
}

/// The server's own certificate, made when it is not there.
fn own(hostname: &Domain, data: &DataDir) -> Result<TlsFiles, TlsError> {
    let files = TlsFiles {
        certificate: data.certificate(),
        key: data.key(),
    };
    if files.certificate.exists() && files.key.exists() {
        return Ok(files);
    }
    let name = hostname.to_ascii().unwrap_or_else(|_| hostname.clone());
    let names = [name.as_str(), "localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names)?;
    data.write_private(&files.key, made.signing_key.serialize_pem().as_bytes())?;
    data.write_private(&files.certificate, made.cert.pem().as_bytes())?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_made_certificate_is_kept_private_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path());
        let name = Domain::parse("mail.example.test").unwrap();
        let files = own(&name, &data).unwrap();
        let first = std::fs::read(&files.certificate).unwrap();
        let mode = std::fs::metadata(&files.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        read(&own(&name, &data).unwrap()).unwrap();
        assert_eq!(std::fs::read(&files.certificate).unwrap(), first);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let name = Domain::parse("mail.example.test").unwrap();
        let make = |path: &Path| {
            let data = DataDir::new(path);
            data.create().unwrap();
            own(&name, &data).unwrap()
        };
        let mixed = TlsFiles {
            certificate: make(&a).certificate,
            key: make(&b).key,
        };
        assert!(matches!(read(&mixed), Err(TlsError::Pair { .. })));
    }
}
