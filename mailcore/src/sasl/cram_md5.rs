//! CRAM-MD5 (RFC 2195): a challenge, and its keyed digest.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

use super::SaslError;
use super::exchange::{Move, Run};
use super::prepare::login_name;
use crate::account::Secret;
use crate::seams::{CramMd5Key, CredentialKind, Credentials, Entropy, Labelled, Verified};

/// Octets of a block of MD5.
const BLOCK: usize = 64;

/// One exchange.
#[derive(Debug)]
pub(super) struct CramMd5 {
    challenge: Vec<u8>,
    /// The digest that the client sent, in hexadecimal digits.
    digest: Option<Vec<u8>>,
}

impl CramMd5 {
    pub(super) fn new(entropy: &dyn Entropy, host: &str) -> Self {
        Self {
            challenge: challenge(entropy, host).into_bytes(),
            digest: None,
        }
    }
}

/// What nobody was ever asked before, in the form of a Message-ID (RFC 2195
/// section 2, RFC 1939 section 7).
pub(super) fn challenge(entropy: &dyn Entropy, host: &str) -> String {
    let mut random = [0; 16];
    entropy.fill(&mut random);
    format!("<{}@{host}>", hexadecimal(&random))
}

pub(super) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

impl Run for CramMd5 {
    fn first_challenge(&mut self) -> Vec<u8> {
        self.challenge.clone()
    }

    fn server_speaks_first(&self) -> bool {
        true
    }

    /// Takes the name, a space and the digest.
    fn respond(&mut self, response: &[u8]) -> Result<Move, SaslError> {
        if self.digest.is_some() {
            return Err(SaslError::Finished);
        }
        let space = response.iter().rposition(|&octet| octet == b' ');
        let (login, digest) = space
            .and_then(|space| response.split_at_checked(space))
            .ok_or(SaslError::Malformed)?;
        let digest = digest.get(1..).unwrap_or_default();
        if digest.len() != 32 || !digest.iter().all(u8::is_ascii_hexdigit) {
            return Err(SaslError::Malformed);
        }
        let login = login_name(login)?;
        self.digest = Some(digest.to_ascii_lowercase());
        Ok(Move::Need(login, CredentialKind::CramMd5))
    }

    fn supply(&mut self, credentials: &Credentials) -> Result<Move, SaslError> {
        let digest = self.digest.as_ref().ok_or(SaslError::Finished)?;
        let is_right = |expected: &str| bool::from(expected.as_bytes().ct_eq(digest));
        let label = match credentials {
            Credentials::Passwords(all) => proved(all, |password| {
                is_right(&keyed_digest(password.expose(), &self.challenge))
            }),
            Credentials::CramMd5(all) => proved(all, |key| {
                key.digest(&self.challenge).is_some_and(|it| is_right(&it))
            }),
            _ => return Err(SaslError::Finished),
        };
        Ok(match label {
            Some(label) => Move::Verified(Verified::new(CredentialKind::CramMd5, label)),
            None => Move::Disproved(CredentialKind::CramMd5),
        })
    }
}

/// The label of the one that is right. All are tried, so that the time does not
/// tell which one it was.
pub(super) fn proved<T>(
    all: &[Labelled<T>],
    is_right: impl Fn(&T) -> bool,
) -> Option<Option<std::sync::Arc<str>>> {
    all.iter()
        .filter(|one| is_right(&one.value))
        .map(|one| one.label.clone())
        .last()
}

/// HMAC-MD5 in hexadecimal digits.
fn keyed_digest(password: &[u8], challenge: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(password) else {
        return String::new();
    };
    mac.update(challenge);
    hexadecimal(&mac.finalize().into_bytes())
}

impl CramMd5Key {
    /// The key of a password.
    pub fn derive(password: &[u8]) -> Self {
        // RFC 2104 section 2.
        let mut key = match password.len() {
            0..=BLOCK => password.to_vec(),
            _ => Md5::digest(password).to_vec(),
        };
        key.resize(BLOCK, 0);
        let state = |pad: u8| {
            let block: Vec<u8> = key.iter().map(|octet| octet ^ pad).collect();
            let mut state = INITIAL;
            compress(&mut state, &block);
            Secret::new(octets(state))
        };
        Self {
            inner: state(0x36),
            outer: state(0x5c),
        }
    }

    /// HMAC-MD5 in hexadecimal digits; none for a key that is none.
    fn digest(&self, challenge: &[u8]) -> Option<String> {
        let inner = finish(words(self.inner.expose())?, challenge);
        Some(hexadecimal(&finish(words(self.outer.expose())?, &inner)))
    }
}

