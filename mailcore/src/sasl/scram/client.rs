//! The client's side of SCRAM.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use super::keys::prepared;
use super::{MIN_ITERATIONS, NONCE, ScramHash, attribute, xor};
use crate::account::Secret;
use crate::sasl::client::ClientError;
use crate::seams::Entropy;
use crate::wire::ChannelBindings;

/// Rounds of hashing that a server may ask for: about a second of work.
const MAX_ITERATIONS: u32 = 1_000_000;
/// Octets of the salt.
const MAX_SALT: usize = 1_024;

/// How the client ties its proof to TLS.
#[derive(Debug)]
pub(in crate::sasl) enum ClientBinding {
    /// The server offers a `-PLUS` mechanism, and there is something to tie it
    /// to.
    Bound(ChannelBindings),
    /// The client could, and the server does not offer it.
    NotOffered,
    /// The client can't.
    Unable,
}

/// One exchange.
#[derive(Debug)]
pub(in crate::sasl) struct Client {
    hash: ScramHash,
    password: Secret,
    /// What `c=` holds: the GS2 header and the binding's data.
    bound: Vec<u8>,
    header: String,
    /// `client-first-message-bare`.
    bare: String,
    nonce: String,
    state: State,
}

#[derive(Debug)]
enum State {
    First,
    Challenged,
    /// The server's proof, as it must be.
    Proved(Vec<u8>),
    Done,
}

