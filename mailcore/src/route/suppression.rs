//! [`SuppressionList`]: addresses and domains that nothing is sent to any more.
//!
//! What that means for mail is [`SuppressionRouter`](super::SuppressionRouter)'s.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::address::{Address, AddressError, Domain};
use crate::batch::StateChange;
use crate::pack::{PackError, Packer, Unpacker};
use crate::seams::{State, StateKey, StateValue, StoreError};
use crate::status::Status;
use crate::time::Timestamp;

/// Where the list is kept.
const NAMESPACE: &str = "suppression";
/// Entries changed by one write: a store takes no batch of any size.
const AT_ONCE: usize = 500;
/// Characters of a reason: it goes into replies and notices.
const MAX_REASON: usize = 200;
const VERSION: u8 = 1;

/// Whom nothing is sent to: an address, or `@example.com` for all of a domain
/// (not of those below it).
///
/// Compared without regard to case, in both halves: a mailbox that differs from
/// another one by case alone exists hardly anywhere, and mail that goes out
/// again for a letter's sake is what the list is to prevent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Suppressed {
    /// One address.
    Address(Address),
    /// Every address of a domain.
    Domain(Domain),
}

impl Suppressed {
    /// As it is looked up. Both forms of an internationalised domain are one.
    fn key(&self) -> StateKey {
        let ascii = |domain: &Domain| domain.to_ascii().unwrap_or_else(|_| domain.clone());
        let text = match self {
            Self::Domain(domain) => format!("@{}", ascii(domain)),
            Self::Address(address) => {
                let folded = address.folded();
                let address = Address::new(folded.local_part(), ascii(folded.domain()));
                address.unwrap_or(folded).to_string()
            }
        };
        StateKey::new(NAMESPACE, &text)
    }
}

impl FromStr for Suppressed {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix('@') {
            Some(domain) => Domain::parse(domain).map(Self::Domain),
            None => Address::parse(text).map(Self::Address),
        }
    }
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Domain(domain) => write!(f, "@{domain}"),
        }
    }
}

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suppression {
    /// Whom nothing is sent to.
    pub who: Suppressed,
    /// Why, for those who want to send there.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` for until it is taken off the list.
    pub until: Option<Timestamp>,
}

impl Suppression {
    /// From now on, until taken off the list, without a reason.
    pub fn new(who: Suppressed, since: Timestamp) -> Self {
        Self {
            who,
            reason: None,
            since,
            until: None,
        }
    }

    /// With a reason, of which the first 200 characters are kept.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        let reason = reason.trim().chars().take(MAX_REASON);
        let reason: String = reason
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        self.reason = Some(reason).filter(|reason| !reason.is_empty());
        self
    }

    /// Until then.
    #[must_use]
    pub fn until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }

    /// What a sender is told.
    pub(super) fn status(&self) -> Status {
        let who = &self.who;
        let words = match &self.reason {
            Some(reason) => format!("{who} is on the suppression list of this server: {reason}"),
            None => format!("{who} is on the suppression list of this server"),
        };
        Status::permanent(7, 1, words)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Packer::new(VERSION);
        out.i64(self.since.millis());
        out.option(self.reason.as_deref(), |out, reason| out.text(reason));
        out.finish()
    }

    fn decode(key: &StateKey, value: &StateValue) -> Result<Self, PackError> {
        let mut from = Unpacker::new(&value.value, VERSION)?;
        Ok(Self {
            who: key.key.parse().map_err(|_| PackError::Damaged)?,
            since: Timestamp::from_millis(from.i64()?),
            reason: from.option(|from| from.text().map(str::to_owned))?,
            until: value.expires,
        })
    }
}

/// Why the list can't be read or changed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum SuppressionError {
    /// The store failed.
    #[error("the suppression list can't be reached: {0}")]
    Store(#[from] StoreError),
    /// An entry can't be read. Mail for it is kept back, since what was meant is
    /// not known.
    #[error("the entry {who} of the suppression list can't be read ({source}); remove it")]
    Entry {
        /// Which, as it is kept.
        who: String,
        /// What is wrong with it.
        source: PackError,
    },
}

/// The list, in a store's [`State`]: a copy of this is the same list. Changes
/// are durable when they return and hold at once, also for another server of
/// the same store. Entries whose time is over vanish.
#[derive(Debug, Clone)]
pub struct SuppressionList {
    state: Arc<dyn State>,
}

impl SuppressionList {
    /// The list that `state` holds.
    pub fn new(state: Arc<dyn State>) -> Self {
        Self { state }
    }

    /// Puts entries on the list, in place of those there for the same. When it
    /// fails, the first ones may be on it.
    ///
    /// # Errors
    /// [`SuppressionError`].
    pub async fn add(&self, entries: &[Suppression]) -> Result<(), SuppressionError> {
        for entries in entries.chunks(AT_ONCE) {
            let changes = entries.iter().map(|entry| StateChange::Put {
                key: entry.who.key(),
                value: entry.encode(),
                expires: entry.until,
            });
            self.state.change(changes.collect()).await?;
        }
        Ok(())
    }

    /// Takes one off the list; false when it was not on it.
    ///
    /// # Errors
    /// [`SuppressionError`].
    pub async fn remove(&self, who: &Suppressed) -> Result<bool, SuppressionError> {
        let key = who.key();
        if self.state.read(&key).await?.is_none() {
            return Ok(false);
        }
        let change = StateChange::Remove { key };
        self.state.change(vec![change]).await?;
        Ok(true)
    }

    /// The entry that keeps mail from an address: its own, or its domain's.
    ///
    /// # Errors
    /// [`SuppressionError`].
    pub async fn find(&self, address: &Address) -> Result<Option<Suppression>, SuppressionError> {
        let own = Suppressed::Address(address.clone());
        let domain = Suppressed::Domain(address.domain().clone());
        for key in [own.key(), domain.key()] {
            if let Some(value) = self.state.read(&key).await? {
                return read(&key, &value).map(Some);
            }
        }
        Ok(None)
    }

    /// Up to `limit` entries after `after`, in the order of their text.
    ///
    /// # Errors
    /// [`SuppressionError`].
    pub async fn list(
        &self,
        after: Option<&Suppressed>,
        limit: usize,
    ) -> Result<Vec<Suppression>, SuppressionError> {
        let after = after.map(Suppressed::key);
        let after = after.as_ref().map(|key| &*key.key);
        let found = self.state.scan(NAMESPACE, "", after, limit).await?;
        found.iter().map(|(key, value)| read(key, value)).collect()
    }
}

fn read(key: &StateKey, value: &StateValue) -> Result<Suppression, SuppressionError> {
    Suppression::decode(key, value).map_err(|source| SuppressionError::Entry {
        who: key.key.to_string(),
        source,
    })
}

#[cfg(test)]
mod tests;
