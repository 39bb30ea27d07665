//! Password hashes as they are kept: ours (argon2id) and those that other
//! servers made. What is read here was written elsewhere, so what checking one
//! costs is bounded when it is read, not when somebody logs in.

mod read;

use std::fmt;

use sha_crypt::{PasswordVerifier, ShaCrypt};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use super::argon;

/// KiB of memory that checking a hash may take.
const MAX_MEMORY: u32 = 128 * 1024;
/// KiB times passes: about a second.
const MAX_MEMORY_PASSES: u64 = 1024 * 1024;
/// Rounds of SHA-crypt; passlib's default is 656,000.
const MAX_SHA_CRYPT: u32 = 1_000_000;
/// Rounds of PBKDF2; Django's default grows by a fifth each year and is
/// 1,200,000 in its version 6.
const MAX_PBKDF2: u32 = 2_000_000;
/// The binary logarithm of bcrypt's rounds: about a second.
const MAX_BCRYPT: u32 = 14;
/// Octets of a password that SHA-crypt is asked about: each of its rounds goes
/// over the whole password.
const MAX_SHA_CRYPT_PASSWORD: usize = 256;

/// A hash that can be checked.
pub(super) enum Stored {
    /// argon2 in PHC form.
    Argon2 { phc: String, memory_kib: u32 },
    /// `$2b$`.
    Bcrypt(String),
    /// `$5$`, `$6$`.
    ShaCrypt(String),
    /// scrypt, whatever it was written like.
    Scrypt {
        params: scrypt::Params,
        memory_kib: u32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    /// PBKDF2, whatever it was written like.
    Pbkdf2 {
        digest: Kind,
        rounds: u32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    /// One round of a digest over password and salt.
    Digest {
        digest: Kind,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
}

/// A digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sha1,
    Sha256,
    Sha512,
}

/// Why a hash is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum HashError {
    #[error(
        "the hash is of no kind known here; give argon2, bcrypt, scrypt, PBKDF2, SHA-crypt \
         ($5$, $6$) or {{SSHA}}, {{SSHA256}}, {{SSHA512}}"
    )]
    Unknown,
    #[error("this is a password in clear and not a hash; set it as a password")]
    Plain,
    #[error("hashes of kind {0} are too weak to be kept; set a new password")]
    Weak(String),
    #[error("the {0} hash is cut short or damaged; copy it whole")]
    Malformed(&'static str),
    #[error("the {0} hash asks for {1}, over the limit of {2}; set a new password")]
    Costly(&'static str, u64, u64),
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stored(***)")
    }
}

impl Kind {
    fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Of the password, then the salt.
    fn of(self, password: &[u8], salt: &[u8]) -> Vec<u8> {
        fn run<D: Digest>(password: &[u8], salt: &[u8]) -> Vec<u8> {
            let digest = D::new().chain_update(password).chain_update(salt);
            digest.finalize().to_vec()
        }
        match self {
            Self::Sha1 => run::<Sha1>(password, salt),
            Self::Sha256 => run::<Sha256>(password, salt),
            Self::Sha512 => run::<Sha512>(password, salt),
        }
    }

    fn pbkdf2(self, password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, rounds, out),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, rounds, out),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, rounds, out),
        }
    }
}

impl Stored {
    /// KiB of memory that checking takes.
    pub(super) fn memory_kib(&self) -> u32 {
        match self {
            Self::Argon2 { memory_kib, .. } | Self::Scrypt { memory_kib, .. } => *memory_kib,
            _ => 1,
        }
    }

    /// True when this is the password's hash. Blocks, for a second at most.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon2 { phc, .. } => argon::verify(phc, password),
            Self::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Self::ShaCrypt(text) => {
                let tried = password.get(..MAX_SHA_CRYPT_PASSWORD).unwrap_or(password);
                let is_right = ShaCrypt::default().verify_password(tried, text.as_str());
                password.len() <= MAX_SHA_CRYPT_PASSWORD && is_right.is_ok()
            }
            Self::Scrypt {
                params, salt, hash, ..
            } => {
                let mut out = Zeroizing::new(vec![0; hash.len()]);
                let made = scrypt::scrypt(password, salt, params, &mut out);
                made.is_ok() && bool::from(out.ct_eq(hash))
            }
            Self::Pbkdf2 {
                digest,
                rounds,
                salt,
                hash,
            } => {
                let mut out = Zeroizing::new(vec![0; hash.len()]);
                digest.pbkdf2(password, salt, *rounds, &mut out);
                out.ct_eq(hash).into()
            }
            Self::Digest { digest, salt, hash } => digest.of(password, salt).ct_eq(hash).into(),
        }
    }
}

#[cfg(test)]
mod tests;
