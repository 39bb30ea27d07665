//! [`DirectoryError`]: why a directory did not do what was asked.

use std::fmt;

use thiserror::Error;

use crate::address::Domain;

/// Why the directory did not do what was asked.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Not there: add it first.
    #[error("{0} does not exist; add it first")]
    NotFound(String),
    /// There already.
    #[error("{0} exists already")]
    Exists(String),
    /// The domain is not local.
    #[error("{0} is not a local domain; add it with `domain add`")]
    NotLocal(Domain),
    /// Something still depends on it.
    #[error("{what} is still in use by {by}; remove that first")]
    InUse {
        /// What was to go.
        what: String,
        /// Who needs it.
        by: String,
    },
    /// The value is not allowed.
    #[error("{0}")]
    Invalid(String),
    /// The directory can't be read or written now.
    #[error("the directory is not available: {0}")]
    Unavailable(String),
    /// This directory does not do it.
    #[error("this directory can't do that: {0}")]
    Unsupported(&'static str),
    /// There is no room for it (RFC 5804 section 1.3, QUOTA).
    #[error("over the limit of {limit} {kind}; remove something first")]
    OverQuota {
        /// Which limit.
        kind: QuotaKind,
        /// What it allows.
        limit: u64,
    },
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaKind {
    /// Things.
    Count,
    /// Octets of one thing.
    Size,
    /// Octets of all.
    Total,
}

impl fmt::Display for QuotaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "of them",
            Self::Size => "octets for one",
            Self::Total => "octets for all together",
        })
    }
}
