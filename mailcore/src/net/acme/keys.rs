//! Which key a certificate is for ([`KeyChoice`]).

use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use super::tend::{Acme, file_name};
use super::{AcmeError, KeyChoice};

impl Acme {
    /// The keys that the next certificates are for, as a certificate holds them
    /// (`SubjectPublicKeyInfo`, DER), each with the names of its certificate.
    /// There are some with [`KeyChoice::Announced`] alone.
    ///
    /// # Errors
    /// [`AcmeError::Store`].
    pub async fn next_keys(&self) -> Result<Vec<(Vec<String>, Vec<u8>)>, AcmeError> {
        let mut found = Vec::new();
        if self.config.keys != KeyChoice::Announced {
            return Ok(found);
        }
        for names in &self.config.certificates {
            if let Some(key) = self.stored_key("next", names).await? {
                found.push((names.clone(), key.subject_public_key_info()));
            }
        }
        Ok(found)
    }

    /// The key that a certificate for these names is ordered for.
    pub(super) async fn key_for(&self, names: &[String]) -> Result<KeyPair, AcmeError> {
        let found = match self.config.keys {
            KeyChoice::Fresh => None,
            KeyChoice::Kept => self.stored_key("certificate", names).await?,
            KeyChoice::Announced => self.stored_key("next", names).await?,
        };
        match found {
            Some(key) => Ok(key),
            None => Ok(KeyPair::generate()?),
        }
    }

    /// Sees to it that there is a key for the next certificate, another than
    /// that of this one.
    pub(super) async fn announce(&self, names: &[String]) {
        if self.config.keys == KeyChoice::Announced
            && let Err(error) = self.make_next(names).await
        {
            tracing::warn!(%error, "the next certificate's key is not kept");
        }
    }

    async fn make_next(&self, names: &[String]) -> Result<(), AcmeError> {
        let current = self.stored_key("certificate", names).await?;
        let next = self.stored_key("next", names).await?;
        let public = |key: &KeyPair| key.subject_public_key_info();
        match next {
            Some(next) if current.as_ref().map(public) != Some(public(&next)) => Ok(()),
            _ => {
                let key = KeyPair::generate()?.serialize_pem();
                let name = file_name("next", names);
                Ok(self.seams.store.save(&name, key.into_bytes()).await?)
            }
        }
    }

    /// What can't be read is no key: another is made.
    async fn stored_key(&self, what: &str, names: &[String]) -> Result<Option<KeyPair>, AcmeError> {
        let kept = self.seams.store.load(&file_name(what, names)).await?;
        let key = kept.and_then(|pem| PrivateKeyDer::from_pem_slice(&pem).ok());
        Ok(key.and_then(|key| KeyPair::try_from(&key).ok()))
    }
}
