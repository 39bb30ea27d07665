//! [`KeyRing`]: the signing keys of all domains.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use mailcore::account::Secret;
use mailcore::address::Domain;
use mailcore::batch::StateChange;
use mailcore::message::DateTime;
use mailcore::seams::{Clock, State, StateKey, StoreError};
use mailcore::time::{Monotonic, Timestamp};
use thiserror::Error;

use super::entry::{KeyEntry, KeyStage, NAMESPACE, state_key};
use crate::sender_auth::dkim::{Algorithm, SigningError, SigningKey};

/// Entries read at a time.
const PAGE: usize = 1_000;
/// How long keys are believed that other processes may change, too.
const BELIEVED: Duration = Duration::from_secs(60);
/// Keys of one domain: each is a record in DNS, and every signature of an active
/// one grows each message.
const MOST_KEYS: usize = 32;

/// Encrypts private keys, so that a copy of the store alone does not tell them.
pub trait KeySeal: Debug + Send + Sync {
    /// Encrypts a secret; it opens at this place alone.
    ///
    /// # Errors
    /// [`SealError`].
    fn seal(&self, place: &str, secret: &Secret) -> Result<Vec<u8>, SealError>;

    /// Undoes [`KeySeal::seal`].
    ///
    /// # Errors
    /// [`SealError`]: it was sealed with another key, at another place, or is
    /// damaged.
    fn unseal(&self, place: &str, sealed: &[u8]) -> Result<Secret, SealError>;
}

/// Why a key can't be encrypted or decrypted, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct SealError(pub String);

/// Why a key ring does not do what it is asked for.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum KeyRingError {
    /// The name is taken.
    #[error("{0} has a key {1} already; choose another selector")]
    Taken(Domain, Domain),
    /// There is none.
    #[error("{0} has no key {1}; see which there are with `dkim list`")]
    NoSuchKey(Domain, Domain),
    /// There are enough.
    #[error("{0} has {MOST_KEYS} keys already; remove one that is retired")]
    Many(Domain),
    /// No name in DNS.
    #[error("{0:?} is no name for a domain or a selector")]
    Name(String),
    /// The key is none to sign with.
    #[error(transparent)]
    Key(#[from] SigningError),
    /// It can't be encrypted.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store fails.
    #[error("the signing keys can't be read or kept: {0}")]
    Store(#[from] StoreError),
}

/// A key to be added.
#[derive(Clone)]
#[non_exhaustive]
pub enum NewKey {
    /// One made now.
    Made(Algorithm),
    /// One in PEM, from another server.
    Pem(String),
}

impl Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(algorithm) => write!(f, "Made({})", algorithm.as_str()),
            Self::Pem(_) => f.write_str("Pem(***)"),
        }
    }
}

/// The signing keys of all domains, kept in the server's state.
///
/// They are read once and remembered; what changes them is this ring's own
/// methods, or another process where the state is shared.
pub struct KeyRing {
    state: Arc<dyn State>,
    seal: Arc<dyn KeySeal>,
    clock: Arc<dyn Clock>,
    known: RwLock<Option<Arc<Known>>>,
    /// Grows with each change: what was being read meanwhile is old.
    changes: AtomicU64,
}

/// All keys, as they were read.
pub(super) struct Known {
    read_at: Monotonic,
    /// Which state of the ring it is.
    pub(super) mark: u64,
    domains: HashMap<Domain, Vec<Kept>>,
}

/// A key, decrypted when it is first used.
pub(super) struct Kept {
    pub(super) entry: KeyEntry,
    key: OnceLock<Option<Arc<SigningKey>>>,
}

impl Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").finish_non_exhaustive()
    }
}

impl KeyRing {
    /// The keys in `state`, encrypted by `seal`.
    pub fn new(state: Arc<dyn State>, seal: Arc<dyn KeySeal>, clock: Arc<dyn Clock>) -> Self {
        Self {
            state,
            seal,
            clock,
            known: RwLock::default(),
            changes: AtomicU64::new(0),
        }
    }

    /// The keys of one domain, or of all, by domain and selector.
    ///
    /// # Errors
    /// [`KeyRingError::Store`].
    pub async fn list(&self, domain: Option<&Domain>) -> Result<Vec<KeyEntry>, KeyRingError> {
        let prefix = match domain {
            Some(domain) => format!("{}/", ascii(domain)?),
            None => String::new(),
        };
        Ok(self.read(&prefix).await?)
    }

