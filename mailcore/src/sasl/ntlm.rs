//! NTLM (MS-NLMP), what Outlook's secure password authentication speaks: three
//! messages, of which the last holds a keyed digest.
//!
//! Version 2 alone: what version 1 and LM send can be turned back into the
//! password in hours. No session key is agreed upon, nothing is signed.

mod messages;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md4::{Digest as _, Md4};
use md5::Md5;
use subtle::ConstantTimeEq as _;

use self::messages::{Authenticate, Negotiate, challenge};
use super::SaslError;
use super::cram_md5::proved;
use super::exchange::{Move, Run};
use crate::account::Secret;
use crate::seams::{CredentialKind, Credentials, Entropy, Verified};

/// Octets of the server's challenge.
const CHALLENGE: usize = 8;

/// The hash that NTLM keeps of a password (MS-NLMP section 3.3.1, `NTOWFv1`),
/// for [`Credentials::NtHashes`]. None for a password that is no text: UTF-16
/// has no form of it.
pub fn nt_hash(password: &[u8]) -> Option<Secret> {
    let text = std::str::from_utf8(password).ok()?;
    let wide = Secret::new(utf16(text));
    Some(Secret::new(Md4::digest(wide.expose()).to_vec()))
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Ntlm {
    challenge: [u8; CHALLENGE],
    host: String,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// For NEGOTIATE_MESSAGE.
    #[default]
    Negotiate,
    /// For AUTHENTICATE_MESSAGE.
    Authenticate,
    /// For the hashes of the user it names.
    Hashes(Authenticate),
}

impl Ntlm {
    pub(super) fn new(entropy: &dyn Entropy, host: &str) -> Self {
        let mut challenge = [0; CHALLENGE];
        entropy.fill(&mut challenge);
        Self {
            challenge,
            host: host.to_owned(),
            state: State::default(),
        }
    }
}

impl Run for Ntlm {
    fn respond(&mut self, response: &[u8]) -> Result<Move, SaslError> {
        match std::mem::take(&mut self.state) {
            State::Negotiate => {
                let negotiate = Negotiate::parse(response).ok_or(SaslError::Malformed)?;
                self.state = State::Authenticate;
                Ok(Move::Challenge(challenge(
                    &negotiate,
                    self.challenge,
                    &self.host,
                )))
            }
            State::Authenticate => {
                let message = Authenticate::parse(response).ok_or(SaslError::Malformed)?;
                let login = super::prepare::login_name(message.user.as_bytes())?;
                self.state = State::Hashes(message);
                Ok(Move::Need(login, CredentialKind::Ntlm))
            }
            State::Hashes(_) => Err(SaslError::Finished),
        }
    }

    fn supply(&mut self, credentials: &Credentials) -> Result<Move, SaslError> {
        let (State::Hashes(message), Credentials::NtHashes(all)) =
            (std::mem::take(&mut self.state), credentials)
        else {
            return Err(SaslError::Finished);
        };
        let label = proved(all, |hash| {
            let expected = message.proof(hash.expose(), &self.challenge);
            bool::from(expected.ct_eq(&message.proof))
        });
        Ok(match label {
            Some(label) => Move::Verified(Verified::new(CredentialKind::Ntlm, label)),
            None => Move::Disproved(CredentialKind::Ntlm),
        })
    }
}

impl Authenticate {
    /// `NTProofStr` (MS-NLMP section 3.3.2).
    fn proof(&self, hash: &[u8], challenge: &[u8]) -> Vec<u8> {
        let name = format!("{}{}", upper(&self.user), self.domain);
        let key = keyed(hash, &[&utf16(&name)]);
        keyed(&key, &[challenge, &self.blob])
    }
}

/// Upper case as Windows does it: one character for each.
fn upper(text: &str) -> String {
    text.chars()
        .map(|c| {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(upper), None) => upper,
                _ => c,
            }
        })
        .collect()
}

/// HMAC-MD5.
fn keyed(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(key) else {
        return Vec::new();
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests;
