//! Why a session ended before its work was done, and how that is told.

use mailcore::sasl::client::ClientError;
use mailcore::status::{Failure, Status};
use thiserror::Error;

use super::transaction::said;
use crate::reply::{Reply, ReplyError};

/// Why a session is of no more use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The peer said no to the session itself.
    #[error("{during} was refused: {reply}")]
    Refused {
        /// What it said no to.
        during: &'static str,
        /// What it said.
        reply: Reply,
    },
    /// No answer in time.
    #[error("no answer in time to {0}")]
    TimedOut(&'static str),
    /// The peer closed or reset the connection.
    #[error("the connection was lost during {0}")]
    Lost(&'static str),
    /// What came is no SMTP, or not at that place.
    #[error("the host does not speak SMTP: {0}")]
    NotSmtp(String),
    /// Octets came with the reply to STARTTLS: somebody wants them taken for
    /// the peer's (RFC 3207 section 6).
    #[error("octets were sent in clear after the reply to STARTTLS")]
    Injected,
    /// TLS is asked for and not offered.
    #[error("the host does not offer STARTTLS, which is required here")]
    TlsNotOffered,
    /// The handshake failed.
    #[error("the TLS handshake failed: {0}")]
    TlsFailed(TlsFault),
    /// A password is to be sent and the host takes none of our ways.
    #[error("the host offers no way to log in with a password")]
    AuthNotOffered,
    /// The host does not keep to the rules of the mechanism, or does not prove
    /// who it is where the mechanism has it do so.
    #[error("the login was broken off: {0}")]
    AuthBroken(#[from] ClientError),
    /// A password is to be sent over a connection in clear.
    #[error("the password is not sent: the connection is not secured by TLS")]
    AuthInClear,
    /// The message could not be sent on; the reason was local.
    #[error("{0}")]
    Local(Status),
}

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text}")]
#[non_exhaustive]
pub struct TlsFault {
    /// What was wrong.
    pub kind: TlsFaultKind,
    /// In words.
    pub text: String,
}

/// What was wrong, as reports tell it (RFC 8460 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsFaultKind {
    /// The certificate's time is over, or has not begun.
    Expired,
    /// The certificate is for other names.
    HostMismatch,
    /// Nobody who is trusted signed the certificate.
    NotTrusted,
    /// No TLSA record fits the certificate.
    Tlsa,
    /// The connection broke off, or nothing came in time.
    Lost,
    /// Anything else.
    Handshake,
}

impl TlsFault {
    /// A handshake that did not come to its end.
    pub fn lost(text: impl Into<String>) -> Self {
        Self {
            kind: TlsFaultKind::Lost,
            text: text.into(),
        }
    }

    /// A handshake that failed for no reason of the certificate's.
    pub fn handshake(text: impl Into<String>) -> Self {
        Self {
            kind: TlsFaultKind::Handshake,
            text: text.into(),
        }
    }
}

impl From<ReplyError> for SessionError {
    fn from(error: ReplyError) -> Self {
        Self::NotSmtp(error.to_string())
    }
}

impl SessionError {
    /// True when the host has no TLS that would do, and not only now.
    pub(super) fn denies_tls(&self) -> bool {
        match self {
            Self::TlsNotOffered | Self::Injected => true,
            Self::TlsFailed(fault) => fault.kind != TlsFaultKind::Lost,
            _ => false,
        }
    }

    /// The error as a recipient's failure; the host is added by who knows it.
    pub fn failure(&self) -> Failure {
        let (subject, detail) = match self {
            Self::Refused { reply, .. } => return said(reply),
            Self::Local(status) => return Failure::local(status.clone()),
            Self::TimedOut(_) => (4, 1),
            Self::Lost(_) => (4, 2),
            Self::NotSmtp(_) => (5, 0),
            Self::Injected | Self::AuthInClear | Self::AuthBroken(_) => (7, 0),
            Self::TlsNotOffered | Self::TlsFailed(_) => (7, 10),
            Self::AuthNotOffered => (7, 4),
        };
        Failure::local(Status::transient(subject, detail, self.to_string()))
    }
}
