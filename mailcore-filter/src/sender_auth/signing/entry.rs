//! [`KeyEntry`]: a key as the server's state holds it.

use mailcore::address::Domain;
use mailcore::pack::{PackError, Packer, Unpacker};
use mailcore::seams::StateKey;
use mailcore::time::Timestamp;

use crate::sender_auth::dkim::Algorithm;
use crate::sender_auth::dkim::signature::key_name;

/// Where keys are.
pub(super) const NAMESPACE: &str = "dkim";
/// The layout of an entry.
const VERSION: u8 = 1;

/// A domain's key, without its private half.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyEntry {
    /// For whom it signs, in ASCII.
    pub domain: Domain,
    /// The name under which it is published.
    pub selector: Domain,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// What it is used for now.
    pub stage: KeyStage,
    /// Since when.
    pub since: Timestamp,
    /// When it was made or brought here.
    pub made: Timestamp,
    /// The TXT record to publish under [`KeyEntry::name`].
    pub record: String,
    /// The private half, encrypted.
    pub(super) sealed: Vec<u8>,
}

/// The stages of a key's life. One that was removed is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyStage {
    /// Its record is to be published, and waited for.
    Waiting,
    /// It signs.
    Active,
    /// It signs no more; its record stays until no mail with its signatures is
    /// on its way.
    Retired,
}

impl KeyStage {
    /// Its word: `waiting`, `active`, `retired`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

impl KeyEntry {
    /// The name of its record in DNS.
    pub fn name(&self) -> String {
        key_name(&self.domain, &self.selector).map_or_else(String::new, |name| name.to_string())
    }

    pub(super) fn key(&self) -> StateKey {
        state_key(&self.domain, &self.selector)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Packer::new(VERSION);
        out.u64(match self.algorithm {
            Algorithm::RsaSha256 => 0,
            Algorithm::Ed25519Sha256 => 1,
        });
        out.u64(match self.stage {
            KeyStage::Waiting => 0,
            KeyStage::Active => 1,
            KeyStage::Retired => 2,
        });
        out.i64(self.since.millis());
        out.i64(self.made.millis());
        out.text(&self.record);
        out.octets(&self.sealed);
        out.finish()
    }

    pub(super) fn decode(key: &StateKey, value: &[u8]) -> Result<Self, PackError> {
        let mut from = Unpacker::new(value, VERSION)?;
        let name = |text: &str| Domain::parse(text).map_err(|_| PackError::Damaged);
        let (domain, selector) = key.key.split_once('/').ok_or(PackError::Damaged)?;
        Ok(Self {
            domain: name(domain)?,
            selector: name(selector)?,
            algorithm: match from.u64()? {
                0 => Algorithm::RsaSha256,
                1 => Algorithm::Ed25519Sha256,
                _ => return Err(PackError::Damaged),
            },
            stage: match from.u64()? {
                0 => KeyStage::Waiting,
                1 => KeyStage::Active,
                2 => KeyStage::Retired,
                _ => return Err(PackError::Damaged),
            },
            since: Timestamp::from_millis(from.i64()?),
            made: Timestamp::from_millis(from.i64()?),
            record: from.text()?.to_owned(),
            sealed: from.octets()?.to_vec(),
        })
    }
}

/// What is authenticated beside the private half, and the key of the entry.
pub(super) fn state_key(domain: &Domain, selector: &Domain) -> StateKey {
    StateKey::new(NAMESPACE, &format!("{domain}/{selector}"))
}
