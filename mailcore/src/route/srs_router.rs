//! [`SrsRouter`]: gives mail that is sent on to other hosts a sender of ours
//! ([`super::srs`]), and leads notices to such senders back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::srs::{Srs, SrsError, SrsKey, SrsMac, is_srs};
use crate::address::{Address, Domain, ReversePath};
use crate::batch::{Batch, Precondition, StateChange};
use crate::seams::{
    Clock, Commit, CommitError, Demands, Directory, DirectoryError, DomainKind, Entropy, Route,
    RouteError, RouteQuery, Router, State, StateKey,
};
use crate::status::Status;
use crate::time::Timestamp;

/// How long a key makes addresses. The one before it is known as long again,
/// which is longer than an address is good for.
const KEY_LIFE: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Where the keys are kept.
const NAMESPACE: &str = "srs";
const KEYS: &str = "keys";
/// Attempts at writing a key while others do the same.
const ATTEMPTS: usize = 3;

/// A router over another one. Its keys are in [`State`], made when they are
/// first needed and changed every 30 days.
#[derive(Debug)]
pub struct SrsRouter {
    inner: Arc<dyn Router>,
    seams: SrsSeams,
    domain: Option<Domain>,
    held: Mutex<Option<Keys>>,
}

/// What a [`SrsRouter`] uses.
#[derive(Debug, Clone)]
pub struct SrsSeams {
    /// Tells which domains are ours.
    pub directory: Arc<dyn Directory>,
    /// Keeps the keys.
    pub state: Arc<dyn State>,
    /// Writes them.
    pub commit: Arc<dyn Commit>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Keys.
    pub entropy: Arc<dyn Entropy>,
    /// What signs an address.
    pub mac: SrsMac,
}

