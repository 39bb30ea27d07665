//! SCRAM (RFC 5802, RFC 7677): the client proves that it knows the password
//! without showing it, and the server that it knows the client's keys.

mod client;
mod keys;
mod server;

use hmac::Hmac;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::seams::CredentialKind;

pub(super) use client::{Client, ClientBinding};
pub use keys::MIN_ITERATIONS;
pub(super) use server::{Binding, Scram};

/// Octets of a nonce's randomness.
const NONCE: usize = 18;

/// The hash that a SCRAM mechanism is named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScramHash {
    Sha1,
    Sha256,
}

impl ScramHash {
    pub(super) fn of(kind: CredentialKind) -> Option<Self> {
        match kind {
            CredentialKind::ScramSha1 => Some(Self::Sha1),
            CredentialKind::ScramSha256 => Some(Self::Sha256),
            _ => None,
        }
    }

    fn kind(self) -> CredentialKind {
        match self {
            Self::Sha1 => CredentialKind::ScramSha1,
            Self::Sha256 => CredentialKind::ScramSha256,
        }
    }

    /// `H()`.
    fn digest(self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(octets).to_vec(),
            Self::Sha256 => Sha256::digest(octets).to_vec(),
        }
    }

    /// `HMAC()` over the parts as if they were one.
    fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Sha1 => keyed::<Hmac<Sha1>>(key, parts),
            Self::Sha256 => keyed::<Hmac<Sha256>>(key, parts),
        }
    }

    /// `Hi()`: PBKDF2 (RFC 8018) of one block.
    fn stretch(self, password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Sha1 => stretched::<Hmac<Sha1>>(password, salt, iterations),
            Self::Sha256 => stretched::<Hmac<Sha256>>(password, salt, iterations),
        }
    }
}

fn keyed<M: hmac::Mac + hmac::KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = <M as hmac::KeyInit>::new_from_slice(key) else {
        return Vec::new();
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn stretched<M: hmac::Mac + hmac::KeyInit + Clone>(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
) -> Zeroizing<Vec<u8>> {
    let Ok(keyed) = <M as hmac::KeyInit>::new_from_slice(password) else {
        return Zeroizing::default();
    };
    let round = |parts: [&[u8]; 2]| {
        let mut mac = keyed.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes()
    };
    let mut last = round([salt, &1_u32.to_be_bytes()]);
    let mut sum = Zeroizing::new(last.to_vec());
    for _ in 1..iterations {
        last = round([&last, &[]]);
        xor(&mut sum, &last);
    }
    last.as_mut_slice().zeroize();
    sum
}

/// `a := a XOR b`.
fn xor(a: &mut [u8], b: &[u8]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a ^= b);
}

/// The value of an attribute: `x=value`.
fn attribute(field: Option<&[u8]>, name: u8) -> Option<&[u8]> {
    match field {
        Some([first, b'=', value @ ..]) if *first == name => Some(value),
        _ => None,
    }
}

/// Splits off what follows the first comma.
fn before_comma(octets: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = octets.splitn(2, |&octet| octet == b',');
    (parts.next().unwrap_or_default(), parts.next())
}

/// `printable = %x21-2B / %x2D-7E`, what nonces are made of.
fn is_nonce(octets: &[u8]) -> bool {
    !octets.is_empty()
        && octets
            .iter()
            .all(|&octet| octet.is_ascii_graphic() && octet != b',')
}

#[cfg(test)]
mod tests;