    /// Adds a key, under a selector of this day unless one is given:
    /// `r20261122`, `e20261122`.
    ///
    /// # Errors
    /// [`KeyRingError`].
    pub async fn add(
        &self,
        (domain, selector): (&Domain, Option<&Domain>),
        new: NewKey,
        stage: KeyStage,
    ) -> Result<KeyEntry, KeyRingError> {
        let domain = ascii(domain)?;
        let selector = selector.map(ascii).transpose()?;
        let there = self.list(Some(&domain)).await?;
        let is_taken = |selector: &Domain| there.iter().any(|it| it.selector == *selector);
        if let Some(selector) = selector.as_ref().filter(|it| is_taken(it)) {
            return Err(KeyRingError::Taken(domain, selector.clone()));
        }
        if there.len() >= MOST_KEYS {
            return Err(KeyRingError::Many(domain));
        }
        let (key, pem) = match new {
            // Finding primes takes some hundred milliseconds.
            NewKey::Made(algorithm) => {
                let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm));
                made.await.map_err(|_| SigningError::Key)??
            }
            NewKey::Pem(pem) => (SigningKey::from_pem(&pem)?, pem),
        };
        let now = self.clock.now();
        let selector = selector.or_else(|| free_selector(&there, key.algorithm(), now));
        let selector = selector.ok_or_else(|| KeyRingError::Many(domain.clone()))?;
        let place = state_key(&domain, &selector);
        let entry = KeyEntry {
            algorithm: key.algorithm(),
            stage,
            since: now,
            made: now,
            record: key.record()?,
            sealed: self.seal.seal(&place.key, &Secret::new(pem))?,
            domain,
            selector,
        };
        self.put(&entry).await?;
        Ok(entry)
    }

    /// Moves a key to another stage, from now on.
    ///
    /// # Errors
    /// [`KeyRingError`].
    pub async fn set_stage(
        &self,
        (domain, selector): (&Domain, &Domain),
        stage: KeyStage,
    ) -> Result<KeyEntry, KeyRingError> {
        let mut entry = self.find(domain, selector).await?;
        if entry.stage != stage {
            entry.stage = stage;
            entry.since = self.clock.now();
            self.put(&entry).await?;
        }
        Ok(entry)
    }

    /// Has a key sign from now on, in place of those of its kind that signed
    /// before: it comes first, and they, retired, after it.
    ///
    /// # Errors
    /// [`KeyRingError`].
    pub async fn activate(
        &self,
        (domain, selector): (&Domain, &Domain),
    ) -> Result<Vec<KeyEntry>, KeyRingError> {
        let mut changed = vec![self.set_stage((domain, selector), KeyStage::Active).await?];
        for before in self.list(Some(domain)).await? {
            let others = changed.first().is_some_and(|it| {
                it.algorithm == before.algorithm && it.selector != before.selector
            });
            if others && before.stage == KeyStage::Active {
                let name = (&before.domain, &before.selector);
                changed.push(self.set_stage(name, KeyStage::Retired).await?);
            }
        }
        Ok(changed)
    }

    /// Removes a key for good.
    ///
    /// # Errors
    /// [`KeyRingError`].
    pub async fn remove(&self, domain: &Domain, selector: &Domain) -> Result<(), KeyRingError> {
        let (domain, selector) = (ascii(domain)?, ascii(selector)?);
        let key = state_key(&domain, &selector);
        // Also one that can't be read any more.
        if self.state.read(&key).await?.is_none() {
            return Err(KeyRingError::NoSuchKey(domain, selector));
        }
        self.state.change(vec![StateChange::Remove { key }]).await?;
        self.forget();
        Ok(())
    }

    async fn find(&self, domain: &Domain, selector: &Domain) -> Result<KeyEntry, KeyRingError> {
        let (domain, selector) = (ascii(domain)?, ascii(selector)?);
        let key = state_key(&domain, &selector);
        match self.state.read(&key).await? {
            Some(value) => decode(&key, &value.value).map_err(KeyRingError::Store),
            None => Err(KeyRingError::NoSuchKey(domain, selector)),
        }
    }

    async fn put(&self, entry: &KeyEntry) -> Result<(), StoreError> {
        let change = StateChange::Put {
            key: entry.key(),
            value: entry.encode(),
            expires: None,
        };
        self.state.change(vec![change]).await?;
        self.forget();
        Ok(())
    }

    async fn read(&self, prefix: &str) -> Result<Vec<KeyEntry>, StoreError> {
        let mut entries = Vec::new();
        let mut after: Option<Arc<str>> = None;
        loop {
            let page = self.state.scan(NAMESPACE, prefix, after.as_deref(), PAGE);
            let page = page.await?;
            let full = page.len() == PAGE;
            after = page.last().map(|(key, _)| Arc::clone(&key.key));
            for (key, value) in &page {
                // One that can't be read keeps no other from signing.
                match decode(key, &value.value) {
                    Ok(entry) => entries.push(entry),
                    Err(error) => tracing::error!(%error, "a signing key is left out"),
                }
            }
            if !full {
                return Ok(entries);
            }
        }
    }

    fn forget(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// All keys. Those read before are used while the store does not answer.
    pub(super) async fn known(&self) -> Result<Arc<Known>, StoreError> {
        let mark = self.changes.load(Ordering::Acquire);
        let before = (self.known.read().unwrap_or_else(PoisonError::into_inner)).clone();
        let now = self.clock.monotonic();
        let fresh = |known: &Known| !self.state.is_shared() || now.since(known.read_at) < BELIEVED;
        if let Some(known) = before.as_ref().filter(|known| fresh(known)) {
            return Ok(Arc::clone(known));
        }
        let entries = match (self.read("").await, before) {
            (Ok(entries), _) => entries,
            (Err(error), Some(before)) => {
                tracing::warn!(%error, "signing with the keys as they were read before");
                return Ok(before);
            }
            (Err(error), None) => return Err(error),
        };
        let mut domains: HashMap<Domain, Vec<Kept>> = HashMap::new();
        for entry in entries {
            let kept = Kept {
                key: OnceLock::new(),
                entry,
            };
            domains
                .entry(kept.entry.domain.clone())
                .or_default()
                .push(kept);
        }
        let known = Arc::new(Known {
            read_at: now,
            mark,
            domains,
        });
        let mut slot = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if self.changes.load(Ordering::Acquire) == mark {
            *slot = Some(Arc::clone(&known));
        }
        drop(slot);
        Ok(known)
    }

    /// The private half; none when it does not open, which is told once.
    pub(super) fn open(&self, kept: &Kept) -> Option<Arc<SigningKey>> {
        let open = || {
            let entry = &kept.entry;
            let opened = self.seal.unseal(&entry.key().key, &entry.sealed);
            let key = opened.map_err(|error| error.to_string()).and_then(|pem| {
                SigningKey::from_pem(&String::from_utf8_lossy(pem.expose()))
                    .map_err(|error| error.to_string())
            });
            match key {
                Ok(key) => Some(Arc::new(key)),
                Err(error) => {
                    let (domain, selector) = (&entry.domain, &entry.selector);
                    tracing::error!(%domain, %selector, error, "a signing key can't be used");
                    None
                }
            }
        };
        kept.key.get_or_init(open).clone()
    }
}