/// The newest key first.
#[derive(Clone)]
struct Keys {
    made: Timestamp,
    all: Vec<SrsKey>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl SrsRouter {
    /// A router over `inner` that writes addresses at the first local domain.
    pub fn new(inner: Arc<dyn Router>, seams: SrsSeams) -> Self {
        Self {
            inner,
            seams,
            domain: None,
            held: Mutex::default(),
        }
    }

    /// With addresses at this domain, while it is a local one.
    #[must_use]
    pub fn with_domain(mut self, domain: Domain) -> Self {
        self.domain = Some(domain);
        self
    }

    async fn own_domain(&self) -> Result<Option<Domain>, RouteError> {
        let all = self.seams.directory.domains().await.map_err(unavailable)?;
        let local = all.into_iter().filter(|it| it.kind == DomainKind::Local);
        let local: Vec<Domain> = local.map(|it| it.domain).collect();
        // At a domain that is not ours notices would reach somebody else.
        let wanted = local.iter().find(|it| Some(*it) == self.domain.as_ref());
        Ok(wanted.or(local.first()).cloned())
    }

    /// Whether mail for this domain's addresses ends here.
    async fn is_ours(&self, domain: &Domain) -> Result<bool, RouteError> {
        let served = self.seams.directory.domain(domain).await;
        let kind = served.map_err(unavailable)?.map(|record| record.kind);
        Ok(matches!(
            kind,
            Some(DomainKind::Local | DomainKind::Alias { .. })
        ))
    }

    /// The route back of a notice.
    async fn back(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
        // Only notices are let through: they have no sender (RFC 5321 section
        // 4.5.5), so that an address that became known is no open door.
        if query.reverse_path != Some(&ReversePath::Null) {
            return Ok(refused("this address takes delivery notices only"));
        }
        let now = self.seams.clock.now();
        let keys = self.known(now).await?;
        let srs = self.srs(keys.map(|it| it.all).unwrap_or_default());
        match srs.reverse(query.address.local_part(), now) {
            Ok(sender) => Ok(Route::Expand { to: vec![sender] }),
            Err(error) => {
                // Which it is helps those alone who try to make one.
                tracing::debug!(%error, address = %query.address, "a notice for nobody");
                Ok(refused("this forwarding address is not good, or no longer"))
            }
        }
    }

    fn srs(&self, keys: Vec<SrsKey>) -> Srs {
        Srs::new(self.seams.mac, keys)
    }

    /// The keys as they are, for reading addresses.
    async fn known(&self, now: Timestamp) -> Result<Option<Keys>, RouteError> {
        let mut held = self.held.lock().await;
        if let Some(keys) = held.as_ref().filter(|keys| keys.is_fresh(now)) {
            return Ok(Some(keys.clone()));
        }
        let kept = self.seams.state.read(&state_key()).await;
        let kept = kept.map_err(no_keys)?;
        let keys = kept.and_then(|kept| Keys::decode(&kept.value));
        held.clone_from(&keys);
        Ok(keys)
    }

    /// The keys for making addresses: the newest one is of these days.
    async fn signing(&self, now: Timestamp) -> Result<Keys, RouteError> {
        let mut held = self.held.lock().await;
        if let Some(keys) = held.as_ref().filter(|keys| keys.is_fresh(now)) {
            return Ok(keys.clone());
        }
        for _ in 0..ATTEMPTS {
            let kept = self.seams.state.read(&state_key()).await;
            let kept = kept.map_err(no_keys)?;
            let version = kept.as_ref().map(|kept| kept.version);
            let kept = kept.and_then(|kept| Keys::decode(&kept.value));
            if let Some(keys) = kept.as_ref().filter(|keys| keys.is_fresh(now)) {
                return Ok(held.insert(keys.clone()).clone());
            }
            let keys = self.renewed(kept, now);
            match self.seams.commit.commit(keys.batch(version)).await {
                Ok(_) => return Ok(held.insert(keys).clone()),
                // Another server of the same store was quicker: its key counts.
                Err(CommitError::Precondition(_)) => {}
                Err(error) => return Err(no_keys(error)),
            }
        }
        Err(no_keys("others keep changing them"))
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
}

impl Keys {
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.made.after(KEY_LIFE) > now
    }

    /// Keeps them, unless they were changed since this version.
    fn batch(&self, version: Option<u64>) -> Batch {
        Batch {
            preconditions: vec![Precondition::StateIs {
                key: state_key(),
                version,
            }],
            state: vec![StateChange::Put {
                key: state_key(),
                value: self.encode(),
                expires: None,
            }],
            ..Batch::default()
        }
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

fn state_key() -> StateKey {
    StateKey::new(NAMESPACE, KEYS)
}

fn refused(words: &str) -> Route {
    Route::Refused {
        status: Status::permanent(7, 1, words),
    }
}

fn unavailable(error: DirectoryError) -> RouteError {
    RouteError(error.to_string())
}

fn no_keys(error: impl std::fmt::Display) -> RouteError {
    RouteError(format!("the keys of forwarding addresses: {error}"))
}

#[async_trait]
impl Router for SrsRouter {
    async fn route(&self, query: &RouteQuery<'_>) -> Result<Route, RouteError> {
        let address = query.address;
        if is_srs(address.local_part()) && self.is_ours(address.domain()).await? {
            return self.back(query).await;
        }
        self.inner.route(query).await
    }

    async fn demands(&self, address: &Address) -> Result<Demands, RouteError> {
        self.inner.demands(address).await
    }

    async fn forwarded_sender(&self, sender: &ReversePath) -> Result<ReversePath, RouteError> {
        // Our own senders need no other name, and nobody answers a notice.
        let ReversePath::Address(address) = sender else {
            return Ok(ReversePath::Null);
        };
        let directory = &self.seams.directory;
        let served = directory.domain(address.domain()).await;
        if served.map_err(unavailable)?.is_some() {
            return Ok(sender.clone());
        }
        let Some(ours) = self.own_domain().await? else {
            return Ok(sender.clone());
        };
        let now = self.seams.clock.now();
        let keys = self.signing(now).await?;
        match self.srs(keys.all).forward(address, &ours, now) {
            Ok(forwarded) => Ok(ReversePath::Address(forwarded)),
            Err(error @ SrsError::TooLong(_)) => {
                tracing::info!(%error, %address, "forwarded under its own sender");
                Ok(sender.clone())
            }
            Err(error) => Err(no_keys(error)),
        }
    }
}
