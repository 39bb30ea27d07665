//! The server's side of SCRAM.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use super::{NONCE, ScramHash, attribute, before_comma, is_nonce, xor};
use crate::sasl::SaslError;
use crate::sasl::exchange::{Move, Run};
use crate::sasl::oauth::unescape;
use crate::sasl::prepare::login_name;
use crate::seams::{Credentials, Entropy, Labelled, ScramKeys, ScramPair, Verified};
use crate::wire::ChannelBindings;

/// Octets of the client's nonce.
const MAX_CLIENT_NONCE: usize = 512;

/// What is done about channel binding in this exchange.
#[derive(Debug)]
pub(in crate::sasl) enum Binding {
    /// The mechanism is a `-PLUS` one: one of these must be used.
    Required(ChannelBindings),
    /// It is not, though one is offered: a client that could and thinks that it
    /// can't was deceived.
    Passed,
    /// None is offered here.
    Absent,
}

/// One exchange.
#[derive(Debug)]
pub(in crate::sasl) struct Scram {
    hash: ScramHash,
    binding: Binding,
    /// The server's part of the nonce.
    nonce: String,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// For `client-first-message`.
    #[default]
    ClientFirst,
    /// For the keys of the user it names.
    Keys(First),
    /// For `client-final-message`.
    ClientFinal {
        first: First,
        /// `server-first-message`.
        server_first: Vec<u8>,
        keys: ScramKeys,
    },
    /// For the empty response to the server's own proof.
    Acknowledgement(Verified),
}

/// What is kept of `client-first-message`.
#[derive(Debug)]
struct First {
    /// What `c=` must hold: the GS2 header and the binding's data.
    bound: Vec<u8>,
    /// `client-first-message-bare`.
    bare: Vec<u8>,
    /// Both nonces.
    nonce: Vec<u8>,
}

