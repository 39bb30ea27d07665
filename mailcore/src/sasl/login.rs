//! LOGIN: the name in one response, the password in the next.
//!
//! No RFC describes it (draft-murchison-sasl-login-00 came closest). Clients
//! ignore the challenges' wording or expect exactly these words.

use super::SaslError;
use super::exchange::{Move, Run};
use super::prepare::{login_name, password};

/// What the client has said so far.
#[derive(Debug, Default)]
pub(super) struct Login {
    name: Option<String>,
}

impl Run for Login {
    fn first_challenge(&mut self) -> Vec<u8> {
        b"Username:".to_vec()
    }

    /// Takes the name, which some clients send with their command, or the
    /// password.
    fn respond(&mut self, response: &[u8]) -> Result<Move, SaslError> {
        match self.name.take() {
            Some(login) => Ok(Move::Proof(login, password(response)?)),
            None => {
                self.name = Some(login_name(response)?);
                Ok(Move::Challenge(b"Password:".to_vec()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Inquiry, Mechanism, Progress, SaslError, tests::exchange};
    use crate::seams::{AuthRequest, Proof};

    fn challenge(progress: Progress) -> String {
        match progress {
            Progress::Challenge(text) => String::from_utf8(text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn asks_for_name_then_password() {
        for initial in [None, Some(b"ann".as_slice())] {
            let mut exchange = exchange(Mechanism::Login);
            let mut text = challenge(exchange.start(initial));
            if initial.is_none() {
                assert_eq!(text, "Username:");
                text = challenge(exchange.step(b"ann"));
            }
            assert_eq!(text, "Password:");
            let Progress::Ask(Inquiry::Authenticate(AuthRequest {
                login,
                proof: Proof::Password(secret),
                ..
            })) = exchange.step(b"secret")
            else {
                panic!("no proof");
            };
            assert_eq!(
                (login.as_str(), secret.expose()),
                ("ann", b"secret".as_slice())
            );
        }
    }

    #[test]
    fn empty_answers_fail() {
        let mut first = exchange(Mechanism::Login);
        assert!(matches!(
            first.step(b""),
            Progress::Failed(SaslError::Malformed)
        ));
        let mut second = exchange(Mechanism::Login);
        second.step(b"ann");
        assert!(matches!(
            second.step(b""),
            Progress::Failed(SaslError::Malformed)
        ));
    }
}
