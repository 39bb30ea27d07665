//! Logging in: [`Credentials`], and SASL from the client's side
//! ([`Mechanism`], RFC 4422).
//!
//! Which mechanism is taken is settled here, those that show no password being
//! [`mailcore::sasl`]'s; that nothing of it goes in clear,
//! in [`super::Client::login`].

use std::collections::VecDeque;
use std::fmt::Debug;

use mailcore::account::Secret;
use mailcore::sasl::client::{Challenged, Legacy};
use mailcore::seams::OsEntropy;
use mailcore::wire::TlsInfo;

use super::Capabilities;

/// Who to log in as.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user name, as the server knows it.
    pub login: String,
    /// What proves it.
    pub proof: Proof,
}

/// What proves who somebody is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Proof {
    /// A password: PLAIN, LOGIN, or the LOGIN command.
    Password(Secret),
    /// An OAuth 2 access token: OAUTHBEARER (RFC 7628) or XOAUTH2.
    Token(Secret),
}

impl Credentials {
    /// A name and a password.
    pub fn password(login: impl Into<String>, password: impl Into<Vec<u8>>) -> Self {
        Self {
            login: login.into(),
            proof: Proof::Password(Secret::new(password)),
        }
    }

    /// A name and an access token.
    pub fn token(login: impl Into<String>, token: impl Into<Vec<u8>>) -> Self {
        Self {
            login: login.into(),
            proof: Proof::Token(Secret::new(token)),
        }
    }
}

/// One run of a SASL mechanism, the client's side. Base64 is not its concern.
pub trait Mechanism: Debug + Send {
    /// The registered name.
    fn name(&self) -> &str;

    /// True when the client speaks first, so that its first response may go
    /// with the command (RFC 4959).
    fn speaks_first(&self) -> bool;

    /// The response to a challenge; to an empty one for the first response of
    /// a mechanism in which the client speaks first. None gives up.
    fn respond(&mut self, challenge: &[u8]) -> Option<Secret>;

    /// True when a server that says so now may be believed that the login is
    /// done: not before one that is to prove itself has done so.
    fn is_done(&self) -> bool {
        true
    }
}

impl Mechanism for Challenged {
    fn name(&self) -> &str {
        self.mechanism().as_str()
    }

    fn speaks_first(&self) -> bool {
        Challenged::speaks_first(self)
    }

    fn respond(&mut self, challenge: &[u8]) -> Option<Secret> {
        Challenged::respond(self, challenge).ok()
    }

    fn is_done(&self) -> bool {
        Challenged::is_done(self)
    }
}

/// A mechanism that proves the password and shows it to nobody, where the
/// server offers one.
pub(super) fn without_showing(
    credentials: &Credentials,
    offered: &Capabilities,
    tls: Option<&TlsInfo>,
) -> Option<Box<dyn Mechanism>> {
    let Proof::Password(password) = &credentials.proof else {
        return None;
    };
    // What CRAM-MD5 asks of who checks it is worse than a password in TLS.
    let legacy = match tls {
        Some(_) => Legacy::Refused,
        None => Legacy::Allowed,
    };
    let run = Challenged::choose(
        |name| offered.has_mechanism(name),
        (&credentials.login, password),
        tls,
        legacy,
        &OsEntropy,
    );
    Some(Box::new(run?))
}

