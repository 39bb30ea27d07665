//! SASL exchanges shared by all protocols: [`Mechanism`], [`Exchange`] (RFC
//! 4422).
//!
//! Pure: an exchange turns responses into a claim and its proof, which an
//! [`Authenticator`](crate::seams::Authenticator) then checks. Base64, the `*`
//! that cancels, and whether a mechanism may be used on this connection are
//! the protocols' to deal with.

mod login;
mod plain;

use std::fmt;

use thiserror::Error;

use crate::seams::Proof;
use login::Login;

/// Octets allowed in a user name.
pub const MAX_LOGIN: usize = 512;
/// Octets allowed in a password.
pub const MAX_PASSWORD: usize = 1_024;

/// A mechanism that this server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN: never a standard, still used by much mail software.
    Login,
}

impl Mechanism {
    /// All of them, those to be preferred first.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Login];

    /// The mechanism with this registered name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.as_str().eq_ignore_ascii_case(name))
    }

    /// The registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// True when who listens learns the password: to be offered under TLS
    /// alone.
    pub fn is_plaintext(self) -> bool {
        match self {
            Self::Plain | Self::Login => true,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One run of a mechanism, the server's side.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    state: State,
}

/// What each mechanism remembers between responses.
#[derive(Debug)]
enum State {
    Plain,
    Login(Login),
    Done,
}

/// What comes next in an exchange.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress {
    /// Send this to the client, then hand its response to [`Exchange::step`].
    Challenge(Vec<u8>),
    /// The exchange is over; let the authenticator check this.
    Proof(Claim),
    /// The exchange is over; the client broke its rules.
    Failed(SaslError),
}

/// A claim and its proof, as an
/// [`AuthRequest`](crate::seams::AuthRequest) carries them.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The user name as given.
    pub login: String,
    /// The proof.
    pub proof: Proof,
}

/// Why an exchange failed before anybody looked at the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SaslError {
    /// A response is not what the mechanism asks for.
    #[error("the response does not follow the mechanism's rules; send it as its RFC says")]
    Malformed,
    /// A user name or password is over [`MAX_LOGIN`] or [`MAX_PASSWORD`].
    #[error("the user name or password is too long; use a shorter one")]
    TooLong,
    /// The client asks to act as somebody else than who it logs in as.
    #[error("acting as another user is not allowed; leave the authorization identity empty")]
    Authorization,
    /// A response after the exchange ended.
    #[error("the exchange is over; start a new one")]
    Finished,
}

impl Exchange {
    /// A run of `mechanism` that has not begun.
    pub fn new(mechanism: Mechanism) -> Self {
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::Login(Login::default()),
        };
        Self { mechanism, state }
    }

    /// Which mechanism this is.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Begins, with the initial response where the client's command held one
    /// (RFC 4422 section 3.3). An empty one (`=`) is `Some(b"")`.
    pub fn start(&mut self, initial: Option<&[u8]>) -> Progress {
        match (initial, &self.state) {
            (Some(response), _) => self.step(response),
            // A mechanism in which the client speaks first gets an empty challenge.
            (None, State::Plain) => Progress::Challenge(Vec::new()),
            (None, State::Login(login)) => Progress::Challenge(login.challenge()),
            (None, State::Done) => Progress::Failed(SaslError::Finished),
        }
    }

    /// Takes the client's next response.
    pub fn step(&mut self, response: &[u8]) -> Progress {
        let result = match &mut self.state {
            State::Plain => plain::read(response).map(Progress::Proof),
            State::Login(login) => login.step(response),
            State::Done => Err(SaslError::Finished),
        };
        let progress = result.unwrap_or_else(Progress::Failed);
        if !matches!(progress, Progress::Challenge(_)) {
            self.state = State::Done;
        }
        progress
    }
}

/// A user name: UTF-8 without control characters, which have no place in logs.
fn login_name(octets: &[u8]) -> Result<String, SaslError> {
    if octets.len() > MAX_LOGIN {
        return Err(SaslError::TooLong);
    }
    let name = std::str::from_utf8(octets).map_err(|_| SaslError::Malformed)?;
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(SaslError::Malformed);
    }
    Ok(name.to_owned())
}

/// A password: any octets but NUL, and at least one.
fn password(octets: &[u8]) -> Result<Proof, SaslError> {
    if octets.len() > MAX_PASSWORD {
        return Err(SaslError::TooLong);
    }
    if octets.is_empty() || octets.contains(&0) {
        return Err(SaslError::Malformed);
    }
    Ok(Proof::Password(crate::account::Secret::new(octets)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_found_in_any_case() {
        for mechanism in Mechanism::ALL {
            let name = mechanism.as_str().to_ascii_lowercase();
            assert_eq!(Mechanism::parse(&name), Some(mechanism));
        }
        assert_eq!(Mechanism::parse("NTLM"), None);
    }

    #[test]
    fn an_exchange_ends_once() {
        let mut exchange = Exchange::new(Mechanism::Plain);
        assert!(matches!(
            exchange.start(Some(b"\0u\0p")),
            Progress::Proof(_)
        ));
        assert!(matches!(
            exchange.step(b"\0u\0p"),
            Progress::Failed(SaslError::Finished)
        ));
    }

    proptest! {
        #[test]
        fn any_responses_end_the_exchange(responses: [Vec<u8>; 3]) {
            for mechanism in Mechanism::ALL {
                let mut exchange = Exchange::new(mechanism);
                let last = responses.iter().map(|response| exchange.step(response)).last();
                prop_assert!(matches!(last, Some(Progress::Failed(_))));
            }
        }
    }
}
