//! Reads the notations of password hashes: PHC and modular crypt (`$…$`), LDAP
//! and Dovecot (`{SCHEME}…`), Django (`name$…`).

use argon2::Params;
use argon2::password_hash::phc::PasswordHash;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{
    HashError, Kind, MAX_BCRYPT, MAX_MEMORY, MAX_MEMORY_PASSES, MAX_PBKDF2, MAX_SHA_CRYPT, Stored,
};

/// Octets that any notation of a hash takes.
const MAX_TEXT: usize = 1024;
/// Octets of a salt.
const MAX_SALT: usize = 256;
/// Octets of a hash by scrypt. A part of one has the same password, so a hash
/// that was cut must not pass for a shorter one.
const SCRYPT_HASH: [usize; 2] = [32, 64];

/// Octets of a hash that says its own length, at least.
const MIN_NAMED_HASH: usize = 16;

/// Padded or not, as writers differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl Stored {
    /// Reads a hash in any notation, its cost checked.
    pub(in crate::directory) fn parse(text: &str) -> Result<Self, HashError> {
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(HashError::Unknown);
        }
        if let Some((scheme, rest)) = text.strip_prefix('{').and_then(|it| it.split_once('}')) {
            return braced(&scheme.to_ascii_uppercase(), rest);
        }
        match text.strip_prefix('$').and_then(|it| it.split_once('$')) {
            Some((scheme, rest)) => modular(scheme, rest, text),
            None => django(text),
        }
    }
}

/// `{SCHEME}hash`, with the encoding after the scheme where it is not base64
/// (<https://doc.dovecot.org/main/core/config/auth/schemes.html>).
fn braced(scheme: &str, rest: &str) -> Result<Stored, HashError> {
    let (scheme, is_hex) = match scheme.rsplit_once('.') {
        Some((scheme, "HEX")) => (scheme, true),
        Some((scheme, "B64" | "BASE64")) => (scheme, false),
        _ => (scheme, false),
    };
    let octets = || match is_hex {
        true => hex(rest),
        false => base64(rest),
    };
    match scheme {
        "PLAIN" | "CLEAR" | "CLEARTEXT" | "PLAIN-TRUNC" => Err(HashError::Plain),
        "SHA" | "SHA1" => salted("SHA", Kind::Sha1, octets(), 0),
        "SHA256" => salted("SHA256", Kind::Sha256, octets(), 0),
        "SHA512" => salted("SHA512", Kind::Sha512, octets(), 0),
        "SSHA" => salted("SSHA", Kind::Sha1, octets(), MAX_SALT),
        "SSHA256" => salted("SSHA256", Kind::Sha256, octets(), MAX_SALT),
        "SSHA512" => salted("SSHA512", Kind::Sha512, octets(), MAX_SALT),
        "CRYPT" | "BLF-CRYPT" | "SHA256-CRYPT" | "SHA512-CRYPT" | "ARGON2" | "ARGON2I"
        | "ARGON2D" | "ARGON2ID" | "SCRYPT" => match rest.starts_with('$') {
            true => Stored::parse(rest),
            // What crypt(3) makes without a prefix is DES.
            false => Err(HashError::Weak(scheme.to_owned())),
        },
        // Dovecot's, with a salt that is text and a hash in hexadecimal.
        "PBKDF2" if rest.starts_with("$1$") => {
            let mut fields = rest.split('$').skip(2);
            let (salt, rounds) = (fields.next(), fields.next());
            let hash = fields.next().and_then(hex);
            pbkdf2(Kind::Sha1, (rounds, None), salt.map(Into::into), hash)
        }
        "PBKDF2" | "PBKDF2-SHA1" => rounds_salt_hash(Kind::Sha1, rest),
        "PBKDF2-SHA256" => rounds_salt_hash(Kind::Sha256, rest),
        "PBKDF2-SHA512" => rounds_salt_hash(Kind::Sha512, rest),
        "MD5" | "SMD5" | "MD5-CRYPT" | "PLAIN-MD5" | "LDAP-MD5" | "DES-CRYPT" | "LANMAN"
        | "NTLM" | "NT" | "CRAM-MD5" | "DIGEST-MD5" | "MD4" => {
            Err(HashError::Weak(scheme.to_owned()))
        }
        _ => Err(HashError::Unknown),
    }
}

