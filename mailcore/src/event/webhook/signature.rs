//! Signatures over id, time and body (Standard Webhooks 1.0.0, "Signature
//! scheme"; HMAC is RFC 2104's).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::account::Secret;

/// Begins a secret that is written in base64.
const PREFIX: &[u8] = b"whsec_";

/// The keys that each request is signed with.
#[derive(Debug, Clone)]
pub(super) struct Keys(Vec<Secret>);

impl Keys {
    /// The key that a secret stands for; `None` when it is shorter than `least`
    /// octets or not what its beginning says.
    pub(super) fn of(secret: &Secret, least: usize) -> Option<Self> {
        let key = match secret.expose().strip_prefix(PREFIX) {
            Some(encoded) => Secret::new(STANDARD.decode(encoded).ok()?),
            None => secret.clone(),
        };
        (key.expose().len() >= least).then(|| Self(vec![key]))
    }

    /// Signs with those, too.
    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let sign = |key: &Secret| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).ok()?;
            mac.update(format!("{id}.{seconds}.").as_bytes());
            mac.update(body);
            let digest = mac.finalize().into_bytes();
            Some(format!("v1,{}", STANDARD.encode(digest)))
        };
        let signatures: Vec<String> = self.0.iter().filter_map(sign).collect();
        signatures.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn the_published_example_is_signed_as_published() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let keys = Keys::of(&secret, 16).unwrap();
        let signed = keys.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(Keys::of(&Secret::new("too short"), 16).is_none());
        assert!(Keys::of(&Secret::new("whsec_###not base64###"), 1).is_none());
    }
}
