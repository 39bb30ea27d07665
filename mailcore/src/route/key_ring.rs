//! [`KeyRing`]: the keys that marks in addresses are made with, kept in `State`
//! and changed by themselves.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Mutex;

use crate::batch::{Batch, Precondition, StateChange};
use crate::seams::{Clock, Commit, CommitError, Entropy, State, StateKey};
use crate::time::Timestamp;

/// A key.
pub type MarkKey = [u8; 32];

/// Authenticates octets with a key: HMAC, keyed BLAKE3, any of that kind.
pub type MarkMac = fn(&MarkKey, &[u8]) -> [u8; 32];

/// How long a key makes marks. The one before it is known as long again, which
/// is longer than a mark is good for.
const KEY_LIFE: Duration = Duration::from_secs(30 * 24 * 3_600);
const KEYS: &str = "keys";
/// Attempts at writing a key while others do the same.
const ATTEMPTS: usize = 3;

/// Keys, made when they are first needed and changed every 30 days.
#[derive(Debug)]
pub struct KeyRing {
    seams: KeyRingSeams,
    namespace: &'static str,
    held: Mutex<Option<Keys>>,
}

/// What a [`KeyRing`] uses.
#[derive(Debug, Clone)]
pub struct KeyRingSeams {
    /// Keeps the keys.
    pub state: Arc<dyn State>,
    /// Writes them.
    pub commit: Arc<dyn Commit>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Keys.
    pub entropy: Arc<dyn Entropy>,
}

/// Why there are no keys now.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the keys of marks in addresses: {0}; try again later")]
pub struct KeyRingError(pub String);

/// The newest key first.
#[derive(Clone)]
struct Keys {
    made: Timestamp,
    all: Vec<MarkKey>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Keys of one use, which the namespace in the state is named after.
    pub fn new(namespace: &'static str, seams: KeyRingSeams) -> Self {
        Self {
            seams,
            namespace,
            held: Mutex::default(),
        }
    }

    /// The keys as they are, for reading marks: none before the first was made.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn known(&self) -> Result<Vec<MarkKey>, KeyRingError> {
        let now = self.seams.clock.now();
        let mut held = self.held.lock().await;
        if let Some(keys) = held.as_ref().filter(|keys| keys.is_fresh(now)) {
            return Ok(keys.all.clone());
        }
        let kept = self.seams.state.read(&self.key()).await.map_err(failed)?;
        let keys = kept.and_then(|kept| Keys::decode(&kept.value));
        held.clone_from(&keys);
        Ok(keys.map(|keys| keys.all).unwrap_or_default())
    }

    /// The keys for making marks: the first is of these days.
    ///
    /// # Errors
    /// The store does not answer, or takes no changes.
    pub async fn signing(&self) -> Result<Vec<MarkKey>, KeyRingError> {
        let now = self.seams.clock.now();
        let mut held = self.held.lock().await;
        if let Some(keys) = held.as_ref().filter(|keys| keys.is_fresh(now)) {
            return Ok(keys.all.clone());
        }
        for _ in 0..ATTEMPTS {
            let kept = self.seams.state.read(&self.key()).await.map_err(failed)?;
            let version = kept.as_ref().map(|kept| kept.version);
            let kept = kept.and_then(|kept| Keys::decode(&kept.value));
            if let Some(keys) = kept.as_ref().filter(|keys| keys.is_fresh(now)) {
                return Ok(held.insert(keys.clone()).all.clone());
            }
            let keys = self.renewed(kept, now);
            match self.seams.commit.commit(self.batch(&keys, version)).await {
                Ok(_) => return Ok(held.insert(keys).all.clone()),
                // Another server of the same store was quicker: its key counts.
                Err(CommitError::Precondition(_)) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed("others keep changing them"))
    }

    fn renewed(&self, before: Option<Keys>, now: Timestamp) -> Keys {
        let mut fresh = [0; 32];
        self.seams.entropy.fill(&mut fresh);
        let before = before.and_then(|keys| keys.all.first().copied());
        Keys {
            made: now,
            all: [Some(fresh), before].into_iter().flatten().collect(),
        }
    }

    /// Keeps them, unless they were changed since this version.
    fn batch(&self, keys: &Keys, version: Option<u64>) -> Batch {
        Batch {
            preconditions: vec![Precondition::StateIs {
                key: self.key(),
                version,
            }],
            state: vec![StateChange::Put {
                key: self.key(),
                value: keys.encode(),
                expires: None,
            }],
            ..Batch::default()
        }
    }

    fn key(&self) -> StateKey {
        StateKey::new(self.namespace, KEYS)
    }
}

impl Keys {
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.made.after(KEY_LIFE) > now
    }

    fn encode(&self) -> Vec<u8> {
        let mut octets = self.made.millis().to_be_bytes().to_vec();
        for key in &self.all {
            octets.extend_from_slice(key);
        }
        octets
    }

    fn decode(octets: &[u8]) -> Option<Self> {
        let (made, keys) = octets.split_first_chunk()?;
        let (all, rest) = keys.as_chunks::<32>();
        (rest.is_empty() && !all.is_empty()).then(|| Self {
            made: Timestamp::from_millis(i64::from_be_bytes(*made)),
            all: all.to_vec(),
        })
    }
}

fn failed(error: impl fmt::Display) -> KeyRingError {
    KeyRingError(error.to_string())
}
