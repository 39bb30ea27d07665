//! [`TrustAnchors`]: the keys that validation begins at.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hickory_resolver::proto::dnssec::TrustAnchors as Keys;
use thiserror::Error;

/// The keys that validation begins at (RFC 4033 section 2): those of the root
/// zone, unless a network of one's own has others.
#[derive(Clone)]
pub struct TrustAnchors(Arc<Keys>);

/// Why a text holds no trust anchors.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// It is not made of DNSKEY records.
    #[error("these are no DNSKEY records in zone file format: {0}")]
    Syntax(String),
    /// Without a key everything would be bogus.
    #[error("there is no DNSKEY record; give the key-signing keys, one a line")]
    Empty,
}

impl TrustAnchors {
    /// The keys of the root zone that IANA publishes, 20326 of 2017 and 38696
    /// of 2024.
    pub fn root() -> Self {
        Self(Arc::new(Keys::default()))
    }

    /// DNSKEY records in zone file format, as `dig DNSKEY` and `keymgr dnskey`
    /// print them, of the root or of any zone below which all is signed.
    ///
    /// # Errors
    /// [`AnchorError`].
    pub fn parse(text: &str) -> Result<Self, AnchorError> {
        let records: Vec<String> = text.lines().filter_map(record).collect();
        if records.is_empty() {
            return Err(AnchorError::Empty);
        }
        let keys = Keys::from_str(&records.join("\n"))
            .map_err(|error| AnchorError::Syntax(error.to_string()))?;
        Ok(Self(Arc::new(keys)))
    }

    pub(super) fn into_keys(self) -> Arc<Keys> {
        self.0
    }
}

/// The record of a line with a time to live and a class, which tools leave out.
fn record(line: &str) -> Option<String> {
    let line = line.split(';').next().unwrap_or_default();
    let (before, key) = line.split_once("DNSKEY")?;
    let name = before.split_whitespace().next()?;
    Some(format!("{name} 3600 IN DNSKEY {key}"))
}

impl fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TrustAnchors").finish_non_exhaustive()
    }
}
