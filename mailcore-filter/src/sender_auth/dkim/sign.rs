//! [`DkimSigner`]: signs messages for a domain, and says what to publish.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailcore::address::Domain;
use mailcore::message::{Field, Message};
use mailcore::time::Timestamp;
use thiserror::Error;

use super::canonical::Canonicalization;
use super::tag_list::decode_base64;
use super::verify::{fields, select};
use super::{Algorithm, DkimProblem};
use crate::sender_auth::signing::{Digested, Octets};

/// Columns of a line of the field.
const COLUMNS: usize = 76;

/// How long a signature holds: longer than any queue keeps mail, and no longer
/// than somebody else's replay should be believed.
pub(in crate::sender_auth) const LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);

/// RFC 8301 section 3.2: at least so many bits to sign with.
const LEAST_BITS: usize = 2_048;

/// Fields signed as often as they are there and once more, so that none can be
/// added (RFC 6376 section 8.15).
const OVERSIGNED: [&str; 13] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Sender",
];

/// Fields signed where they are there (RFC 6376 section 5.4.1). Lists add those
/// of theirs to mail that has none, so that they are not oversigned.
const SIGNED: [&str; 10] = [
    "Auto-Submitted",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Feedback-ID",
];

/// Why a key or a message can't be signed with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SigningError {
    /// Not a private key in PEM: PKCS #8 or, for RSA, PKCS #1.
    #[error("not a private key: give one in PEM, as `openssl genpkey` writes it")]
    Key,
    /// RSA of less than 2,048 bits.
    #[error("the key has less than 2,048 bits; make a new one")]
    ShortKey,
    /// The library failed to sign.
    #[error("signing failed")]
    Sign,
    /// The message could not be read, or has no From field.
    #[error("the message can't be signed: {0}")]
    Message(DkimProblem),
}

/// A private key.
pub struct SigningKey(Kind);

enum Kind {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm().as_str())
    }
}

impl SigningKey {
    /// Makes a key of RSA with 2,048 bits, or of Ed25519, and its PEM to keep.
    ///
    /// # Errors
    /// [`SigningError::Key`] when the system has no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<(Self, String), SigningError> {
        match algorithm {
            Algorithm::RsaSha256 => {
                let key = RsaKeyPair::generate(KeySize::Rsa2048);
                let key = key.map_err(|_| SigningError::Key)?;
                let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(|_| SigningError::Key)?;
                let pem = pem(der.as_ref());
                Ok((Self(Kind::Rsa(Box::new(key))), pem))
            }
            Algorithm::Ed25519Sha256 => {
                let key = Ed25519KeyPair::generate().map_err(|_| SigningError::Key)?;
                let der = key.to_pkcs8v1().map_err(|_| SigningError::Key)?;
                let pem = pem(der.as_ref());
                Ok((Self(Kind::Ed25519(Box::new(key))), pem))
            }
        }
    }

    /// Reads a key in PEM.
    ///
    /// # Errors
    /// [`SigningError::Key`], [`SigningError::ShortKey`].
    pub fn from_pem(text: &str) -> Result<Self, SigningError> {
        let key = Self::of_any_size(text)?;
        if let Kind::Rsa(rsa) = &key.0
            && rsa.public_modulus_len() * 8 < LEAST_BITS
        {
            return Err(SigningError::ShortKey);
        }
        Ok(key)
    }

    /// As [`SigningKey::from_pem`], for keys that nobody should sign with any
    /// more.
    pub(super) fn of_any_size(text: &str) -> Result<Self, SigningError> {
        let inside = text
            .split_once("-----BEGIN ")
            .and_then(|(_, rest)| rest.split_once("-----"))
            .and_then(|(kind, rest)| Some((kind, rest.split_once("-----END ")?.0)));
        let (kind, body) = inside.ok_or(SigningError::Key)?;
        let der = decode_base64(body).ok_or(SigningError::Key)?;
        let rsa = match kind.trim() {
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der),
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der),
            _ => return Err(SigningError::Key),
        };
        if let Ok(rsa) = rsa {
            return Ok(Self(Kind::Rsa(Box::new(rsa))));
        }
        let ed25519 = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
        let ed25519 = ed25519.map_err(|_| SigningError::Key)?;
        Ok(Self(Kind::Ed25519(Box::new(ed25519))))
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Kind::Rsa(_) => Algorithm::RsaSha256,
            Kind::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    /// The TXT record to publish under `SELECTOR._domainkey.DOMAIN`.
    ///
    /// # Errors
    /// [`SigningError::Key`] when the library can't write the public key.
    pub fn record(&self) -> Result<String, SigningError> {
        let (kind, public) = match &self.0 {
            Kind::Rsa(key) => {
                let der = AsDer::<PublicKeyX509Der<'_>>::as_der(key.public_key());
                let der = der.map_err(|_| SigningError::Key)?;
                ("rsa", STANDARD.encode(der.as_ref()))
            }
            Kind::Ed25519(key) => ("ed25519", STANDARD.encode(key.public_key().as_ref())),
        };
        Ok(format!("v=DKIM1; k={kind}; p={public}"))
    }

    pub(in crate::sender_auth) fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, SigningError> {
        match &self.0 {
            Kind::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    octets,
                    &mut signature,
                )
                .map_err(|_| SigningError::Sign)?;
                Ok(signature)
            }
            Kind::Ed25519(key) => {
                // RFC 8463 section 3: the hash is what is signed.
                let hash = digest::digest(&digest::SHA256, octets);
                Ok(key.sign(hash.as_ref()).as_ref().to_vec())
            }
        }
    }
}

