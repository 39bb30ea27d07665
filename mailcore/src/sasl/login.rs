//! LOGIN: the name in one response, the password in the next.
//!
//! No RFC describes it (draft-murchison-sasl-login-00 came closest). Clients
//! ignore the challenges' wording or expect exactly these words.

use super::{Claim, Progress, SaslError, login_name, password};

/// What the client has said so far.
#[derive(Debug, Default)]
pub(super) struct Login {
    name: Option<String>,
}

impl Login {
    /// What the server asks for now.
    pub(super) fn challenge(&self) -> Vec<u8> {
        match self.name {
            None => b"Username:".to_vec(),
            Some(_) => b"Password:".to_vec(),
        }
    }

    /// Takes the name, which some clients send with their command, or the
    /// password.
    pub(super) fn step(&mut self, response: &[u8]) -> Result<Progress, SaslError> {
        match self.name.take() {
            Some(login) => Ok(Progress::Proof(Claim {
                login,
                proof: password(response)?,
            })),
            None => {
                self.name = Some(login_name(response)?);
                Ok(Progress::Challenge(self.challenge()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Exchange, Mechanism};
    use super::*;
    use crate::seams::Proof;

    fn challenge(progress: Progress) -> String {
        match progress {
            Progress::Challenge(text) => String::from_utf8(text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn asks_for_name_then_password() {
        for initial in [None, Some(b"ann".as_slice())] {
            let mut exchange = Exchange::new(Mechanism::Login);
            let mut text = challenge(exchange.start(initial));
            if initial.is_none() {
                assert_eq!(text, "Username:");
                text = challenge(exchange.step(b"ann"));
            }
            assert_eq!(text, "Password:");
            let Progress::Proof(Claim {
                login,
                proof: Proof::Password(secret),
            }) = exchange.step(b"secret")
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
        let mut exchange = Exchange::new(Mechanism::Login);
        assert!(matches!(
            exchange.step(b""),
            Progress::Failed(SaslError::Malformed)
        ));
        let mut exchange = Exchange::new(Mechanism::Login);
        exchange.step(b"ann");
        assert!(matches!(
            exchange.step(b""),
            Progress::Failed(SaslError::Malformed)
        ));
    }
}