/// The mechanism that fits both credentials and server, the better ones first.
/// None where the LOGIN command or nothing is left.
pub(super) fn choose(
    credentials: &Credentials,
    offered: &Capabilities,
    host: &str,
) -> Option<Box<dyn Mechanism>> {
    let login = credentials.login.as_bytes();
    let (name, responses, when_refused): (_, Vec<Vec<u8>>, Option<&[u8]>) = match &credentials.proof
    {
        Proof::Password(password) if offered.has_mechanism("PLAIN") => {
            let response = [b"\0", login, b"\0", password.expose()].concat();
            ("PLAIN", vec![response], None)
        }
        Proof::Password(password) if offered.has_mechanism("LOGIN") => {
            let responses = vec![login.to_vec(), password.expose().to_vec()];
            ("LOGIN", responses, None)
        }
        Proof::Token(token) if offered.has_mechanism("OAUTHBEARER") => {
            // RFC 5801 section 4: `,` and `=` are escaped in the user's name.
            let name = credentials.login.replace('=', "=3D").replace(',', "=2C");
            let head = format!("n,a={name},\x01host={host}\x01auth=Bearer ");
            let response = [head.as_bytes(), token.expose(), b"\x01\x01"].concat();
            // RFC 7628 section 3.2.3: the error is answered with one %x01.
            ("OAUTHBEARER", vec![response], Some(b"\x01"))
        }
        Proof::Token(token) if offered.has_mechanism("XOAUTH2") => {
            let head = [b"user=", login, b"\x01auth=Bearer "].concat();
            let response = [&head, token.expose(), b"\x01\x01"].concat();
            ("XOAUTH2", vec![response], Some(b""))
        }
        _ => return None,
    };
    Some(Box::new(Fixed {
        name,
        responses: responses.into_iter().map(Secret::new).collect(),
        when_refused,
    }))
}

/// A mechanism whose responses do not depend on the challenges.
#[derive(Debug)]
struct Fixed {
    name: &'static str,
    responses: VecDeque<Secret>,
    /// What answers a challenge that tells why it did not work.
    when_refused: Option<&'static [u8]>,
}

impl Mechanism for Fixed {
    fn name(&self) -> &str {
        self.name
    }

    fn speaks_first(&self) -> bool {
        self.name != "LOGIN"
    }

    fn respond(&mut self, _challenge: &[u8]) -> Option<Secret> {
        let next = self.responses.pop_front();
        next.or_else(|| self.when_refused.take().map(Secret::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(names: &str) -> Capabilities {
        Capabilities::new(names.split(' ').map(str::as_bytes))
    }

    fn responses(credentials: &Credentials, names: &str) -> (String, Vec<String>) {
        let mut mechanism = choose(credentials, &offered(names), "mail.example").unwrap();
        let next = || mechanism.respond(b"").map(|it| it.expose().to_vec());
        let said = std::iter::from_fn(next).map(|it| String::from_utf8(it).unwrap());
        let said = said.collect();
        (mechanism.name().to_owned(), said)
    }

    #[test]
    fn each_mechanism_says_what_its_rfc_asks_for() {
        let password = Credentials::password("tim", "tanstaaf");
        let token = Credentials::token("user=a@x", "vF9");
        let of = |name: &str, said: &[&str]| {
            (
                name.to_owned(),
                said.iter().map(ToString::to_string).collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            responses(&password, "AUTH=LOGIN AUTH=PLAIN"),
            of("PLAIN", &["\0tim\0tanstaaf"])
        );
        assert_eq!(
            responses(&password, "AUTH=login"),
            of("LOGIN", &["tim", "tanstaaf"])
        );
        assert_eq!(
            responses(&token, "AUTH=XOAUTH2 AUTH=OAUTHBEARER"),
            of(
                "OAUTHBEARER",
                &[
                    "n,a=user=3Da@x,\x01host=mail.example\x01auth=Bearer vF9\x01\x01",
                    "\x01"
                ]
            )
        );
        assert_eq!(
            responses(&token, "AUTH=XOAUTH2"),
            of("XOAUTH2", &["user=user=a@x\x01auth=Bearer vF9\x01\x01", ""])
        );
        assert!(choose(&token, &offered("AUTH=PLAIN"), "").is_none());
    }

    #[test]
    fn secrets_do_not_show() {
        let credentials = Credentials::password("tim", "tanstaaf");
        let mechanism = choose(&credentials, &offered("AUTH=PLAIN"), "").unwrap();
        assert!(!format!("{credentials:?}{mechanism:?}").contains("tanstaaf"));
    }
}