/// A digest and, after it, the salt.
fn salted(
    name: &'static str,
    digest: Kind,
    octets: Option<Vec<u8>>,
    max_salt: usize,
) -> Result<Stored, HashError> {
    let mut hash = octets.ok_or(HashError::Malformed(name))?;
    if hash.len() < digest.len() || hash.len() > digest.len() + max_salt {
        return Err(HashError::Malformed(name));
    }
    let salt = hash.split_off(digest.len());
    Ok(Stored::Digest { digest, salt, hash })
}

/// `$scheme$…`.
fn modular(scheme: &str, rest: &str, whole: &str) -> Result<Stored, HashError> {
    match scheme {
        "argon2id" | "argon2i" | "argon2d" => argon2(whole),
        "2a" | "2b" | "2y" => bcrypt(whole),
        "5" | "6" => sha_crypt(whole, rest),
        "scrypt" => scrypt(rest),
        "pbkdf2" | "pbkdf2-sha1" => rounds_salt_hash(Kind::Sha1, rest),
        "pbkdf2-sha256" => rounds_salt_hash(Kind::Sha256, rest),
        "pbkdf2-sha512" => rounds_salt_hash(Kind::Sha512, rest),
        // MD5-crypt, and the bcrypt that read passwords wrongly.
        "1" | "apr1" | "md5" | "2" | "2x" | "3" => Err(HashError::Weak(format!("${scheme}$"))),
        _ => Err(HashError::Unknown),
    }
}

fn argon2(text: &str) -> Result<Stored, HashError> {
    const NAME: &str = "argon2";
    let phc = PasswordHash::new(text).map_err(|_| HashError::Malformed(NAME))?;
    let params = Params::try_from(&phc).map_err(|_| HashError::Malformed(NAME))?;
    if phc.salt.is_none() || phc.hash.is_none() {
        return Err(HashError::Malformed(NAME));
    }
    let memory_kib = params.m_cost();
    within(NAME, memory_kib.into(), MAX_MEMORY.into())?;
    let passes = u64::from(params.t_cost());
    within(NAME, passes * u64::from(memory_kib), MAX_MEMORY_PASSES)?;
    within(NAME, params.p_cost().into(), 64)?;
    let phc = text.to_owned();
    Ok(Stored::Argon2 { phc, memory_kib })
}

fn bcrypt(text: &str) -> Result<Stored, HashError> {
    const NAME: &str = "bcrypt";
    let cost = text.get(4..6).and_then(|it| it.parse().ok());
    let cost: u32 = cost.ok_or(HashError::Malformed(NAME))?;
    within(NAME, cost.into(), MAX_BCRYPT.into())?;
    let letters = text.get(7..).unwrap_or_default();
    let is_letter = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'/');
    if letters.len() != 53 || !letters.bytes().all(is_letter) || cost < 4 {
        return Err(HashError::Malformed(NAME));
    }
    Ok(Stored::Bcrypt(text.to_owned()))
}

fn sha_crypt(whole: &str, rest: &str) -> Result<Stored, HashError> {
    const NAME: &str = "SHA-crypt";
    let rest = match rest.strip_prefix("rounds=") {
        Some(rest) => {
            let (rounds, rest) = rest.split_once('$').ok_or(HashError::Malformed(NAME))?;
            let rounds: u64 = rounds.parse().map_err(|_| HashError::Malformed(NAME))?;
            within(NAME, rounds, MAX_SHA_CRYPT.into())?;
            if rounds < 1_000 {
                return Err(HashError::Malformed(NAME));
            }
            rest
        }
        None => rest,
    };
    let (salt, hash) = rest.split_once('$').ok_or(HashError::Malformed(NAME))?;
    let length = if whole.starts_with("$5$") { 43 } else { 86 };
    let is_letter = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'/');
    if salt.len() > 16 || hash.len() != length || !(salt.bytes().chain(hash.bytes())).all(is_letter)
    {
        return Err(HashError::Malformed(NAME));
    }
    Ok(Stored::ShaCrypt(whole.to_owned()))
}

