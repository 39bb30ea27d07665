//! APOP (RFC 1939 section 7): no SASL mechanism, and the same idea as
//! CRAM-MD5's.

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

use super::SaslError;
use super::cram_md5::{challenge, hexadecimal, proved};
use super::exchange::{Exchange, Move, Progress, Run};
use super::offer::Surroundings;
use super::prepare::login_name;
use crate::seams::{CredentialKind, Credentials, Entropy, Verified};

/// The timestamp of one session's greeting, and the check of what clients
/// make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apop {
    timestamp: String,
}

impl Apop {
    /// A timestamp that nobody was ever given before.
    pub fn new(entropy: &dyn Entropy, host: &str) -> Self {
        Self {
            timestamp: challenge(entropy, host),
        }
    }

    /// What the greeting shows, angle brackets included.
    pub fn timestamp(&self) -> &str {
        &self.timestamp
    }

    /// Checks what the command says: an exchange in which there is nothing more
    /// for the client to do.
    pub fn begin(&self, login: &str, digest: &str, on: Surroundings<'_>) -> (Exchange, Progress) {
        let check = Check {
            timestamp: self.timestamp.clone(),
            digest: digest.as_bytes().to_vec(),
        };
        let mut exchange = Exchange::new(Box::new(check), on.peer, on.protocol);
        let progress = exchange.step(login.as_bytes());
        (exchange, progress)
    }
}

#[derive(Debug)]
struct Check {
    timestamp: String,
    digest: Vec<u8>,
}

impl Run for Check {
    fn respond(&mut self, login: &[u8]) -> Result<Move, SaslError> {
        // RFC 1939 section 7: 32 digits, in lower case.
        let is_digit = |octet: &u8| octet.is_ascii_digit() || (b'a'..=b'f').contains(octet);
        if self.digest.len() != 32 || !self.digest.iter().all(is_digit) {
            return Err(SaslError::Malformed);
        }
        Ok(Move::Need(login_name(login)?, CredentialKind::Apop))
    }

    fn supply(&mut self, credentials: &Credentials) -> Result<Move, SaslError> {
        let Credentials::Passwords(all) = credentials else {
            return Err(SaslError::Finished);
        };
        let label = proved(all, |password| {
            let expected = Md5::new()
                .chain_update(&self.timestamp)
                .chain_update(password.expose())
                .finalize();
            bool::from(hexadecimal(&expected).as_bytes().ct_eq(&self.digest))
        });
        Ok(match label {
            Some(label) => Move::Verified(Verified::new(CredentialKind::Apop, label)),
            None => Move::Disproved(CredentialKind::Apop),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Finding, Inquiry, offer::Privacy};
    use super::*;
    use crate::account::Secret;
    use crate::seams::{AuthRequest, Labelled, OsEntropy, Proof};

    const ON: Surroundings<'_> = Surroundings {
        peer: None,
        protocol: "pop3",
        tls: None,
        privacy: Privacy::Exposed,
    };

    fn answered(digest: &str) -> Progress {
        let apop = Apop {
            timestamp: "<1896.697170952@dbc.mtview.ca.us>".to_owned(),
        };
        let (mut exchange, progress) = apop.begin("mrose", digest, ON);
        match progress {
            Progress::Ask(Inquiry::Credentials(request)) => {
                assert_eq!(request.login, "mrose");
                assert_eq!(request.kind, CredentialKind::Apop);
            }
            other => return other,
        }
        let secret = Labelled::only(Secret::new(b"tanstaaf"));
        exchange.answer(Ok(Finding::Credentials(Credentials::Passwords(vec![
            secret,
        ]))))
    }

    #[test]
    fn rfc1939_example() {
        let right = answered("c4c9334bac560ecc979e58001b3e22fb");
        assert!(matches!(
            right,
            Progress::Ask(Inquiry::Authenticate(AuthRequest {
                proof: Proof::Verified(_),
                ..
            }))
        ));
        let wrong = answered("c4c9334bac560ecc979e58001b3e22fc");
        assert!(matches!(wrong, Progress::Ask(Inquiry::Disproved(_))));
        for bad in ["", "c4c9", "C4C9334BAC560ECC979E58001B3E22FB"] {
            assert!(matches!(
                answered(bad),
                Progress::Failed(SaslError::Malformed)
            ));
        }
    }

    #[test]
    fn no_two_greetings_are_the_same() {
        let new = || Apop::new(&OsEntropy, "pop.test");
        assert_ne!(new(), new());
        assert!(new().timestamp().starts_with('<') && new().timestamp().ends_with("@pop.test>"));
    }
}