impl Known {
    /// True when nobody has a key.
    pub(super) fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// The keys to sign with for a domain: of each kind the one that became
    /// active last, RSA first, which everybody can check.
    pub(super) fn active(&self, domain: &Domain) -> Vec<&Kept> {
        let of_kind = |algorithm| {
            let keys = self.domains.get(domain)?.iter();
            keys.filter(|kept| kept.entry.stage == KeyStage::Active)
                .filter(|kept| kept.entry.algorithm == algorithm)
                .max_by_key(|kept| kept.entry.since)
        };
        let kinds = [Algorithm::RsaSha256, Algorithm::Ed25519Sha256];
        kinds.into_iter().filter_map(of_kind).collect()
    }
}

fn decode(key: &StateKey, value: &[u8]) -> Result<KeyEntry, StoreError> {
    KeyEntry::decode(key, value)
        .map_err(|error| StoreError::Damaged(format!("the signing key {}: {error}", key.key)))
}

/// A name as DNS has it.
fn ascii(name: &Domain) -> Result<Domain, KeyRingError> {
    let found = name.to_ascii().ok().filter(|it| it.as_ip().is_none());
    found.ok_or_else(|| KeyRingError::Name(name.to_string()))
}

/// A selector of this day that no key has.
fn free_selector(there: &[KeyEntry], algorithm: Algorithm, now: Timestamp) -> Option<Domain> {
    let letter = match algorithm {
        Algorithm::RsaSha256 => 'r',
        Algorithm::Ed25519Sha256 => 'e',
    };
    let day = DateTime::utc(now).date();
    let name = format!(
        "{letter}{:04}{:02}{:02}",
        day.year(),
        day.month(),
        day.day()
    );
    let more = (2..100).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.clone()).chain(more);
    let free = names.find(|name| there.iter().all(|it| it.selector.as_str() != name))?;
    Domain::parse(&free).ok()
}
