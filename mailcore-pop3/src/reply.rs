//! Replies: `+OK`, `-ERR` and the response codes in brackets (RFC 1939 section
//! 3, RFC 2449 section 8, RFC 3206).
//!
//! What the texts say is in `wording.rs`.

use std::fmt;

/// Octets of a reply line with its CRLF (RFC 2449 section 4).
pub const MAX_REPLY: usize = 512;

/// Tells a client why, in a form it can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseCode {
    /// Another session holds the maildrop (RFC 2449 section 8.1.2).
    InUse,
    /// The last login was too short a time ago (RFC 2449 section 8.1.1).
    LoginDelay,
    /// Something is wrong with the credentials (RFC 3206 section 5).
    Auth,
    /// A failure of ours that will likely pass (RFC 3206 section 4).
    SysTemp,
    /// A failure of ours that someone must mend (RFC 3206 section 4).
    SysPerm,
    /// The message needs UTF-8 mode (RFC 6856 section 5).
    Utf8,
}

impl ResponseCode {
    /// The code as written between the brackets.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "IN-USE",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::Auth => "AUTH",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
            Self::Utf8 => "UTF8",
        }
    }
}

/// One reply line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+OK text`.
    Ok(String),
    /// `-ERR [code] text`.
    Err(Option<ResponseCode>, String),
}

impl Reply {
    /// A positive reply.
    pub fn ok(text: impl Into<String>) -> Self {
        Self::Ok(text.into())
    }

    /// A negative reply without a code.
    pub fn err(text: impl Into<String>) -> Self {
        Self::Err(None, text.into())
    }

    /// A negative reply with a code.
    pub fn coded(code: ResponseCode, text: impl Into<String>) -> Self {
        Self::Err(Some(code), text.into())
    }
}

/// The reply without its CRLF.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok(text) if text.is_empty() => f.write_str("+OK"),
            Self::Ok(text) => write!(f, "+OK {text}"),
            Self::Err(None, text) => write!(f, "-ERR {text}"),
            Self::Err(Some(code), text) => write!(f, "-ERR [{}] {text}", code.as_str()),
        }
    }
}