impl Scram {
    pub(in crate::sasl) fn new(hash: ScramHash, binding: Binding, entropy: &dyn Entropy) -> Self {
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce);
        Self {
            hash,
            binding,
            nonce: STANDARD.encode(nonce),
            state: State::default(),
        }
    }

    /// ```text
    /// client-first-message = gs2-cbind-flag "," [authzid] ","
    ///     [reserved-mext ","] username "," nonce ["," extensions]
    /// ```
    fn first(&self, message: &[u8]) -> Result<(String, First), SaslError> {
        let (flag, rest) = before_comma(message);
        let (authorization, bare) = before_comma(rest.ok_or(SaslError::Malformed)?);
        let bare = bare.ok_or(SaslError::Malformed)?;
        let header = message.len() - bare.len();
        let mut bound = message.get(..header).unwrap_or_default().to_vec();
        bound.extend_from_slice(self.data(flag)?);
        let mut fields = bare.split(|&octet| octet == b',');
        // An extension that must be understood comes first (`m=`): none is.
        let name = attribute(fields.next(), b'n').ok_or(SaslError::Malformed)?;
        let nonce = attribute(fields.next(), b'r').ok_or(SaslError::Malformed)?;
        if !is_nonce(nonce) || nonce.len() > MAX_CLIENT_NONCE {
            return Err(SaslError::Malformed);
        }
        let login = login_name(&unescape(name)?)?;
        if !authorization.is_empty() {
            let other = attribute(Some(authorization), b'a').ok_or(SaslError::Malformed)?;
            if login_name(&unescape(other)?)? != login {
                return Err(SaslError::Authorization);
            }
        }
        let first = First {
            bound,
            bare: bare.to_vec(),
            nonce: [nonce, self.nonce.as_bytes()].concat(),
        };
        Ok((login, first))
    }

    /// The binding's data for `gs2-cbind-flag` (RFC 5802 section 6).
    fn data(&self, flag: &[u8]) -> Result<&[u8], SaslError> {
        match (&self.binding, flag) {
            (Binding::Required(bindings), _) => {
                let kind = flag.strip_prefix(b"p=").ok_or(SaslError::Malformed)?;
                let data = match kind {
                    b"tls-exporter" => &bindings.exporter,
                    b"tls-server-end-point" => &bindings.server_end_point,
                    _ => &None,
                };
                let data = data.as_ref().ok_or(SaslError::Malformed)?;
                Ok(data.expose())
            }
            (Binding::Passed, b"y") => Err(SaslError::Downgraded),
            (_, b"n" | b"y") => Ok(b""),
            _ => Err(SaslError::Malformed),
        }
    }

    /// ```text
    /// client-final-message = channel-binding "," nonce ["," extensions] "," proof
    /// ```
    fn last(
        &mut self,
        message: &[u8],
        first: &First,
        server_first: &[u8],
        keys: &ScramKeys,
    ) -> Result<Move, SaslError> {
        let end = message.windows(3).rposition(|octets| octets == b",p=");
        let (unproved, proof) = end
            .and_then(|end| message.split_at_checked(end))
            .ok_or(SaslError::Malformed)?;
        let decode = |value: Option<&[u8]>| {
            let value = value.ok_or(SaslError::Malformed)?;
            STANDARD.decode(value).map_err(|_| SaslError::Malformed)
        };
        let proof = decode(proof.strip_prefix(b",p="))?;
        let mut fields = unproved.split(|&octet| octet == b',');
        let bound = decode(attribute(fields.next(), b'c'))?;
        let nonce = attribute(fields.next(), b'r').ok_or(SaslError::Malformed)?;
        if nonce != first.nonce {
            return Err(SaslError::Malformed);
        }
        let message: [&[u8]; 5] = [&first.bare, b",", server_first, b",", unproved];
        let is_bound = bound.ct_eq(&first.bound);
        let mut found: Option<&Labelled<ScramPair>> = None;
        // All of them, so that the time does not tell which one it was.
        for pair in &keys.pairs {
            let stored = pair.value.stored_key.expose();
            let mut key = self.hash.hmac(stored, &message);
            if proof.len() != key.len() {
                continue;
            }
            xor(&mut key, &proof);
            let is_right = self.hash.digest(&key).ct_eq(stored) & is_bound;
            if bool::from(is_right) {
                found = Some(pair);
            }
        }
        let Some(pair) = found else {
            return Ok(Move::Disproved(self.hash.kind()));
        };
        let signature = self.hash.hmac(pair.value.server_key.expose(), &message);
        let verified = Verified::new(self.hash.kind(), pair.label.clone());
        let verified = verified.with_stored_key(pair.value.stored_key.clone());
        self.state = State::Acknowledgement(verified);
        Ok(Move::Challenge(
            format!("v={}", STANDARD.encode(signature)).into_bytes(),
        ))
    }
}

impl Run for Scram {
    fn respond(&mut self, response: &[u8]) -> Result<Move, SaslError> {
        match std::mem::take(&mut self.state) {
            State::ClientFirst => {
                let (login, first) = self.first(response)?;
                self.state = State::Keys(first);
                Ok(Move::Need(login, self.hash.kind()))
            }
            State::ClientFinal {
                first,
                server_first,
                keys,
            } => self.last(response, &first, &server_first, &keys),
            // The protocols carry no data with success: the proof of the server
            // is a challenge of its own (RFC 4422 section 3.4).
            State::Acknowledgement(verified) if response.is_empty() => Ok(Move::Verified(verified)),
            State::Keys(_) | State::Acknowledgement(_) => Err(SaslError::Malformed),
        }
    }

    fn supply(&mut self, credentials: &Credentials) -> Result<Move, SaslError> {
        let (State::Keys(first), Credentials::Scram(keys)) =
            (std::mem::take(&mut self.state), credentials)
        else {
            return Err(SaslError::Finished);
        };
        let server_first = [
            b"r=",
            first.nonce.as_slice(),
            b",s=",
            STANDARD.encode(&keys.salt).as_bytes(),
            format!(",i={}", keys.iterations).as_bytes(),
        ]
        .concat();
        self.state = State::ClientFinal {
            first,
            server_first: server_first.clone(),
            keys: keys.clone(),
        };
        Ok(Move::Challenge(server_first))
    }
}
