//! Delivery status: [`EnhancedStatusCode`] (RFC 3463), [`Status`] and the
//! [`Outcome`] of handing one recipient's copy on.
//!
//! SMTP reply codes and texts are not here: each protocol words a `Status` in
//! its own `wording.rs`.

use std::fmt;
use std::str::FromStr;

use crate::address::{Address, Domain};
use crate::time::Timestamp;
use crate::wire::TlsInfo;

/// Class of an [`EnhancedStatusCode`] (RFC 3463 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatusClass {
    /// `2`: done.
    Success,
    /// `4`: not now; trying again may help.
    Transient,
    /// `5`: never; trying again will not help.
    Permanent,
}

impl StatusClass {
    /// The leading digit: 2, 4 or 5.
    pub fn digit(self) -> u8 {
        match self {
            Self::Success => 2,
            Self::Transient => 4,
            Self::Permanent => 5,
        }
    }
}

/// `class.subject.detail`, for example `5.1.1` (RFC 3463 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnhancedStatusCode {
    /// Success, transient or permanent.
    pub class: StatusClass,
    /// What the status is about: 1 addressing, 2 mailbox, 3 mail system, 4
    /// network, 5 protocol, 6 content, 7 security.
    pub subject: u16,
    /// The precise condition within the subject.
    pub detail: u16,
}

impl EnhancedStatusCode {
    /// `2.subject.detail`.
    pub const fn success(subject: u16, detail: u16) -> Self {
        Self {
            class: StatusClass::Success,
            subject,
            detail,
        }
    }

    /// `4.subject.detail`.
    pub const fn transient(subject: u16, detail: u16) -> Self {
        Self {
            class: StatusClass::Transient,
            subject,
            detail,
        }
    }

    /// `5.subject.detail`.
    pub const fn permanent(subject: u16, detail: u16) -> Self {
        Self {
            class: StatusClass::Permanent,
            subject,
            detail,
        }
    }
}

impl fmt::Display for EnhancedStatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class.digit(), self.subject, self.detail)
    }
}

/// A text is not `class.subject.detail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an enhanced status code (RFC 3463 section 2: class.subject.detail)")]
pub struct NotAStatusCode;

impl FromStr for EnhancedStatusCode {
    type Err = NotAStatusCode;

    fn from_str(text: &str) -> Result<Self, NotAStatusCode> {
        let number = |part: Option<&str>| {
            part.filter(|digits| {
                (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
            })
            .and_then(|digits| digits.parse::<u16>().ok())
            .ok_or(NotAStatusCode)
        };
        let mut parts = text.split('.');
        let class = match parts.next() {
            Some("2") => StatusClass::Success,
            Some("4") => StatusClass::Transient,
            Some("5") => StatusClass::Permanent,
            _ => return Err(NotAStatusCode),
        };
        let (subject, detail) = (number(parts.next())?, number(parts.next())?);
        match parts.next() {
            None => Ok(Self {
                class,
                subject,
                detail,
            }),
            Some(_) => Err(NotAStatusCode),
        }
    }
}

/// A status with words for a person: what a reply, a DSN and the log show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The machine's half.
    pub code: EnhancedStatusCode,
    /// The person's half, one line without line ends.
    pub text: String,
}

impl Status {
    /// A status; control characters in `text` become spaces, so that no text
    /// from elsewhere can start a new line in a reply, a header or a log.
    pub fn new(code: EnhancedStatusCode, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.chars().any(char::is_control) {
            text = text
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
        }
        Self { code, text }
    }

    /// A transient status, `4.subject.detail`.
    pub fn transient(subject: u16, detail: u16, text: impl Into<String>) -> Self {
        Self::new(EnhancedStatusCode::transient(subject, detail), text)
    }

    /// A permanent status, `5.subject.detail`.
    pub fn permanent(subject: u16, detail: u16, text: impl Into<String>) -> Self {
        Self::new(EnhancedStatusCode::permanent(subject, detail), text)
    }

