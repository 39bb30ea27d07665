//! [`SrsRouter`]: gives mail that is sent on to other hosts a sender of ours
//! ([`super::srs`]), and leads notices to such senders back.

use std::sync::Arc;

use async_trait::async_trait;

use super::key_ring::{KeyRing, KeyRingSeams};
use super::srs::{Srs, SrsError, SrsKey, SrsMac, is_srs};
use crate::address::{Address, Domain, ReversePath};
use crate::seams::{
    Clock, Commit, Demands, Directory, DirectoryError, DomainKind, Entropy, Route, RouteError,
    RouteQuery, Router, State,
};
use crate::status::Status;

/// Where the keys are kept.
const NAMESPACE: &str = "srs";

/// A router over another one. Its keys are in [`State`], made when they are
/// first needed and changed every 30 days.
#[derive(Debug)]
pub struct SrsRouter {
    inner: Arc<dyn Router>,
    directory: Arc<dyn Directory>,
    clock: Arc<dyn Clock>,
    mac: SrsMac,
    keys: KeyRing,
    domain: Option<Domain>,
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

impl SrsRouter {
    /// A router over `inner` that writes addresses at the first local domain.
    pub fn new(inner: Arc<dyn Router>, seams: SrsSeams) -> Self {
        let keys = KeyRingSeams {
            state: seams.state,
            commit: seams.commit,
            clock: Arc::clone(&seams.clock),
            entropy: seams.entropy,
        };
        Self {
            inner,
            directory: seams.directory,
            clock: seams.clock,
            mac: seams.mac,
            keys: KeyRing::new(NAMESPACE, keys),
            domain: None,
        }
    }

    /// With addresses at this domain, while it is a local one.
    #[must_use]
    pub fn with_domain(mut self, domain: Domain) -> Self {
        self.domain = Some(domain);
        self
    }

    async fn own_domain(&self) -> Result<Option<Domain>, RouteError> {
        let all = self.directory.domains().await.map_err(unavailable)?;
        let local = all.into_iter().filter(|it| it.kind == DomainKind::Local);
        let local: Vec<Domain> = local.map(|it| it.domain).collect();
        // At a domain that is not ours notices would reach somebody else.
        let wanted = local.iter().find(|it| Some(*it) == self.domain.as_ref());
        Ok(wanted.or(local.first()).cloned())
    }

    /// Whether mail for this domain's addresses ends here.
    async fn is_ours(&self, domain: &Domain) -> Result<bool, RouteError> {
        let served = self.directory.domain(domain).await;
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
        let now = self.clock.now();
        let srs = self.srs(self.keys.known().await.map_err(no_keys)?);
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
        Srs::new(self.mac, keys)
    }
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
    RouteError(error.to_string())
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
        let directory = &self.directory;
        let served = directory.domain(address.domain()).await;
        if served.map_err(unavailable)?.is_some() {
            return Ok(sender.clone());
        }
        let Some(ours) = self.own_domain().await? else {
            return Ok(sender.clone());
        };
        let now = self.clock.now();
        let keys = self.keys.signing().await.map_err(no_keys)?;
        match self.srs(keys).forward(address, &ours, now) {
            Ok(forwarded) => Ok(ReversePath::Address(forwarded)),
            Err(error @ SrsError::TooLong(_)) => {
                tracing::info!(%error, %address, "forwarded under its own sender");
                Ok(sender.clone())
            }
            Err(error) => Err(no_keys(error)),
        }
    }
}
