//! Messages made fit for a host that takes less than they hold: octets above
//! 127 and what is no line are encoded part by part (RFC 6152 section 3, RFC
//! 2045 section 6).
//!
//! [`Inspector`] tells what octets hold. [`PartInspector`] tells it of each part
//! and gives the [`Conversion`] that writes the message anew. Each reads the
//! message once, in pieces of any size, and none holds it. When to convert is
//! not decided here.

mod convert;
mod encode;
mod inspect;
mod plan;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub use convert::Conversion;
pub use inspect::{Inspector, Traits};
pub use plan::PartInspector;

/// Octets of a line without its CRLF (RFC 5321 section 4.5.3.1.6).
pub const MAX_TEXT_LINE: usize = 998;

/// What the converted message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Lines of ASCII.
    SevenBit,
    /// Lines of octets.
    EightBit,
}

/// Why a message can't be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CannotConvert {
    /// What is signed must not be touched (RFC 1847 section 2.1).
    #[error("a signed part would have to be converted, which would break its signature")]
    Signed,
    /// Octets above 127 in a header, whose charset nobody knows.
    #[error("a header field holds octets above 127, which can't be converted")]
    EightBitHeader,
    /// A bare CR or LF or a NUL in a header.
    #[error("a header holds a bare CR, a bare LF or a NUL")]
    StrayInHeader,
    /// A bare CR or LF or a NUL in a message that is not MIME.
    #[error("the message holds a bare CR, a bare LF or a NUL and is not MIME")]
    NotMime,
    /// A transfer encoding that is not known can't be put into another.
    #[error("a part is in a transfer encoding that is not known")]
    UnknownEncoding,
    /// `message/partial` and `message/external-body` can't be encoded (RFC 2046
    /// sections 5.2.2.1 and 5.2.3.1).
    #[error("a part is a fragment of a message, which can't be converted")]
    Fragment,
    /// A multipart without delimiters: no encoding may stand in its header (RFC
    /// 2045 section 6.4).
    #[error("a multipart holds no parts but text, which can't be encoded there")]
    Composite,
    /// Deeper or of more parts than is looked at.
    #[error("the message has too many parts to be converted")]
    TooManyParts,
}
