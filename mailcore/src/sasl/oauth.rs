//! OAUTHBEARER (RFC 7628) and XOAUTH2, which Google and Microsoft spoke before
//! it: an access token in one response.

use super::SaslError;
use super::exchange::{Move, Run};
use super::prepare::login_name;
use crate::account::Secret;
use crate::seams::{AuthError, Proof};

/// Octets allowed in a token.
const MAX_TOKEN: usize = 8_192;

/// Ends each key and value.
const SEPARATOR: u8 = 0x01;

/// Waits for the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Oauth {
    Bearer,
    Xoauth2,
}

impl Run for Oauth {
    fn respond(&mut self, response: &[u8]) -> Result<Move, SaslError> {
        let (login, pairs) = match self {
            Self::Bearer => {
                let (header, pairs) = split(response)?;
                (claimed(header)?, pairs)
            }
            Self::Xoauth2 => {
                let (user, pairs) = split(response)?;
                let user = user.strip_prefix(b"user=").ok_or(SaslError::Malformed)?;
                (login_name(user)?, pairs)
            }
        };
        Ok(Move::Proof(login, Proof::Bearer(token(pairs)?)))
    }

    /// RFC 7628 section 3.2.2. Nothing about the token is told that its owner
    /// does not know; whoever can't be checked now is not told that it is
    /// invalid.
    fn refusal(&self, error: &AuthError) -> Option<Vec<u8>> {
        if !matches!(error, AuthError::Invalid | AuthError::Disabled) {
            return None;
        }
        let status = match self {
            Self::Bearer => "invalid_token",
            Self::Xoauth2 => "401",
        };
        Some(format!(r#"{{"status":"{status}","schemes":"bearer"}}"#).into_bytes())
    }
}

fn split(octets: &[u8]) -> Result<(&[u8], &[u8]), SaslError> {
    let at = octets.iter().position(|&octet| octet == SEPARATOR);
    let (head, rest) = octets
        .split_at_checked(at.ok_or(SaslError::Malformed)?)
        .ok_or(SaslError::Malformed)?;
    Ok((head, rest.get(1..).unwrap_or_default()))
}

/// The name in the GS2 header (RFC 5801 section 4), empty when the token alone
/// is to say who it is:
///
/// ```text
/// gs2-header = ("n" / "y") "," ["a=" saslname] ","
/// ```
fn claimed(header: &[u8]) -> Result<String, SaslError> {
    let name = header
        .strip_prefix(b"n,")
        .or_else(|| header.strip_prefix(b"y,"))
        .and_then(|rest| rest.strip_suffix(b","))
        .ok_or(SaslError::Malformed)?;
    if name.is_empty() {
        return Ok(String::new());
    }
    let name = name.strip_prefix(b"a=").ok_or(SaslError::Malformed)?;
    login_name(&unescape(name)?)
}

/// A `saslname` (RFC 5801 section 4): `=2C` and `=3D` stand for `,` and `=`.
pub(super) fn unescape(name: &[u8]) -> Result<Vec<u8>, SaslError> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, tail)) = rest.split_first() {
        let (octet, tail) = match (first, tail) {
            (b'=', [b'2', b'C', tail @ ..]) => (b',', tail),
            (b'=', [b'3', b'D', tail @ ..]) => (b'=', tail),
            (b'=' | b',', _) => return Err(SaslError::Malformed),
            (other, tail) => (other, tail),
        };
        plain.push(octet);
        rest = tail;
    }
    Ok(plain)
}

/// The token among the pairs, which end with an empty one.
fn token(pairs: &[u8]) -> Result<Secret, SaslError> {
    let pairs = pairs
        .strip_suffix(&[SEPARATOR, SEPARATOR])
        .ok_or(SaslError::Malformed)?;
    let mut tokens = pairs
        .split(|&octet| octet == SEPARATOR)
        .filter_map(|pair| pair.strip_prefix(b"auth="));
    let (Some(auth), None) = (tokens.next(), tokens.next()) else {
        return Err(SaslError::Malformed);
    };
    // The scheme's name is of any case (RFC 9110 section 11.1).
    let (scheme, token) = auth.split_at_checked(7).ok_or(SaslError::Malformed)?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return Err(SaslError::Malformed);
    }
    if token.len() > MAX_TOKEN {
        return Err(SaslError::TooLong);
    }
    // b64token (RFC 6750 section 2.1).
    let allowed = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(octet);
    if token.is_empty() || !token.iter().all(allowed) {
        return Err(SaslError::Malformed);
    }
    Ok(Secret::new(token))
}

