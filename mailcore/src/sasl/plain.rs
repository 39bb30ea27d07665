//! PLAIN (RFC 4616): name and password in one response.

use super::SaslError;
use super::exchange::{Move, Run};
use super::prepare::{login_name, password};

/// Waits for `[authzid] NUL authcid NUL passwd`.
#[derive(Debug)]
pub(super) struct Plain;

impl Run for Plain {
    /// An authorization identity is taken only when it is the authentication
    /// identity: nobody acts as somebody else here.
    fn respond(&mut self, response: &[u8]) -> Result<Move, SaslError> {
        let mut fields = response.splitn(3, |&octet| octet == 0);
        let (Some(authorization), Some(authentication), Some(secret)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Err(SaslError::Malformed);
        };
        let login = login_name(authentication)?;
        let proof = password(secret)?;
        if !authorization.is_empty() && authorization != authentication {
            return Err(SaslError::Authorization);
        }
        Ok(Move::Proof(login, proof))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mechanism, Progress, tests::exchange};
    use super::*;
    use crate::seams::Proof;

    fn shown(response: &[u8]) -> Result<(String, Vec<u8>), SaslError> {
        match Plain.respond(response)? {
            Move::Proof(login, Proof::Password(secret)) => Ok((login, secret.expose().to_vec())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rfc4616_examples() {
        let proof = ("tim".to_owned(), b"tanstaaftanstaaf".to_vec());
        assert_eq!(shown(b"\0tim\0tanstaaftanstaaf").unwrap(), proof);
        assert_eq!(shown(b"tim\0tim\0tanstaaftanstaaf").unwrap(), proof);
        assert!(matches!(
            shown(b"Ursel\0Kurt\0xipj3plmq"),
            Err(SaslError::Authorization)
        ));
    }

    #[test]
    fn rules_about_nul_and_length() {
        for malformed in [
            &b""[..],
            b"tim",
            b"tim\0pass",
            b"\0\0pass",
            b"\0tim\0",
            b"\0tim\0pa\0ss",
            b"\0t\nim\0pass",
            b"\0\xff\0pass",
        ] {
            assert!(
                matches!(shown(malformed), Err(SaslError::Malformed)),
                "{malformed:?}"
            );
        }
        assert!(matches!(
            shown(&[b"\0u\0", "p".repeat(1_025).as_bytes()].concat()),
            Err(SaslError::TooLong)
        ));
        assert!(shown("\0дмитрий\0пароль".as_bytes()).is_ok());
    }

    #[test]
    fn without_initial_response_the_challenge_is_empty() {
        let mut exchange = exchange(Mechanism::Plain);
        assert!(matches!(exchange.start(None), Progress::Challenge(text) if text.is_empty()));
        assert!(matches!(exchange.step(b"\0u\0p"), Progress::Ask(_)));
    }
}
