//! Published keys (RFC 7517, RFC 7518 section 6, RFC 8037) and signatures by
//! them, with what the crypto provider checks certificates with.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::{AlgorithmIdentifier, SignatureVerificationAlgorithm, alg_id};
use serde_json::Value;

/// Keys that one server publishes.
const MAX_KEYS: usize = 64;
/// Octets of an RSA modulus: 2,048 bits at least (RFC 7518 section 3.3), 8,192
/// at most.
const RSA: std::ops::RangeInclusive<usize> = 256..=1_024;
/// Octets of a coordinate on P-256.
const P256: usize = 32;
/// Octets of an Ed25519 key.
const ED25519: usize = 32;

/// An algorithm that tokens are signed by. `none` and those with a shared
/// secret are none of them: a public key must never be one (RFC 8725 section
/// 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    fn ids(self) -> (AlgorithmIdentifier, AlgorithmIdentifier) {
        match self {
            Self::Rs256 => (alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA256),
            Self::Es256 => (alg_id::ECDSA_P256, alg_id::ECDSA_SHA256),
            Self::EdDsa => (alg_id::ED25519, alg_id::ED25519),
        }
    }
}

/// A key that may have signed a token.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    algorithm: Algorithm,
    /// As a certificate holds it.
    public: Vec<u8>,
}

impl Key {
    /// The keys of a set that are of use here.
    pub(super) fn set(json: &[u8]) -> Option<Vec<Self>> {
        let set: Value = serde_json::from_slice(json).ok()?;
        let keys = set.get("keys")?.as_array()?;
        Some(keys.iter().filter_map(Self::read).take(MAX_KEYS).collect())
    }

    fn read(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let octets = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        if text("use").is_some_and(|it| it != "sig") {
            return None;
        }
        let (algorithm, public) = match (text("kty")?, text("crv")) {
            ("RSA", _) => (Algorithm::Rs256, rsa(&octets("n")?, &octets("e")?)?),
            ("EC", Some("P-256")) => {
                let (x, y) = (octets("x")?, octets("y")?);
                let fits = x.len() == P256 && y.len() == P256;
                // Uncompressed (SEC 1 section 2.3.3).
                let point = [&[4], x.as_slice(), &y].concat();
                (Algorithm::Es256, fits.then_some(point)?)
            }
            ("OKP", Some("Ed25519")) => {
                let key = octets("x").filter(|it| it.len() == ED25519)?;
                (Algorithm::EdDsa, key)
            }
            _ => return None,
        };
        if text("alg").is_some_and(|it| Algorithm::parse(it) != Some(algorithm)) {
            return None;
        }
        let id = text("kid").map(str::to_owned);
        Some(Self {
            id,
            algorithm,
            public,
        })
    }

    /// Whether this key has signed the message, by the algorithm that the token
    /// names, which must be the key's own.
    pub(super) fn has_signed(
        &self,
        algorithms: &WebPkiSupportedAlgorithms,
        (algorithm, message, signature): (Algorithm, &[u8], &[u8]),
    ) -> bool {
        if algorithm != self.algorithm {
            return false;
        }
        let signature = match algorithm {
            Algorithm::Es256 => ecdsa(signature),
            _ => Some(signature.to_vec()),
        };
        let (key, by) = algorithm.ids();
        let is_it = |it: &&&dyn SignatureVerificationAlgorithm| {
            it.public_key_alg_id() == key && it.signature_alg_id() == by
        };
        // RSA is there once for each range of lengths.
        signature.is_some_and(|signature| {
            let mut fitting = algorithms.all.iter().filter(is_it);
            fitting.any(|it| {
                it.verify_signature(&self.public, message, &signature)
                    .is_ok()
            })
        })
    }
}

/// `RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }` (RFC
/// 8017 appendix A.1.1).
fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let modulus = without_zeros(modulus);
    let exponent = without_zeros(exponent);
    if !RSA.contains(&modulus.len()) || exponent.is_empty() || exponent.len() > 8 {
        return None;
    }
    Some(sequence(&[integer(modulus), integer(exponent)].concat()))
}

/// `ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }` from the two numbers
/// that a token has (RFC 7518 section 3.4).
fn ecdsa(signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(P256)?;
    let numbers = [integer(without_zeros(r)), integer(without_zeros(s))].concat();
    (s.len() == P256).then(|| sequence(&numbers))
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|it| **it == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// A DER INTEGER that is not negative.
fn integer(number: &[u8]) -> Vec<u8> {
    let is_high = number.first().is_none_or(|it| it & 0x80 != 0);
    let sign: &[u8] = if is_high { &[0] } else { &[] };
    element(0x02, &[sign, number].concat())
}

fn sequence(content: &[u8]) -> Vec<u8> {
    element(0x30, content)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = without_zeros(&length);
    let mut out = vec![tag];
    match length {
        [] => out.push(0),
        [short] if *short < 0x80 => out.push(*short),
        long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}