#[cfg(test)]
mod tests {
    use super::super::{Inquiry, Mechanism, Progress, tests::exchange};
    use super::*;
    use crate::seams::AuthRequest;

    fn shown(mut run: Oauth, response: &[u8]) -> Result<(String, String), SaslError> {
        match run.respond(response)? {
            Move::Proof(login, Proof::Bearer(token)) => {
                Ok((login, String::from_utf8(token.expose().to_vec()).unwrap()))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rfc7628_examples() {
        let response = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01\
            auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        assert_eq!(
            shown(Oauth::Bearer, response).unwrap(),
            (
                "user@example.com".to_owned(),
                "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==".to_owned()
            )
        );
        let nameless = b"n,,\x01auth=bearer vF9\x01\x01";
        let (login, token) = shown(Oauth::Bearer, nameless).unwrap();
        assert_eq!((login.as_str(), token.as_str()), ("", "vF9"));
        let escaped = b"y,a=o=3D=2Cx,\x01auth=Bearer vF9\x01\x01";
        assert_eq!(shown(Oauth::Bearer, escaped).unwrap().0, "o=,x");
    }

    #[test]
    fn xoauth2_names_its_user_first() {
        let response = b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2\x01\x01";
        assert_eq!(
            shown(Oauth::Xoauth2, response).unwrap(),
            (
                "someuser@example.com".to_owned(),
                "ya29.vF9dft4qmTc2".to_owned()
            )
        );
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        for bad in [
            &b""[..],
            b"n,a=u,",
            b"n,a=u,\x01",
            b"n,a=u,\x01\x01",
            b"n,a=u,\x01auth=Bearer t\x01",
            b"n,a=u\x01auth=Bearer t\x01\x01",
            b"n,u,\x01auth=Bearer t\x01\x01",
            b"p=tls-unique,a=u,\x01auth=Bearer t\x01\x01",
            b"n,a=u=2c,\x01auth=Bearer t\x01\x01",
            b"n,a=u,\x01auth=Basic dTpw\x01\x01",
            b"n,a=u,\x01auth=Bearer \x01\x01",
            b"n,a=u,\x01auth=Bearer a b\x01\x01",
            b"n,a=u,\x01auth=Bearer t\x01auth=Bearer s\x01\x01",
        ] {
            assert!(shown(Oauth::Bearer, bad).is_err(), "{bad:?}");
        }
        for bad in [
            &b"auth=Bearer t\x01\x01"[..],
            b"user=\x01auth=Bearer t\x01\x01",
            b"user=u\x01auth=Bearer t",
        ] {
            assert!(shown(Oauth::Xoauth2, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bad_token_is_explained_before_the_exchange_fails() {
        for (mechanism, response, status) in [
            (
                Mechanism::OauthBearer,
                &b"n,,\x01auth=Bearer t\x01\x01"[..],
                "invalid_token",
            ),
            (
                Mechanism::Xoauth2,
                b"user=u\x01auth=Bearer t\x01\x01",
                "401",
            ),
        ] {
            let mut exchange = exchange(mechanism);
            let progress = exchange.start(Some(response));
            assert!(matches!(
                progress,
                Progress::Ask(Inquiry::Authenticate(AuthRequest {
                    proof: Proof::Bearer(_),
                    ..
                }))
            ));
            match exchange.answer(Err(AuthError::Invalid)) {
                Progress::Challenge(text) => {
                    assert!(String::from_utf8(text).unwrap().contains(status));
                }
                other => panic!("{other:?}"),
            }
            assert!(matches!(
                exchange.step(b"\x01"),
                Progress::Failed(SaslError::Refused(AuthError::Invalid))
            ));
            assert!(matches!(
                exchange.step(response),
                Progress::Failed(SaslError::Finished)
            ));
        }
    }

    #[test]
    fn what_can_not_be_checked_now_is_not_called_invalid() {
        let mut exchange = exchange(Mechanism::Xoauth2);
        exchange.start(Some(b"user=u\x01auth=Bearer t\x01\x01"));
        assert!(matches!(
            exchange.answer(Err(AuthError::Unavailable("later".into()))),
            Progress::Failed(SaslError::Refused(AuthError::Unavailable(_)))
        ));
    }
}