/// MD5's state before anything was read (RFC 1321 section 3.3).
const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

fn compress(state: &mut [u32; 4], octets: &[u8]) {
    for block in octets.as_chunks::<BLOCK>().0 {
        md5::block_api::compress(state, std::slice::from_ref(block));
    }
}

fn octets(state: [u32; 4]) -> Vec<u8> {
    state.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn words(octets: &[u8]) -> Option<[u32; 4]> {
    let (words, []) = octets.as_chunks::<4>() else {
        return None;
    };
    let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    words.try_into().ok()
}

/// The digest of a message of which the first block is in `state` already (RFC
/// 1321 section 3.1: padded, its length in bits at the end).
fn finish(mut state: [u32; 4], rest: &[u8]) -> Vec<u8> {
    let bits = (BLOCK as u64)
        .saturating_add(rest.len() as u64)
        .saturating_mul(8);
    let mut padded = rest.to_vec();
    padded.push(0x80);
    while padded.len() % BLOCK != BLOCK - 8 {
        padded.push(0);
    }
    padded.extend_from_slice(&bits.to_le_bytes());
    compress(&mut state, &padded);
    octets(state)
}

/// The client's side.
#[derive(Debug)]
pub(super) struct Client {
    login: String,
    password: Secret,
}

impl Client {
    pub(super) fn new(login: &str, password: &Secret) -> Self {
        Self {
            login: login.to_owned(),
            password: password.clone(),
        }
    }

    pub(super) fn respond(self, challenge: &[u8]) -> Vec<u8> {
        let digest = keyed_digest(self.password.expose(), challenge);
        format!("{} {digest}", self.login).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 2195 section 2.
    const CHALLENGE: &[u8] = b"<1896.697170952@postoffice.reston.mci.net>";
    const RESPONSE: &[u8] = b"tim b913a602c7eda7a495b4e6e7334d3890";

    fn checked(response: &[u8], credentials: &Credentials) -> Move {
        let mut run = CramMd5 {
            challenge: CHALLENGE.to_vec(),
            digest: None,
        };
        assert_eq!(run.first_challenge(), CHALLENGE);
        match run.respond(response) {
            Ok(Move::Need(login, CredentialKind::CramMd5)) => assert_eq!(login, "tim"),
            other => panic!("{other:?}"),
        }
        run.supply(credentials).unwrap()
    }

    #[test]
    fn rfc2195_example() {
        let password = Secret::new(b"tanstaaftanstaaf");
        assert_eq!(Client::new("tim", &password).respond(CHALLENGE), RESPONSE);
        let other = Labelled {
            label: Some("phone".into()),
            value: Secret::new(b"other"),
        };
        let all = vec![Labelled::only(password), other.clone()];
        let key = CramMd5Key::derive(b"tanstaaftanstaaf");
        for credentials in [
            Credentials::Passwords(all),
            Credentials::CramMd5(vec![Labelled::only(key)]),
        ] {
            assert!(matches!(checked(RESPONSE, &credentials), Move::Verified(_)));
        }
        let wrong = Credentials::Passwords(vec![other]);
        assert!(matches!(checked(RESPONSE, &wrong), Move::Disproved(_)));
        let none = Credentials::Passwords(Vec::new());
        assert!(matches!(checked(RESPONSE, &none), Move::Disproved(_)));
    }

    #[test]
    fn a_name_may_hold_spaces_and_a_digest_is_32_digits() {
        let mut run = CramMd5 {
            challenge: CHALLENGE.to_vec(),
            digest: None,
        };
        let response = [b"a b ".as_slice(), &[b'0'; 32]].concat();
        assert!(matches!(run.respond(&response), Ok(Move::Need(login, _)) if login == "a b"));
        for bad in [
            &b""[..],
            b"tim",
            b"tim ",
            b"tim b913",
            b" b913a602c7eda7a495b4e6e7334d3890",
        ] {
            let mut run = CramMd5 {
                challenge: CHALLENGE.to_vec(),
                digest: None,
            };
            assert!(run.respond(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_initial_response_answers_nothing() {
        use super::super::{Mechanism, Progress, tests::exchange};
        let mut exchange = exchange(Mechanism::CramMd5);
        assert!(matches!(
            exchange.start(Some(RESPONSE)),
            Progress::Failed(_)
        ));
    }

    proptest! {
        #[test]
        fn kept_keys_digest_as_passwords_do(password: Vec<u8>, challenge: Vec<u8>) {
            prop_assert_eq!(
                CramMd5Key::derive(&password).digest(&challenge),
                Some(keyed_digest(&password, &challenge))
            );
        }
    }
}
