//! What a server keeps for SCRAM, and what it makes up for names it does not
//! know.

use stringprep::saslprep;
use zeroize::Zeroizing;

use super::ScramHash;
use crate::account::Secret;
use crate::seams::{CredentialKind, Labelled, ScramKeys, ScramPair};

/// The least rounds of hashing that RFC 5802 section 5.1 and RFC 7677 section 4
/// ask for.
pub const MIN_ITERATIONS: u32 = 4_096;

impl ScramPair {
    /// The keys of a password (RFC 5802 section 3), for
    /// [`CredentialKind::ScramSha1`] or [`CredentialKind::ScramSha256`]; none
    /// for another kind. The password is prepared by SASLprep where it can be;
    /// one that can't be is taken as it is, as clients do.
    pub fn derive(
        kind: CredentialKind,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
    ) -> Option<Self> {
        let hash = ScramHash::of(kind)?;
        let salted = hash.stretch(&prepared(password), salt, iterations);
        let client_key = Zeroizing::new(hash.hmac(&salted, &[b"Client Key"]));
        let stored_key = hash.digest(&client_key);
        Some(Self {
            stored_key: Secret::new(stored_key),
            server_key: Secret::new(hash.hmac(&salted, &[b"Server Key"])),
        })
    }
}

impl ScramKeys {
    /// Keys that nobody can prove, with a salt that is always the same for one
    /// name, so that a stranger can't tell that there is no such account (RFC
    /// 5802 section 9). `secret` is the server's own, and the same for as long
    /// as the accounts are; `iterations` those that accounts have.
    ///
    /// Names that mean the same account if it exists must be given in one form.
    pub fn made_up(secret: &Secret, kind: CredentialKind, login: &str, iterations: u32) -> Self {
        let hash = ScramHash::Sha256;
        let of = |what: &[u8]| {
            let kind: &[u8] = match kind {
                CredentialKind::ScramSha1 => b"SHA-1",
                _ => b"SHA-256",
            };
            hash.hmac(
                secret.expose(),
                &[what, b"\0", kind, b"\0", login.as_bytes()],
            )
        };
        let mut salt = of(b"salt");
        salt.truncate(16);
        let length = match kind {
            CredentialKind::ScramSha1 => 20,
            _ => 32,
        };
        let key = |what: &[u8]| {
            let mut key = of(what);
            key.truncate(length);
            Secret::new(key)
        };
        // Only who knows an input that hashes to it could prove this one.
        let pair = ScramPair {
            stored_key: key(b"stored"),
            server_key: key(b"server"),
        };
        Self {
            salt,
            iterations,
            pairs: vec![Labelled::only(pair)],
        }
    }
}

/// RFC 5802 section 2.2.
pub(super) fn prepared(password: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(match std::str::from_utf8(password).ok().map(saslprep) {
        Some(Ok(prepared)) => prepared.into_owned().into_bytes(),
        _ => password.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_keys_are_stable_and_each_name_has_its_own() {
        let secret = Secret::new(b"of the server");
        let of = |login: &str| {
            ScramKeys::made_up(&secret, CredentialKind::ScramSha256, login, MIN_ITERATIONS)
        };
        assert_eq!(of("ann").salt, of("ann").salt);
        assert_eq!(of("ann").salt.len(), 16);
        assert_ne!(of("ann").salt, of("bob").salt);
        let sha1 = ScramKeys::made_up(&secret, CredentialKind::ScramSha1, "ann", MIN_ITERATIONS);
        assert_ne!(sha1.salt, of("ann").salt);
        assert_eq!(
            sha1.pairs.first().unwrap().value.stored_key.expose().len(),
            20
        );
    }

    #[test]
    fn passwords_are_prepared() {
        let of = |password: &str| {
            ScramPair::derive(CredentialKind::ScramSha256, password.as_bytes(), b"salt", 1)
        };
        assert_eq!(of("u\u{308}"), of("\u{fc}"));
        assert_ne!(of("u"), of("\u{fc}"));
        assert_eq!(
            ScramPair::derive(CredentialKind::Ntlm, b"p", b"salt", 1),
            None
        );
    }
}
