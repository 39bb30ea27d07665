//! [`Health`]: whether the server runs, and whether it can do its work.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::batch::StateChange;
use mailcore::intake::Intake;
use mailcore::seams::{Clock, Commit, State, StateKey, Storage};
use mailcore::server::{Parts, StartError};
use mailcore::time::Monotonic;
use tokio::sync::Mutex;

use crate::{Page, Request, Response, Status};

/// How long an answer holds: whoever asks must not make the server write.
const HOLDS: Duration = Duration::from_secs(5);
/// Octets that must fit into the store.
const ROOM: u64 = 1024 * 1024;

/// The page `/readyz`: 200 when the store takes writes and the queue is worked
/// on, else 503. What is wrong stands in the log, not on the page.
#[derive(Debug, Clone)]
pub struct Health {
    storage: Arc<dyn Storage>,
    commit: Arc<dyn Commit>,
    state: Arc<dyn State>,
    intake: Arc<Intake>,
    clock: Arc<dyn Clock>,
    /// Held while one looks, so that one look serves all who wait.
    last: Arc<Mutex<Option<(Monotonic, Readiness)>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Ready,
    NotReady,
}

/// The page `/healthz`: 200 as long as the process answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live;

impl Health {
    /// Over a server's store.
    ///
    /// # Errors
    /// [`StartError::Missing`] without one.
    pub fn new(parts: &Parts) -> Result<Self, StartError> {
        Ok(Self {
            storage: parts.storage()?,
            commit: parts.commit()?,
            state: parts.state()?,
            intake: parts.intake(),
            clock: parts.clock(),
            last: Arc::default(),
        })
    }

    pub(crate) fn live(&self) -> Live {
        Live
    }

    async fn readiness(&self) -> Readiness {
        let mut last = self.last.lock().await;
        let now = self.clock.monotonic();
        if let Some((at, readiness)) = *last
            && now.since(at) < HOLDS
        {
            return readiness;
        }
        let readiness = self.look().await;
        *last = Some((now, readiness));
        readiness
    }

    async fn look(&self) -> Readiness {
        if self.storage.is_read_only() || !self.commit.has_room(ROOM) {
            return Readiness::NotReady;
        }
        if !self.intake.queue_is_at_work() {
            tracing::error!("not ready: the queue stands still");
            return Readiness::NotReady;
        }
        let note = StateChange::Put {
            key: StateKey::new("health", "ready"),
            value: Vec::new(),
            expires: Some(self.clock.now().after(HOLDS)),
        };
        match self.state.change(vec![note]).await {
            Ok(_) => Readiness::Ready,
            Err(error) => {
                tracing::error!(%error, "not ready: the store takes no writes");
                Readiness::NotReady
            }
        }
    }
}

#[async_trait]
impl Page for Health {
    async fn answer(&self, _: &Request) -> Response {
        match self.readiness().await {
            Readiness::Ready => Response::text(Status::OK, "ready\n"),
            Readiness::NotReady => Response::text(Status::UNAVAILABLE, "not ready\n"),
        }
    }
}

#[async_trait]
impl Page for Live {
    async fn answer(&self, _: &Request) -> Response {
        Response::text(Status::OK, "alive\n")
    }
}