    /// True when trying again may help.
    pub fn is_transient(&self) -> bool {
        self.code.class == StatusClass::Transient
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

/// What became of one recipient's copy (the `Action` of RFC 3464 section 2.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// In its final mailbox (or handed to the host application's code).
    Delivered,
    /// Accepted by the next host, named as it called itself or was dialled.
    Relayed {
        /// The host that took it.
        remote: Domain,
        /// Its reply, for the log and for a success DSN.
        reply: Status,
        /// The code of that reply.
        reply_code: u16,
        /// How the connection was secured; `None` for not at all.
        tls: Option<TlsInfo>,
        /// True when it offers DSN and so took over the duty to send notices
        /// (RFC 3461 section 5.2.2).
        notifies: bool,
    },
    /// Replaced by other recipients (alias, list, redirect), each on its way.
    Expanded {
        /// The addresses it became.
        to: Vec<Address>,
    },
    /// Not now; the queue tries again.
    Deferred(Failure),
    /// Nobody at the next hop could be reached, or nobody there took mail from
    /// this server at all: deferred, and a word on the hop rather than on this
    /// recipient.
    Unreachable(Failure),
    /// Never; the sender is told.
    Failed(Failure),
}

impl Outcome {
    /// True when the recipient needs no further attempt.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Deferred(_) | Self::Unreachable(_))
    }

    /// The same with `at` as the time of a failure that has none.
    #[must_use]
    pub fn said_at(mut self, at: Timestamp) -> Self {
        if let Self::Deferred(failure) | Self::Unreachable(failure) | Self::Failed(failure) =
            &mut self
        {
            failure.at.get_or_insert(at);
        }
        self
    }

    /// The same with no text of another host's above `most` octets.
    #[must_use]
    pub fn cut(self, most: usize) -> Self {
        match self {
            Self::Deferred(failure) => Self::Deferred(failure.cut(most)),
            Self::Unreachable(failure) => Self::Unreachable(failure.cut(most)),
            Self::Failed(failure) => Self::Failed(failure.cut(most)),
            Self::Relayed {
                remote,
                mut reply,
                reply_code,
                tls,
                notifies,
            } => {
                cut(&mut reply.text, most);
                Self::Relayed {
                    remote,
                    reply,
                    reply_code,
                    tls,
                    notifies,
                }
            }
            other => other,
        }
    }

    /// The failure, when there is one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Deferred(failure) | Self::Unreachable(failure) | Self::Failed(failure) => {
                Some(failure)
            }
            _ => None,
        }
    }

    /// Deferred or failed, by the class of `failure`'s status.
    pub fn from_failure(failure: Failure) -> Self {
        if failure.status.is_transient() {
            Self::Deferred(failure)
        } else {
            Self::Failed(failure)
        }
    }
}

/// Why a recipient was not reached, with what a DSN needs to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Status and words.
    pub status: Status,
    /// The host that said so, when it was another's decision (`Remote-MTA`).
    pub remote: Option<Domain>,
    /// The remote's reply code, when it came by SMTP (`Diagnostic-Code: smtp;`).
    pub reply_code: Option<u16>,
    /// The remote's reply as it came, its lines with their codes, where
    /// `reply_code` and `status` do not say it exactly (RFC 3461 section 9.2).
    pub said: Option<String>,
    /// When the attempt ended that came to this; `None` where there was none, or
    /// while the queue has not noted it.
    pub at: Option<Timestamp>,
}

impl Failure {
    /// A decision of this server.
    pub fn local(status: Status) -> Self {
        Self {
            status,
            remote: None,
            reply_code: None,
            said: None,
            at: None,
        }
    }

    /// The same with no text above `most` octets.
    #[must_use]
    pub fn cut(mut self, most: usize) -> Self {
        cut(&mut self.status.text, most);
        if let Some(said) = &mut self.said {
            cut(said, most);
        }
        self
    }
}

fn cut(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_read_back_and_control_characters_do_not_pass() {
        let code: EnhancedStatusCode = "5.1.1".parse().unwrap();
        assert_eq!(code, EnhancedStatusCode::permanent(1, 1));
        assert_eq!(code.to_string(), "5.1.1");
        for bad in [
            "", "3.1.1", "5.1", "5.1.1.1", "5.1.1234", "5..1", "5.1.x", "+5.1.1",
        ] {
            assert!(bad.parse::<EnhancedStatusCode>().is_err(), "{bad:?}");
        }
        assert_eq!(Status::permanent(1, 1, "no\r\nBcc: x").text, "no  Bcc: x");
    }
}