/// Signs for one domain with one key.
#[derive(Debug)]
pub struct DkimSigner {
    domain: Domain,
    selector: Domain,
    key: Arc<SigningKey>,
    lifetime: Option<Duration>,
}

impl DkimSigner {
    /// Signs for `domain` with the key published under `selector`. Signatures
    /// hold for 14 days, longer than any queue keeps mail.
    pub fn new(domain: Domain, selector: Domain, key: impl Into<Arc<SigningKey>>) -> Self {
        // RFC 6376 section 3.5: names are in their ASCII form there.
        let ascii = |name: Domain| name.to_ascii().unwrap_or(name);
        Self {
            domain: ascii(domain),
            selector: ascii(selector),
            key: key.into(),
            lifetime: Some(LIFETIME),
        }
    }

    /// How long a signature holds; `None` for ever.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Option<Duration>) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The field to put before `message`, with its line end. The message must be
    /// as it goes out: signing is the last step.
    ///
    /// # Errors
    /// [`SigningError`]: the message can't be read or the key not be used.
    pub async fn sign(&self, message: &Message, now: Timestamp) -> Result<Vec<u8>, SigningError> {
        let digested = Digested::of(&mut Octets::of(message)).await;
        let digested = digested.map_err(|error| SigningError::Message(error.problem()))?;
        self.sign_digested(&digested, now)
    }

    /// The same for a message that was read before.
    pub(in crate::sender_auth) fn sign_digested(
        &self,
        digested: &Digested,
        now: Timestamp,
    ) -> Result<Vec<u8>, SigningError> {
        let fields = fields(&digested.header).map_err(SigningError::Message)?;
        let names = names(&fields);
        if !fields.iter().any(|field| field.is("From")) {
            return Err(SigningError::Message(DkimProblem::FromNotSigned));
        }
        let unsigned = self.field(&names, &digested.body_hash, now);
        signed_field(&self.key, unsigned, &names, &fields)
    }

    /// The field up to the signature.
    fn field(&self, names: &[String], hash: &[u8], now: Timestamp) -> String {
        let made = now.secs().max(0);
        let mut field = format!(
            "DKIM-Signature: v=1; a={}; c=relaxed/relaxed;\r\n\td={}; s={};\r\n\tt={made};",
            self.key.algorithm().as_str(),
            self.domain,
            self.selector,
        );
        if let Some(lifetime) = self.lifetime {
            let expires = now.after(lifetime).secs();
            field.push_str(&format!(" x={expires};"));
        }
        end_of_field(&mut field, names, hash);
        field
    }
}

/// The tags `h`, `bh` and the beginning of `b`, each on lines of its own.
pub(in crate::sender_auth) fn end_of_field(field: &mut String, names: &[String], hash: &[u8]) {
    field.push_str("\r\n\th=");
    let mut column = 3;
    for (place, name) in names.iter().enumerate() {
        if place > 0 {
            field.push(':');
            column += 1;
        }
        if column + name.len() > COLUMNS {
            field.push_str("\r\n\t ");
            column = 2;
        }
        field.push_str(name);
        column += name.len();
    }
    field.push_str(&format!(";\r\n\tbh={};\r\n\tb=", STANDARD.encode(hash)));
}

/// A field that ends in `b=`, completed by the signature of the fields that it
/// names and of itself.
pub(in crate::sender_auth) fn signed_field(
    key: &SigningKey,
    unsigned: String,
    names: &[String],
    fields: &[Field<'_>],
) -> Result<Vec<u8>, SigningError> {
    let mut octets = Vec::new();
    let form = Canonicalization::Relaxed;
    select(names, fields, |field| {
        form.field(field.name, b"", field.raw, &mut octets);
    });
    let (name, value) = unsigned.split_once(':').unwrap_or_default();
    form.field(name.as_bytes(), b"", value.as_bytes(), &mut octets);
    // The field's own line end is not signed.
    octets.truncate(octets.len().saturating_sub(2));
    completed(unsigned, &key.sign(&octets)?)
}

/// The field with its signature and its line end.
pub(in crate::sender_auth) fn completed(
    mut field: String,
    signature: &[u8],
) -> Result<Vec<u8>, SigningError> {
    fold_into(&mut field, &STANDARD.encode(signature));
    field.push_str("\r\n");
    Ok(field.into_bytes())
}

/// The names to sign: of the fields that are there, each once for each, and
/// those to be guarded once more.
pub(in crate::sender_auth) fn names(fields: &[Field<'_>]) -> Vec<String> {
    let mut names = Vec::new();
    let count = |name: &str| fields.iter().filter(|field| field.is(name)).count();
    let guarded = OVERSIGNED.iter().map(|name| (name, 1));
    for (name, more) in guarded.chain(SIGNED.iter().map(|name| (name, 0))) {
        for _ in 0..count(name) + more {
            names.push((*name).to_owned());
        }
    }
    names
}

/// Adds base64 in lines.
fn fold_into(field: &mut String, text: &str) {
    let mut rest = text;
    let mut room = COLUMNS - 3;
    while rest.len() > room {
        let (line, after) = rest.split_at_checked(room).unwrap_or((rest, ""));
        field.push_str(line);
        field.push_str("\r\n\t ");
        rest = after;
        room = COLUMNS - 2;
    }
    field.push_str(rest);
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = String::from("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str("-----END PRIVATE KEY-----\n");
    out
}
