//! DKIM (RFC 6376, with RFC 8301 and RFC 8463): signatures of domains on
//! messages.
//!
//! [`DkimVerifier`] reads a message once, however many signatures it has, and
//! never holds its body. [`DkimSigner`] signs what goes out.

pub mod canonical;
pub mod key;
pub(in crate::sender_auth) mod sign;
pub mod signature;
pub mod tag_list;
pub(in crate::sender_auth) mod verify;

use std::fmt;

use thiserror::Error;

pub use canonical::Canonicalization;
pub use key::PublicKey;
pub use sign::{DkimSigner, SigningError, SigningKey};
pub use signature::Signature;
pub use verify::{DkimLimits, DkimVerdict, DkimVerifier};

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// `rsa-sha256`
    RsaSha256,
    /// `ed25519-sha256` (RFC 8463)
    Ed25519Sha256,
}

impl Algorithm {
    /// As in the tag `a`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    pub(in crate::sender_auth) fn parse(text: &str) -> Result<Self, DkimProblem> {
        match text {
            "rsa-sha256" => Ok(Self::RsaSha256),
            "ed25519-sha256" => Ok(Self::Ed25519Sha256),
            // RFC 8301 section 3.1.
            "rsa-sha1" => Err(DkimProblem::Sha1),
            other => Err(DkimProblem::UnknownAlgorithm(other.into())),
        }
    }
}

/// What a signature is worth (RFC 8601 section 2.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DkimResult {
    /// The domain signed this message.
    Pass,
    /// The signature is not of this message.
    Fail,
    /// It holds, but is not to be relied on here.
    Policy,
    /// It could not be read.
    Neutral,
    /// DNS did not answer; later it may.
    TempError,
    /// It can't be checked, now or later.
    PermError,
}

impl DkimResult {
    /// As in Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::Neutral => "neutral",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for DkimResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is no tag list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SyntaxError {
    /// It is not UTF-8.
    #[error("it is not text")]
    NotText,
    /// A part is no tag.
    #[error("{0:?} is no tag")]
    NoTag(String),
    /// A tag is there twice.
    #[error("the tag {0} is there twice")]
    Twice(String),
    /// There are more tags than anybody needs.
    #[error("there are too many tags")]
    ManyTags,
}

/// Why a signature does not pass.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DkimProblem {
    /// The field can't be read.
    #[error("the signature can't be read: {0}")]
    Syntax(SyntaxError),
    /// A tag is missing.
    #[error("the signature has no tag {0}")]
    MissingTag(&'static str),
    /// A tag's value is wrong.
    #[error("the signature's tag {0} is wrong")]
    BadTag(&'static str),
    /// The From field is not signed.
    #[error("the signature does not cover the From field")]
    FromNotSigned,
    /// An algorithm that is not known here.
    #[error("the algorithm {0:?} is not known here")]
    UnknownAlgorithm(String),
    /// SHA-1 proves nothing any more (RFC 8301).
    #[error("the signature is made with SHA-1")]
    Sha1,
    /// There is no key, or none for mail.
    #[error("no key is published")]
    NoKey,
    /// The key is withdrawn.
    #[error("the key is revoked")]
    Revoked,
    /// The key can't be read.
    #[error("the key can't be read: {0}")]
    KeySyntax(SyntaxError),
    /// The key is not for this kind of signature.
    #[error("the key is of another kind than the signature")]
    KeyMismatch,
    /// The key is too short to prove anything.
    #[error("the key has less than 1,024 bits")]
    ShortKey,
    /// The key asks for the identity's domain to be the signing one.
    #[error("the key is not for a domain below its own")]
    NotStrict,
    /// The signature's time is over.
    #[error("the signature has expired")]
    Expired,
    /// It is from a time that has not come.
    #[error("the signature is from the future")]
    Future,
    /// The body is another one.
    #[error("the body was changed")]
    BodyHash,
    /// The signed fields are others, or the key is.
    #[error("the signature does not match")]
    Signature,
    /// Anybody may have added to the body.
    #[error("the signature covers the body's beginning alone")]
    PartialBody,
    /// The message has more signatures than are checked.
    #[error("there are too many signatures")]
    ManySignatures,
    /// The header has more octets than are looked at.
    #[error("the header is too large")]
    LargeHeader,
    /// DNS did not answer.
    #[error("DNS gives no answer for the key")]
    Dns,
    /// The message could not be read.
    #[error("the message could not be read")]
    Unreadable,
}

impl DkimProblem {
    /// What the signature is worth then.
    pub fn result(&self) -> DkimResult {
        match self {
            Self::Syntax(_) | Self::BadTag(_) | Self::UnknownAlgorithm(_) | Self::LargeHeader => {
                DkimResult::Neutral
            }
            Self::MissingTag(_)
            | Self::FromNotSigned
            | Self::NoKey
            | Self::Revoked
            | Self::KeySyntax(_)
            | Self::KeyMismatch
            | Self::NotStrict => DkimResult::PermError,
            Self::Sha1
            | Self::ShortKey
            | Self::Expired
            | Self::Future
            | Self::PartialBody
            | Self::ManySignatures => DkimResult::Policy,
            Self::BodyHash | Self::Signature => DkimResult::Fail,
            Self::Dns | Self::Unreadable => DkimResult::TempError,
        }
    }
}

#[cfg(test)]
mod tests;
