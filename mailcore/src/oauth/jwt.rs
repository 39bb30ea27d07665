//! A signed token (JWS compact serialization, RFC 7515 section 7.1; JWT, RFC
//! 7519) taken apart. Nothing of it is believed before its signature is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::TokenError;
use super::jwk::Algorithm;

/// A token whose signature was not looked at yet.
pub(super) struct Unverified<'a> {
    pub(super) algorithm: Algorithm,
    /// The key that it says has signed it.
    pub(super) key_id: Option<String>,
    /// What is signed.
    pub(super) message: &'a [u8],
    pub(super) signature: Vec<u8>,
    claims: Map<String, Value>,
}

impl<'a> Unverified<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, TokenError> {
        let malformed = TokenError::Invalid("it is no signed JWT");
        let (message, signature) = token.rsplit_once('.').ok_or(malformed)?;
        let (header, claims) = message
            .split_once('.')
            .filter(|(_, claims)| !claims.contains('.'))
            .ok_or(TokenError::Invalid("it is no signed JWT"))?;
        let header = object(header)?;
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        // Extensions that must be understood, and keys that the token brings
        // along, are not (RFC 7515 section 4.1.11, RFC 8725 section 3.10).
        if header.contains_key("crit") {
            return Err(TokenError::Invalid("it asks for an extension"));
        }
        // An ID token or some other JWT of the same server is no access token
        // (RFC 9068 section 2.1); many servers name no type at all.
        let kind = text("typ").unwrap_or("JWT").to_ascii_lowercase();
        if !matches!(kind.trim_start_matches("application/"), "jwt" | "at+jwt") {
            return Err(TokenError::Invalid("it is of another type"));
        }
        let algorithm = text("alg").and_then(Algorithm::parse);
        let algorithm = algorithm.ok_or(TokenError::Invalid("its algorithm is not taken"))?;
        let signature = URL_SAFE_NO_PAD.decode(signature);
        Ok(Self {
            algorithm,
            key_id: text("kid").map(str::to_owned),
            message: message.as_bytes(),
            signature: signature.map_err(|_| TokenError::Invalid("its signature is none"))?,
            claims: object(claims)?,
        })
    }

    /// What it says, for who has checked the signature.
    pub(super) fn into_claims(self) -> Map<String, Value> {
        self.claims
    }
}

fn object(part: &str) -> Result<Map<String, Value>, TokenError> {
    let octets = URL_SAFE_NO_PAD.decode(part).ok();
    let value = octets.and_then(|it| serde_json::from_slice(&it).ok());
    match value {
        Some(Value::Object(object)) => Ok(object),
        _ => Err(TokenError::Invalid("a part of it is no JSON object")),
    }
}
