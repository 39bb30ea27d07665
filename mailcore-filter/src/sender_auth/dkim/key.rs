//! Public keys in DNS (RFC 6376 section 3.6.1, RFC 8463 section 4).

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey,
};
use mailcore::address::Domain;
use mailcore::seams::{DnsError, Resolver};

use super::tag_list::TagList;
use super::{Algorithm, DkimProblem};

/// A key, as published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    octets: Vec<u8>,
    /// It signs nothing but SHA-1, say.
    takes_sha256: bool,
    /// The domain is only trying (flag `y`).
    pub is_testing: bool,
    /// The user's domain must be the signing one (flag `s`).
    pub is_strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Rsa,
    Ed25519,
}

impl PublicKey {
    /// Reads a TXT record.
    ///
    /// # Errors
    /// What makes it no key for mail.
    pub fn parse(txt: &[u8]) -> Result<Self, DkimProblem> {
        let tags = TagList::parse(txt).map_err(DkimProblem::KeySyntax)?;
        match tags.get("v") {
            None => {}
            Some("DKIM1") if tags.first() == Some("v") => {}
            Some(_) => return Err(DkimProblem::NoKey),
        }
        let is_for_mail =
            (tags.values("s")).is_none_or(|mut it| it.any(|it| matches!(it, "*" | "email")));
        if !is_for_mail {
            return Err(DkimProblem::NoKey);
        }
        let kind = match tags.get("k") {
            None | Some("rsa") => KeyKind::Rsa,
            Some("ed25519") => KeyKind::Ed25519,
            Some(other) => return Err(DkimProblem::UnknownAlgorithm(other.into())),
        };
        let octets = tags.octets("p").ok_or(DkimProblem::NoKey)?;
        if octets.is_empty() {
            return Err(DkimProblem::Revoked);
        }
        let has_flag = |flag| (tags.values("t")).is_some_and(|mut it| it.any(|it| it == flag));
        Ok(Self {
            kind,
            octets,
            takes_sha256: (tags.values("h")).is_none_or(|mut it| it.any(|it| it == "sha256")),
            is_testing: has_flag("y"),
            is_strict: has_flag("s"),
        })
    }

    /// Whether it is the same key, and checks the same signatures.
    pub(in crate::sender_auth) fn is_same_key(&self, other: &Self) -> bool {
        (self.kind, &self.octets) == (other.kind, &other.octets)
            && self.takes_sha256 == other.takes_sha256
    }

    /// Gets a key: the first record that is one, since several are not foreseen
    /// (RFC 6376 section 3.6.2.2).
    pub(in crate::sender_auth) async fn fetch(
        resolver: &dyn Resolver,
        name: &Domain,
    ) -> Result<Self, DkimProblem> {
        let found = match resolver.txt(name).await {
            Ok(found) => found,
            Err(DnsError::NotFound { .. }) => return Err(DkimProblem::NoKey),
            Err(_) => return Err(DkimProblem::Dns),
        };
        let mut problem = DkimProblem::NoKey;
        for txt in &found.records {
            match Self::parse(txt) {
                Ok(key) => return Ok(key),
                Err(wrong) => problem = wrong,
            }
        }
        Err(problem)
    }

    /// Whether `signature` is this key's of `signed`.
    pub(in crate::sender_auth) fn verify(
        &self,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), DkimProblem> {
        if !self.takes_sha256 {
            return Err(DkimProblem::KeyMismatch);
        }
        let verified = match (self.kind, algorithm) {
            (KeyKind::Rsa, Algorithm::RsaSha256) => {
                self.check_rsa_size()?;
                let key = UnparsedPublicKey::new(
                    &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
                    &self.octets,
                );
                key.verify(signed, signature)
            }
            (KeyKind::Ed25519, Algorithm::Ed25519Sha256) => {
                // RFC 8463 section 3: the hash is what is signed.
                let hash = digest::digest(&digest::SHA256, signed);
                let key = UnparsedPublicKey::new(&ED25519, &self.octets);
                key.verify(hash.as_ref(), signature)
            }
            _ => return Err(DkimProblem::KeyMismatch),
        };
        verified.map_err(|_| DkimProblem::Signature)
    }

    /// RFC 8301 section 3.2: 1,024 bits at least.
    fn check_rsa_size(&self) -> Result<(), DkimProblem> {
        // A modulus of 1,024 bits alone takes 128 octets.
        if self.octets.len() < 128 {
            return Err(DkimProblem::ShortKey);
        }
        Ok(())
    }
}
