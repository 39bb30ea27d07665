//! Questions about addresses and the queue that a session may ask outside of a
//! transaction: VRFY, EXPN (RFC 5321 section 3.5), ETRN (RFC 1985).
//!
//! Who may ask is the session's to decide.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Intake, Refusal};
use crate::account::Identity;
use crate::address::{Address, Domain};
use crate::seams::{
    DirectoryError, DomainKind, FilterSession, QueueStart, Resolution, Route, RouteQuery, Trust,
};
use crate::status::Status;

/// Addresses of an expansion that are told.
const MAX_EXPANSION: usize = 100;

impl Intake {
    /// Whom ETRN wakes; without one it is refused. Once only.
    pub fn starts(&self, queue: Arc<dyn QueueStart>) {
        // A second queue would be a mistake of the builder; the first serves.
        let _ = self.queue.set(queue);
    }

    /// False when there is a queue, and for minutes nobody has worked on it.
    pub fn queue_is_at_work(&self) -> bool {
        self.queue.get().is_none_or(|queue| queue.is_at_work())
    }

    /// Whether a peer at this address is trusted.
    pub async fn trust(&self, address: IpAddr) -> Trust {
        match &self.policy.trusted {
            Some(hosts) if hosts.trusts(address).await => Trust::Trusted,
            _ => Trust::Stranger,
        }
    }

    /// VRFY: the address that `text` means, when mail for it is taken here.
    ///
    /// # Errors
    /// That there is none, or that this can't be said now.
    pub async fn verify(&self, text: &str) -> Result<Address, Refusal> {
        let address = self.meant(text)?;
        match self.route_of(&address).await? {
            Route::Unknown => Err(unknown()),
            Route::Remote { .. } | Route::Withheld { .. } => {
                Err(Status::permanent(1, 2, "not an address of ours").into())
            }
            _ => Ok(address),
        }
    }

    /// EXPN: the addresses that stand for an alias.
    ///
    /// # Errors
    /// That there is no such alias, or that this can't be said now.
    pub async fn expand(&self, text: &str) -> Result<Vec<Address>, Refusal> {
        let address = self.meant(text)?;
        match self.route_of(&address).await? {
            Route::Expand { mut to } => {
                to.truncate(MAX_EXPANSION);
                Ok(to)
            }
            Route::Unknown => Err(unknown()),
            _ => Err(Status::permanent(1, 1, "this is not a list").into()),
        }
    }

    /// ETRN: starts the queue for a domain whose mail goes to another host, and
    /// says how many messages wait for it.
    ///
    /// # Errors
    /// Permanent when the domain is not of that kind, transient when the queue
    /// can't be started.
    pub async fn start_queue(&self, peer: &FilterSession, node: &str) -> Result<u64, Refusal> {
        let domain = Domain::parse(node)
            .map_err(|_| Status::permanent(5, 4, "name a domain; options are not known here"))?;
        let (Some(queue), Some(directory)) = (self.queue.get(), &self.parts.directory) else {
            return Err(Status::permanent(5, 1, "there is no queue").into());
        };
        let record = directory.domain(&domain).await.map_err(|error| {
            tracing::warn!(%error, "can't look the domain of ETRN up");
            Status::transient(4, 3, "the directory does not answer; try again")
        })?;
        let relayed = record.is_some_and(|it| matches!(it.kind, DomainKind::Relay { .. }));
        if !relayed {
            return Err(Status::permanent(7, 1, "its mail is not kept here for it").into());
        }
        let count = queue.start(&domain).await.map_err(|error| {
            tracing::warn!(%error, "can't start the queue");
            Status::transient(3, 0, "the queue can't be started now")
        })?;
        tracing::info!(peer = ?peer.peer, %domain, count, "queue started by ETRN");
        Ok(count)
    }

    /// The account that logs in by this name, on the word of a trusted proxy
    /// that has checked its proof.
    ///
    /// # Errors
    /// That there is none, or that this can't be said now.
    pub async fn known_login(&self, login: &str) -> Result<Identity, Refusal> {
        let address = self.meant(login)?;
        let Some(directory) = &self.parts.directory else {
            return Err(unknown());
        };
        let down = |error: DirectoryError| {
            tracing::warn!(%error, "can't look a login up");
            Status::transient(4, 3, "the directory does not answer; try again")
        };
        let Resolution::Account(account) = directory.resolve(&address).await.map_err(down)? else {
            return Err(unknown());
        };
        let record = directory.account(&account).await.map_err(down)?;
        if !record.is_some_and(|record| record.enabled) {
            return Err(unknown());
        }
        Ok(Identity {
            account,
            login: login.into(),
        })
    }

    /// `user@domain`, in brackets or not; a local part alone is at this host.
    fn meant(&self, text: &str) -> Result<Address, Refusal> {
        let bare = text.trim();
        let bare = (bare.strip_prefix('<').and_then(|it| it.strip_suffix('>'))).unwrap_or(bare);
        match Address::parse(bare) {
            Err(_) if !bare.contains('@') => {
                Address::new(bare, self.parts.hostname.clone()).map_err(|_| unknown())
            }
            parsed => parsed.map_err(|_| unknown()),
        }
    }

    async fn route_of(&self, address: &Address) -> Result<Route, Refusal> {
        let route = self.parts.router.route(&RouteQuery::new(address)).await;
        route.map_err(|error| {
            tracing::warn!(%error, "no route now");
            Status::transient(4, 3, "the directory does not answer; try again").into()
        })
    }
}

fn unknown() -> Refusal {
    Status::permanent(1, 1, "no such user here").into()
}