/// `ln=16,r=8,p=1$salt$hash`.
fn scrypt(rest: &str) -> Result<Stored, HashError> {
    const NAME: &str = "scrypt";
    let bad = HashError::Malformed(NAME);
    let mut fields = rest.split('$');
    let (mut log_n, mut r, mut p) = (None, None, None);
    for (name, value) in fields
        .next()
        .unwrap_or_default()
        .split(',')
        .filter_map(|it| it.split_once('='))
    {
        let value: u32 = value.parse().map_err(|_| bad.clone())?;
        match name {
            "ln" => log_n = Some(value),
            "r" => r = Some(value),
            "p" => p = Some(value),
            _ => return Err(bad),
        }
    }
    let (Some(log_n), Some(r), Some(p)) = (log_n, r, p) else {
        return Err(bad);
    };
    within(NAME, log_n.into(), 20)?;
    within(NAME, r.into(), 64)?;
    within(NAME, p.into(), 64)?;
    let memory = (1u64 << log_n) * u64::from(r) / 8;
    within(NAME, memory, MAX_MEMORY.into())?;
    within(NAME, memory * u64::from(p) * 2, MAX_MEMORY_PASSES)?;
    let salt = fields
        .next()
        .and_then(base64)
        .filter(|it| it.len() <= MAX_SALT);
    let hash = fields
        .next()
        .and_then(base64)
        .filter(|it| SCRYPT_HASH.contains(&it.len()));
    let log_n = u8::try_from(log_n).map_err(|_| bad.clone())?;
    let params = ::scrypt::Params::new(log_n, r, p).map_err(|_| bad.clone())?;
    match (salt, hash, fields.next()) {
        (Some(salt), Some(hash), None) => Ok(Stored::Scrypt {
            params,
            memory_kib: u32::try_from(memory).unwrap_or(MAX_MEMORY),
            salt,
            hash,
        }),
        _ => Err(bad),
    }
}

/// `29000$salt$hash`, or with `i=29000,l=32` in front as PHC has it.
fn rounds_salt_hash(digest: Kind, rest: &str) -> Result<Stored, HashError> {
    let mut fields = rest.trim_start_matches('$').split('$');
    let numbers = fields.next().unwrap_or_default();
    let named = |name| numbers.split(',').find_map(|it| it.strip_prefix(name));
    let rounds = named("i=").unwrap_or(numbers);
    let length = named("l=").and_then(|it| it.parse().ok());
    let length = length.filter(|it| (MIN_NAMED_HASH..=digest.len()).contains(it));
    let salt = fields.next().and_then(base64);
    let hash = fields.next().and_then(base64);
    pbkdf2(digest, (Some(rounds), length), salt, hash)
}

/// `pbkdf2_sha256$600000$salt$hash`: the salt is the text itself.
fn django(text: &str) -> Result<Stored, HashError> {
    let mut fields = text.split('$');
    let digest = match fields.next() {
        Some("pbkdf2_sha256") => Kind::Sha256,
        Some("pbkdf2_sha1") => Kind::Sha1,
        Some("bcrypt") => return Stored::parse(text.trim_start_matches("bcrypt$")),
        Some("argon2") => return Stored::parse(text.trim_start_matches("argon2")),
        _ => return Err(HashError::Unknown),
    };
    let rounds = fields.next();
    let salt = fields.next().map(|it| it.as_bytes().to_vec());
    let hash = fields.next().and_then(base64);
    pbkdf2(digest, (rounds, None), salt, hash)
}

/// A hash is as long as the digest, unless it says so of itself: the function
/// costs its rounds for each digest's length, and a part of a hash has the same
/// password.
fn pbkdf2(
    digest: Kind,
    (rounds, length): (Option<&str>, Option<usize>),
    salt: Option<Vec<u8>>,
    hash: Option<Vec<u8>>,
) -> Result<Stored, HashError> {
    const NAME: &str = "PBKDF2";
    let rounds: u64 = rounds
        .and_then(|it| it.parse().ok())
        .filter(|it| *it > 0)
        .ok_or(HashError::Malformed(NAME))?;
    within(NAME, rounds, MAX_PBKDF2.into())?;
    let length = length.unwrap_or(digest.len());
    let rounds = u32::try_from(rounds).map_err(|_| HashError::Malformed(NAME))?;
    let salt = salt.filter(|it| it.len() <= MAX_SALT);
    let hash = hash.filter(|it| it.len() == length);
    match (salt, hash) {
        (Some(salt), Some(hash)) => Ok(Stored::Pbkdf2 {
            digest,
            rounds,
            salt,
            hash,
        }),
        _ => Err(HashError::Malformed(NAME)),
    }
}

fn within(name: &'static str, asked: u64, limit: u64) -> Result<(), HashError> {
    match asked > limit {
        true => Err(HashError::Costly(name, asked, limit)),
        false => Ok(()),
    }
}

/// Base64, also passlib's with `.` for `+`.
fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.replace('.', "+")).ok()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}
