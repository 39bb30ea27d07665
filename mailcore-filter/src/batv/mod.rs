//! Bounce Address Tag Validation (draft-levine-smtp-batv-01): our users' mail
//! leaves under signed senders, so that a notice to a sender without a sign is
//! one about mail that never was theirs.
//!
//! ```text
//! out:  queue ─► BatvAgent (MAIL FROM:<prvs=…=ann@ours>) ─► the agent for other hosts
//! in:   RCPT TO:<prvs=…=ann@ours> ─► BatvRouter ─► ann@ours
//!       RCPT TO:<ann@ours>, from <> ─► BatvCheck: `unsigned`
//! ```
//!
//! It is on for single domains. Notices without a sign are held against mail only
//! once a domain has signed for as long as a sign is good: until then they may be
//! about mail that left before.

mod agent;
mod check;
mod router;
mod tag;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mailcore::address::{Address, Domain};
use mailcore::batch::StateChange;
use mailcore::route::{KeyRing, KeyRingError, KeyRingSeams, MarkMac};
use mailcore::seams::{Clock, State, StateKey, StoreError};
use mailcore::time::Timestamp;

pub use agent::BatvAgent;
pub use check::BatvCheck;
pub use router::BatvRouter;
pub use tag::{TagError, Tags};

/// Where keys, and when domains began to sign, are kept.
const NAMESPACE: &str = "batv";

/// Whose mail is signed, and for how long a sign is good.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatvConfig {
    /// The domains whose senders are signed.
    pub domains: HashSet<Domain>,
    /// Days that a sign is good for; 7. More than the queues of other hosts keep
    /// mail, and less than a key is known.
    pub valid_days: u16,
}

impl Default for BatvConfig {
    fn default() -> Self {
        Self {
            domains: HashSet::new(),
            valid_days: 7,
        }
    }
}

/// Signs senders and knows its signs: shared by agent, router and check.
#[derive(Debug)]
pub struct Batv {
    config: BatvConfig,
    state: Arc<dyn State>,
    clock: Arc<dyn Clock>,
    mac: MarkMac,
    keys: KeyRing,
    /// Domains of which it is kept when they began to sign.
    begun: Mutex<HashSet<Domain>>,
}

/// Why nothing can be said of a sign now.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BatvError {
    /// No keys.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// The store failed.
    #[error("when a domain began to sign can't be kept or read: {0}")]
    Store(#[from] StoreError),
}

impl Batv {
    /// Signs by `mac` with keys kept in the seams' state.
    pub fn new(config: BatvConfig, seams: KeyRingSeams, mac: MarkMac) -> Arc<Self> {
        Arc::new(Self {
            config,
            state: Arc::clone(&seams.state),
            clock: Arc::clone(&seams.clock),
            mac,
            keys: KeyRing::new(NAMESPACE, seams),
            begun: Mutex::default(),
        })
    }

    /// True for an address whose domain signs.
    pub fn signs(&self, address: &Address) -> bool {
        self.config.domains.contains(address.domain())
    }

    /// The signed form of an address; the address itself when it is too long, or
    /// signed already.
    ///
    /// # Errors
    /// No keys, or the store takes no changes.
    pub async fn sign(&self, address: &Address) -> Result<Address, BatvError> {
        if tag::core(address.local_part()).is_some() {
            return Ok(address.clone());
        }
        let tags = self.tags(self.keys.signing().await?);
        self.note_begun(address.domain()).await?;
        Ok(match tags.sign(address, self.clock.now()) {
            Ok(signed) => signed,
            Err(error) => {
                tracing::info!(%error, %address, "left unsigned");
                address.clone()
            }
        })
    }

    /// The address that was signed here.
    ///
    /// # Errors
    /// The store does not answer; within, why it was not signed here.
    pub async fn verify(&self, address: &Address) -> Result<Result<Address, TagError>, BatvError> {
        let tags = self.tags(self.keys.known().await?);
        Ok(tags.verify(address, self.clock.now()))
    }

    /// True once all mail of the domain that notices may be about left signed.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn is_settled(&self, domain: &Domain) -> Result<bool, BatvError> {
        let Some(kept) = self.state.read(&since_key(domain)).await? else {
            return Ok(false);
        };
        let Some((since, _)) = kept.value.split_first_chunk() else {
            return Ok(false);
        };
        let since = Timestamp::from_millis(i64::from_be_bytes(*since));
        let valid = Duration::from_secs(u64::from(self.config.valid_days) * 24 * 3_600);
        Ok(self.clock.now().since(since) >= valid)
    }

    async fn note_begun(&self, domain: &Domain) -> Result<(), BatvError> {
        if lock(&self.begun).contains(domain) {
            return Ok(());
        }
        let key = since_key(domain);
        if self.state.read(&key).await?.is_none() {
            let value = self.clock.now().millis().to_be_bytes().to_vec();
            let expires = None;
            let change = StateChange::Put {
                key,
                value,
                expires,
            };
            self.state.change(vec![change]).await?;
        }
        lock(&self.begun).insert(domain.clone());
        Ok(())
    }

    fn tags(&self, keys: Vec<mailcore::route::MarkKey>) -> Tags {
        Tags::new(self.mac, keys, self.config.valid_days)
    }
}

fn since_key(domain: &Domain) -> StateKey {
    StateKey::new(NAMESPACE, &format!("since {domain}"))
}

fn lock(begun: &Mutex<HashSet<Domain>>) -> std::sync::MutexGuard<'_, HashSet<Domain>> {
    begun.lock().unwrap_or_else(PoisonError::into_inner)
}
