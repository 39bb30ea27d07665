//! [`Ban`]: who is kept out, from what, and for how long.

use thiserror::Error;

use crate::net::Network;
use crate::pack::{PackError, Packer, Unpacker};
use crate::seams::{StateKey, StateValue, StoreError};
use crate::time::Timestamp;

/// Where bans are kept.
pub(super) const BANS: &str = "ban";
/// Where those are who are never banned.
pub(super) const ALLOWED: &str = "ban-allow";
/// Characters of a reason.
const MAX_REASON: usize = 200;
const VERSION: u8 = 1;

/// An address or a network that is kept out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ban {
    /// Whom.
    pub who: Network,
    /// From what.
    pub scope: BanScope,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` for until it is lifted.
    pub until: Option<Timestamp>,
}

/// From what somebody is kept out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BanScope {
    /// Logging in, and the services that are for users. Mail for this server is
    /// still taken: behind one address may be a host that relays for many.
    Logins,
    /// Everything.
    Everything,
}

/// Why bans can't be changed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum BanError {
    /// The store failed.
    #[error("the bans can't be written: {0}")]
    Store(#[from] StoreError),
}

impl Ban {
    /// From now on, from everything, until it is lifted.
    pub fn new(who: Network, reason: &str, since: Timestamp) -> Self {
        let reason = reason.chars().take(MAX_REASON);
        Self {
            who,
            scope: BanScope::Everything,
            reason: reason
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect(),
            since,
            until: None,
        }
    }

    /// From this alone.
    #[must_use]
    pub fn from(mut self, scope: BanScope) -> Self {
        self.scope = scope;
        self
    }

    /// Until then.
    #[must_use]
    pub fn until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }

    /// True when its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// True when `other` keeps out from no more and no longer.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let longer = match (self.until, other.until) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => mine >= theirs,
        };
        longer && self.scope >= other.scope
    }

    pub(super) fn key(who: &Network) -> StateKey {
        StateKey::new(BANS, &who.to_string())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Packer::new(VERSION);
        out.i64(self.since.millis());
        out.u64(match self.scope {
            BanScope::Logins => 0,
            BanScope::Everything => 1,
        });
        out.text(&self.reason);
        out.finish()
    }

    pub(super) fn decode(key: &StateKey, value: &StateValue) -> Result<Self, PackError> {
        let mut from = Unpacker::new(&value.value, VERSION)?;
        Ok(Self {
            who: key.key.parse().map_err(|_| PackError::Damaged)?,
            since: Timestamp::from_millis(from.i64()?),
            scope: match from.u64()? {
                0 => BanScope::Logins,
                1 => BanScope::Everything,
                _ => return Err(PackError::Damaged),
            },
            reason: from.text()?.to_owned(),
            until: value.expires,
        })
    }
}
