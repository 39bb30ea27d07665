//! What a [`Limiter`](super::Limiter) counts and what follows: [`AbuseConfig`].

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use super::Rate;
use crate::net::Network;

/// What is too often, and what is done then.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbuseConfig {
    /// Guessing passwords.
    pub logins: LoginScreening,
    /// Everything else that is counted. Empty by default.
    pub rules: Vec<Rule>,
    /// How long a ban lasts that a rule or guessing brought.
    pub ban_for: Duration,
    /// Addresses that are never banned nor counted.
    pub exempt: Vec<Network>,
    /// Accounts that may send as much as they like: an address, or a local part
    /// alone for that one in every domain.
    pub exempt_senders: Vec<String>,
    /// How often bans are looked for that others have made or lifted, where they
    /// share the state ([`State::is_shared`](crate::seams::State::is_shared));
    /// zero for never. With very many bans it is more seldom.
    pub reread: Duration,
    /// Addresses, accounts and domains that are remembered at a time, by each
    /// rule.
    pub remembered: usize,
}

impl Default for AbuseConfig {
    fn default() -> Self {
        Self {
            logins: LoginScreening::default(),
            rules: Vec::new(),
            ban_for: Duration::from_secs(600),
            exempt: Vec::new(),
            exempt_senders: vec!["postmaster".to_owned()],
            reread: Duration::from_secs(10),
            remembered: 100_000,
        }
    }
}

/// Whether guesses are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Screening {
    /// They are.
    #[default]
    On,
    /// They are not: for hosts that screen logins themselves.
    Off,
}

/// How many wrong passwords one address may try.
///
/// The same wrong password for the same login counts once, so that a program
/// which holds an old one bans nobody; such repetitions are only slowed down.
/// An address that somebody has logged in from may try half as many more.
/// Accounts are not locked: whoever guesses could lock their owners out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginScreening {
    /// Whether they are counted.
    pub screening: Screening,
    /// Wrong passwords of one address (IPv6: one /64) until it is banned from
    /// logging in.
    pub failures: Rate,
    /// The same of a whole network (IPv4: /24, IPv6: /48), whose logins are put
    /// off then, but for addresses that somebody has logged in from.
    pub network_failures: Rate,
    /// How long the answer to a wrong password is held back at most; it grows
    /// with the failures of the network.
    pub longest_delay: Duration,
}

impl Default for LoginScreening {
    fn default() -> Self {
        Self {
            screening: Screening::On,
            failures: Rate::new(10, Duration::from_secs(600)),
            network_failures: Rate::new(100, Duration::from_secs(600)),
            longest_delay: Duration::from_secs(5),
        }
    }
}

/// One thing that is counted, and what follows when it is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// What.
    pub counted: Counted,
    /// Of whom.
    pub keyed: Keyed,
    /// How many are fine.
    pub rate: Rate,
    /// What is done with more.
    pub consequence: Consequence,
}

/// Why a rule is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// This is not known of whom it should be counted by.
    #[error("{counted} can't be counted by {keyed}, which is not known then; count by address")]
    NotKnown {
        /// What was to be counted.
        counted: Counted,
        /// Of whom.
        keyed: Keyed,
    },
    /// Whoever guesses at an account would have it closed.
    #[error(
        "login failures are made by strangers, who could have any account closed; use \"defer\""
    )]
    Strangers,
    /// The consequence is about an account or an address, and there is none.
    #[error("\"{consequence}\" needs {needs}")]
    Nobody {
        /// What was to be done.
        consequence: Consequence,
        /// What it takes.
        needs: &'static str,
    },
}

impl Rule {
    /// A rule.
    ///
    /// # Errors
    /// [`RuleError`] when it could never hold.
    pub fn new(
        (counted, keyed): (Counted, Keyed),
        rate: Rate,
        consequence: Consequence,
    ) -> Result<Self, RuleError> {
        let early = counted == Counted::Connections;
        if early && !matches!(keyed, Keyed::Address | Keyed::Protocol) {
            return Err(RuleError::NotKnown { counted, keyed });
        }
        if (counted, consequence) == (Counted::LoginFailures, Consequence::CloseAccount) {
            return Err(RuleError::Strangers);
        }
        let needs = match consequence {
            Consequence::Ban if keyed != Keyed::Address => Some("by = \"address\""),
            Consequence::CloseAccount if keyed != Keyed::Account => Some("by = \"account\""),
            _ => None,
        };
        if let Some(needs) = needs {
            return Err(RuleError::Nobody { consequence, needs });
        }
        Ok(Self {
            counted,
            keyed,
            rate,
            consequence,
        })
    }
}

/// What can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Counted {
    /// Connections; those of loopback are not.
    Connections,
    /// Commands, of all protocols.
    Commands,
    /// Commands that are none or are wrong, of all protocols, and SMTP sessions
    /// that were ended for talking out of turn.
    Errors,
    /// Wrong passwords and other logins that failed, those that were tried
    /// before aside. By account it is the name that was tried.
    LoginFailures,
    /// Recipients that there are none of.
    UnknownRecipients,
    /// Messages.
    Messages,
    /// Recipients of messages.
    Recipients,
    /// Octets of messages.
    Octets,
}

impl Counted {
    /// True for what nobody has to do at all: the last one that is fine is one
    /// too many.
    pub(super) fn is_bad(self) -> bool {
        matches!(
            self,
            Self::Errors | Self::LoginFailures | Self::UnknownRecipients
        )
    }
}

/// Of whom it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Keyed {
    /// Of one address (IPv6: one /64).
    Address,
    /// Of one account, once it has logged in.
    Account,
    /// Of all accounts of one domain together, once they have logged in.
    Domain,
    /// Of all who speak one protocol: `smtp`, `submission`, `lmtp`, `imap`,
    /// `pop3`.
    Protocol,
}

/// What is done with what is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Consequence {
    /// It is to come later: 452. Who sends too many commands or errors is
    /// hung up on politely, and whose logins failed too often can't log in.
    Defer,
    /// It is refused: 552.
    Reject,
    /// It is refused, and the connection closed: 421.
    Disconnect,
    /// The address is banned.
    Ban,
    /// The account is closed: it can't log in until an administrator opens it.
    CloseAccount,
}

/// The words of a closed list, both ways.
macro_rules! words {
    ($type:ident, $wrong:literal, $($variant:ident = $word:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }

        impl $type {
            /// Every word with what it means.
            pub const WORDS: &[(&str, Self)] = &[$(($word, Self::$variant)),+];
        }

        impl FromStr for $type {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, &'static str> {
                let found = Self::WORDS.iter().find(|(word, _)| *word == text);
                found.map(|(_, value)| *value).ok_or($wrong)
            }
        }
    };
}

words!(
    Counted,
    "no such count",
    Connections = "connections",
    Commands = "commands",
    Errors = "errors",
    LoginFailures = "login-failures",
    UnknownRecipients = "unknown-recipients",
    Messages = "messages",
    Recipients = "recipients",
    Octets = "octets"
);
words!(
    Keyed,
    "no such key",
    Address = "address",
    Account = "account",
    Domain = "domain",
    Protocol = "protocol"
);
words!(
    Consequence,
    "no such consequence",
    Defer = "defer",
    Reject = "reject",
    Disconnect = "disconnect",
    Ban = "ban",
    CloseAccount = "close-account"
);