impl Client {
    pub(in crate::sasl) fn new(
        hash: ScramHash,
        (login, password): (&str, &Secret),
        binding: &ClientBinding,
        entropy: &dyn Entropy,
    ) -> Self {
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce);
        let (header, data) = match binding {
            ClientBinding::Bound(bindings) => match &bindings.exporter {
                Some(data) => ("p=tls-exporter,,", Some(data)),
                None => (
                    "p=tls-server-end-point,,",
                    bindings.server_end_point.as_ref(),
                ),
            },
            ClientBinding::NotOffered => ("y,,", None),
            ClientBinding::Unable => ("n,,", None),
        };
        let data = data.map_or(&b""[..], Secret::expose);
        let name = prepared(login.as_bytes());
        let name = String::from_utf8_lossy(&name);
        let name = name.replace('=', "=3D").replace(',', "=2C");
        let nonce = STANDARD.encode(nonce);
        Self {
            hash,
            password: password.clone(),
            bound: [header.as_bytes(), data].concat(),
            header: header.to_owned(),
            bare: format!("n={name},r={nonce}"),
            nonce,
            state: State::First,
        }
    }

    /// The response to this challenge.
    pub(in crate::sasl) fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, ClientError> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::First => {
                self.state = State::Challenged;
                Ok(format!("{}{}", self.header, self.bare).into_bytes())
            }
            State::Challenged => self.prove(challenge),
            State::Proved(signature) => {
                let shown = challenge.strip_prefix(b"v=").unwrap_or_default();
                match STANDARD.decode(shown) {
                    Ok(shown) if bool::from(shown.ct_eq(&signature)) => Ok(Vec::new()),
                    _ => Err(ClientError::ServerUnproved),
                }
            }
            State::Done => Err(ClientError::Malformed),
        }
    }

    /// True when the server has proved that it knows the client's keys.
    pub(in crate::sasl) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// ```text
    /// server-first-message = [reserved-mext ","] nonce "," salt ","
    ///     iteration-count ["," extensions]
    /// ```
    fn prove(&mut self, server_first: &[u8]) -> Result<Vec<u8>, ClientError> {
        let mut fields = server_first.split(|&octet| octet == b',');
        let nonce = attribute(fields.next(), b'r').ok_or(ClientError::Malformed)?;
        let salt = attribute(fields.next(), b's').ok_or(ClientError::Malformed)?;
        let iterations = attribute(fields.next(), b'i').ok_or(ClientError::Malformed)?;
        let is_ours = nonce.len() > self.nonce.len() && nonce.starts_with(self.nonce.as_bytes());
        let salt = STANDARD.decode(salt).map_err(|_| ClientError::Malformed)?;
        if !is_ours || salt.is_empty() || salt.len() > MAX_SALT {
            return Err(ClientError::Malformed);
        }
        let iterations: u32 = std::str::from_utf8(iterations)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(ClientError::Malformed)?;
        // Few rounds would make a guess at the password cheap for a server that
        // is not the one it says, many would keep this process busy.
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
            return Err(ClientError::Iterations(iterations));
        }
        let password = prepared(self.password.expose());
        let salted = Secret::new(self.hash.stretch(&password, &salt, iterations).to_vec());
        let mut key = self.hash.hmac(salted.expose(), &[b"Client Key"]);
        let stored = self.hash.digest(&key);
        let unproved = [
            b"c=",
            STANDARD.encode(&self.bound).as_bytes(),
            b",r=",
            nonce,
        ]
        .concat();
        let message: [&[u8]; 5] = [self.bare.as_bytes(), b",", server_first, b",", &unproved];
        xor(&mut key, &self.hash.hmac(&stored, &message));
        let server_key = self.hash.hmac(salted.expose(), &[b"Server Key"]);
        self.state = State::Proved(self.hash.hmac(&server_key, &message));
        Ok([
            &unproved,
            b",p=".as_slice(),
            STANDARD.encode(key).as_bytes(),
        ]
        .concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(hash: ScramHash, nonce: &str) -> Client {
        let password = Secret::new(b"pencil");
        let binding = ClientBinding::Unable;
        let entropy = crate::seams::OsEntropy;
        let mut client = Client::new(hash, ("user", &password), &binding, &entropy);
        client.bare = format!("n=user,r={nonce}");
        client.nonce = nonce.to_owned();
        client
    }

    fn said(client: &mut Client, challenge: &str) -> String {
        String::from_utf8(client.respond(challenge.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn rfc5802_example() {
        let mut client = client(ScramHash::Sha1, "fyko+d2lbbFgONRv9qkxdawL");
        assert_eq!(
            said(&mut client, ""),
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
        );
        assert_eq!(
            said(
                &mut client,
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
            ),
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
             p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
        );
        assert!(!client.is_done());
        assert_eq!(said(&mut client, "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="), "");
        assert!(client.is_done());
    }

    #[test]
    fn rfc7677_example() {
        let mut client = client(ScramHash::Sha256, "rOprNGfwEbeRWgbNEkqO");
        said(&mut client, "");
        assert_eq!(
            said(
                &mut client,
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                 s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
            ),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let good = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(said(&mut client, good), "");
    }

    #[test]
    fn a_server_that_does_not_prove_itself_is_not_believed() {
        for last in ["", "v=", "v=AAAA", "e=invalid-proof"] {
            let mut client = client(ScramHash::Sha256, "abc");
            said(&mut client, "");
            said(&mut client, "r=abcd,s=c2FsdA==,i=4096");
            assert!(client.respond(last.as_bytes()).is_err(), "{last}");
        }
    }

    #[test]
    fn a_hostile_challenge_is_refused() {
        for first in [
            "",
            "r=abc,s=c2FsdA==,i=4096",
            "r=xyzabc,s=c2FsdA==,i=4096",
            "r=abcd,s=,i=4096",
            "r=abcd,s=c2FsdA==,i=1",
            "r=abcd,s=c2FsdA==,i=4294967295",
            "r=abcd,s=c2FsdA==,i=-5",
            "m=x,r=abcd,s=c2FsdA==,i=4096",
            "s=c2FsdA==,r=abcd,i=4096",
        ] {
            let mut client = client(ScramHash::Sha256, "abc");
            said(&mut client, "");
            assert!(client.respond(first.as_bytes()).is_err(), "{first}");
        }
    }
}
