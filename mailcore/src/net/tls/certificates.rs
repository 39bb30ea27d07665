//! Certificates by name: one for all, several by the name a client asks for,
//! and a place where they can be replaced while the server runs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsConfigError;
use crate::seams::Certificates;

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

    /// From PEM files: a chain, leaf first, and its key. Blocks.
    ///
    /// # Errors
    /// [`TlsConfigError::File`] for what is not there or not PEM, or a key that
    /// does not fit.
    pub fn from_pem_files(
        provider: &CryptoProvider,
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsConfigError> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        let wrong = |path: &Path, reason: String| TlsConfigError::File {
            path: path.display().to_string(),
            reason,
        };
        let certificates = CertificateDer::pem_file_iter(chain)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| wrong(chain, error.to_string()))?;
        if certificates.is_empty() {
            return Err(wrong(chain, "it holds no certificate".to_owned()));
        }
        let secret =
            PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error.to_string()))?;
        let made = CertifiedKey::from_der(certificates, secret, provider)
            .map_err(|error| wrong(key, error.to_string()))?;
        Ok(Self(Arc::new(made)))
    }
}

impl Certificates for FixedCertificate {
    fn certificate(&self, _server_name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Certificates by the name that a client asks for (RFC 6066 section 3), and
/// one for those who ask for another or for none: mail clients call a server by
/// many names, and judge themselves what it shows them.
#[derive(Debug, Clone)]
pub struct NamedCertificates {
    default: Arc<CertifiedKey>,
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// By what follows the asterisk and its dot.
    wildcard: HashMap<Box<str>, Arc<CertifiedKey>>,
}

impl NamedCertificates {
    /// Only the one for all others, so far.
    pub fn new(default: Arc<CertifiedKey>) -> Self {
        Self {
            default,
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        }
    }

    /// Shows this one to those who ask for `name`, which may be a wildcard:
    /// `*.example.com` stands for names of one label more (RFC 9525 section
    /// 6.3). A name keeps the certificate that it was given first; a name in
    /// full goes before a wildcard.
    pub fn add(&mut self, name: &str, certificate: &Arc<CertifiedKey>) {
        let name = name.to_ascii_lowercase();
        let (names, key) = match name.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent),
            None => (&mut self.exact, name.as_str()),
        };
        names
            .entry(key.into())
            .or_insert_with(|| Arc::clone(certificate));
    }

    fn named(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.exact.get(name.as_str()).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.wildcard.get(parent)
        })
    }
}

impl Certificates for NamedCertificates {
    fn certificate(&self, server_name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let named = server_name.and_then(|name| self.named(name));
        Some(Arc::clone(named.unwrap_or(&self.default)))
    }
}

/// Certificates that others can take the place of, as when they were renewed.
/// The next handshake sees the new ones; sessions go on as they are.
#[derive(Debug)]
pub struct ReplaceableCertificates(RwLock<Arc<dyn Certificates>>);

impl ReplaceableCertificates {
    /// Begins with these.
    pub fn new(certificates: Arc<dyn Certificates>) -> Self {
        Self(RwLock::new(certificates))
    }

    /// Goes on with these.
    pub fn replace(&self, certificates: Arc<dyn Certificates>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certificates;
    }
}

impl Certificates for ReplaceableCertificates {
    fn certificate(&self, server_name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let current = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        current.certificate(server_name)
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs;

    use super::*;

    fn certificate() -> Arc<CertifiedKey> {
        let made = rcgen::generate_simple_self_signed(["x.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let chain = vec![made.cert.der().clone()];
        let provider = aws_lc_rs::default_provider();
        Arc::new(CertifiedKey::from_der(chain, key, &provider).unwrap())
    }

    #[test]
    fn a_name_in_full_goes_before_a_wildcard_and_others_get_the_default() {
        let (default, exact, wildcard, late) =
            (certificate(), certificate(), certificate(), certificate());
        let mut named = NamedCertificates::new(Arc::clone(&default));
        named.add("*.example.com", &wildcard);
        named.add("Mail.Example.com", &exact);
        named.add("mail.example.com", &late);
        let shown = |name| named.certificate(name).unwrap();
        for (name, expected) in [
            (Some("mail.example.com"), &exact),
            (Some("MAIL.EXAMPLE.COM"), &exact),
            (Some("imap.example.com"), &wildcard),
            (Some("a.imap.example.com"), &default),
            (Some("example.com"), &default),
            (Some("com"), &default),
            (None, &default),
        ] {
            assert!(Arc::ptr_eq(&shown(name), expected), "{name:?}");
        }
    }

    #[test]
    fn replaced_certificates_are_shown_from_then_on() {
        let (old, new) = (certificate(), certificate());
        let fixed = |it: &Arc<CertifiedKey>| Arc::new(NamedCertificates::new(Arc::clone(it)));
        let certificates = ReplaceableCertificates::new(fixed(&old));
        assert!(Arc::ptr_eq(&certificates.certificate(None).unwrap(), &old));
        certificates.replace(fixed(&new));
        assert!(Arc::ptr_eq(&certificates.certificate(None).unwrap(), &new));
    }
}
