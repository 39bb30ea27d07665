//! [`ChallengeStore`]: the answers to the challenges that are open now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;

use super::AcmeError;
use crate::seams::Certificates;

/// Answers that an authority may ask for. Shared between [`Acme`](super::Acme),
/// which puts them here, and the listeners that give them.
///
/// As [`Certificates`] it has the answers to TLS-ALPN-01, for
/// [`ServerTls::challenges`](crate::net::ServerTls::challenges).
#[derive(Debug, Default)]
pub struct ChallengeStore(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    /// By name.
    tls: HashMap<String, Arc<CertifiedKey>>,
    /// By token.
    http: HashMap<String, String>,
}

/// An answer that is taken away when it is dropped.
#[derive(Debug)]
pub(super) struct Answer {
    store: Arc<ChallengeStore>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Tls(String),
    Http(String),
}

impl ChallengeStore {
    /// What the page `/.well-known/acme-challenge/TOKEN` holds (RFC 8555 section
    /// 8.3), as `text/plain` or `application/octet-stream`.
    pub fn page(&self, token: &str) -> Option<String> {
        self.answers().http.get(token).cloned()
    }

    pub(super) fn answer_http(self: &Arc<Self>, token: &str, content: &str) -> Answer {
        let mut answers = self.answers();
        answers.http.insert(token.to_owned(), content.to_owned());
        self.answer(Kind::Http(token.to_owned()))
    }

    /// Shows for `name` a certificate that holds the digest of the key
    /// authorization (RFC 8737 section 3).
    pub(super) fn answer_tls(
        self: &Arc<Self>,
        provider: &CryptoProvider,
        name: &str,
        digest: &[u8],
    ) -> Result<Answer, AcmeError> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate()?;
        let made = params.self_signed(&key)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        // Made without a look at the certificate: rustls knows no critical
        // extension of that kind.
        let key = provider.key_provider.load_private_key(key);
        let key = key.map_err(|error| AcmeError::Unusable(error.to_string()))?;
        let shown = CertifiedKey::new(vec![made.der().clone()], key);
        let name = name.to_ascii_lowercase();
        self.answers().tls.insert(name.clone(), Arc::new(shown));
        Ok(self.answer(Kind::Tls(name)))
    }

    fn answer(self: &Arc<Self>, kind: Kind) -> Answer {
        Answer {
            store: Arc::clone(self),
            kind,
        }
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let mut answers = self.store.answers();
        match &self.kind {
            Kind::Tls(name) => drop(answers.tls.remove(name)),
            Kind::Http(token) => drop(answers.http.remove(token)),
        }
    }
}

impl Certificates for ChallengeStore {
    fn certificate(&self, server_name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let name = server_name?.to_ascii_lowercase();
        self.answers().tls.get(&name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs;

    use super::*;

    #[test]
    fn an_answer_is_there_for_its_name_until_it_is_dropped() {
        let store = Arc::<ChallengeStore>::default();
        let provider = aws_lc_rs::default_provider();
        let answer = store
            .answer_tls(&provider, "Mail.a.test", &[7; 32])
            .unwrap();
        assert!(store.certificate(Some("mail.A.test")).is_some());
        assert!(store.certificate(Some("a.test")).is_none());
        assert!(store.certificate(None).is_none());
        drop(answer);
        assert!(store.certificate(Some("mail.a.test")).is_none());
    }
}
