//! A server that runs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

use super::readers::Reading;
use super::tail::Tails;
use super::{Parts, ServiceHandle, Submission, SubmitError};
use crate::abuse::Limiter;
use crate::envelope::Envelope;
use crate::intake::Intake;
use crate::net::{Gate, ShutdownSwitch};
use crate::queue::QueueRunner;
use crate::schedule::Scheduler;

/// How long queue and scheduler may take, after the drain time, to write down
/// where they stopped.
const RELEASE_TIME: Duration = Duration::from_secs(5);

/// A server that runs. Dropping it ends everything at once and loses nothing
/// that was acknowledged; [`RunningServer::shutdown`] lets sessions finish.
#[derive(Debug)]
pub struct RunningServer {
    pub(super) services: Mutex<Services>,
    pub(super) queue: Option<(Arc<QueueRunner>, JoinHandle<()>)>,
    pub(super) scheduler: (Arc<Scheduler>, JoinHandle<()>),
    pub(super) switch: ShutdownSwitch,
    pub(super) tails: Tails,
    /// Mail rules and web hooks; `None` while they are exchanged.
    pub(super) reading: Mutex<Option<Reading>>,
    pub(super) parts: RwLock<Parts>,
    pub(super) gate: Arc<Gate>,
    /// Held by a reload, so that no two cross.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// Those that take connections, and those whose last sessions go on.
#[derive(Debug, Default)]
pub(super) struct Services {
    pub(super) live: Vec<Arc<ServiceHandle>>,
    pub(super) retired: Vec<Arc<ServiceHandle>>,
}

impl RunningServer {
    /// Every service, in the order in which the builder was given them.
    pub fn services(&self) -> Vec<Arc<ServiceHandle>> {
        self.served().live.clone()
    }

    /// The first service of a protocol: `smtp`, `imap`.
    pub fn service(&self, protocol: &str) -> Option<Arc<ServiceHandle>> {
        let services = self.served();
        let mut live = services.live.iter();
        live.find(|service| service.protocol() == protocol).cloned()
    }

    /// The bound address of the first service of a protocol.
    pub fn address(&self, protocol: &str) -> Option<SocketAddr> {
        self.service(protocol)?.address()
    }

    /// A stream to the first service of a protocol, without a port. `None`
    /// when there is no such service or it is stopped.
    pub fn connect(&self, protocol: &str) -> Option<DuplexStream> {
        self.service(protocol)?.connect()
    }

    /// The way in for mail from the host, as it is now: ask again after a
    /// reload.
    pub fn intake(&self) -> Arc<Intake> {
        self.parts().intake()
    }

    /// What is done too often, and who is banned: for an operator's commands.
    pub fn limiter(&self) -> Arc<Limiter> {
        self.parts().limiter()
    }

    /// The queue's runner, for an operator's commands; `None` without a store.
    pub fn queue(&self) -> Option<&Arc<QueueRunner>> {
        self.queue.as_ref().map(|(queue, _)| queue)
    }

    /// The jobs: to list them, to run one now, to add one that needs what only
    /// the running server has.
    pub fn scheduler(&self) -> &Arc<Scheduler> {
        &self.scheduler.0
    }

    /// Sends a message. When this returns `Ok` it is on stable storage and will
    /// be delivered, or its failure told; [`Submission::outcome`] waits for
    /// that.
    ///
    /// # Errors
    /// [`SubmitError`]: nothing was taken.
    pub async fn submit(
        &self,
        envelope: Envelope,
        message: impl Into<Bytes>,
    ) -> Result<Submission, SubmitError> {
        let parts = self.parts();
        let outbox = parts.stores.map(|stores| stores.outbox);
        Submission::send(&parts.intake, outbox, envelope, message.into()).await
    }

    pub(super) fn parts(&self) -> Parts {
        (self.parts.read())
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn served(&self) -> MutexGuard<'_, Services> {
        (self.services.lock()).unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends mail rules and web hooks.
    pub(super) async fn stop_reading(&self) {
        let reading = self.reading().take();
        if let Some(reading) = reading {
            reading.finish(&self.parts().clock()).await;
        }
    }

    pub(super) fn reading(&self) -> MutexGuard<'_, Option<Reading>> {
        (self.reading.lock()).unwrap_or_else(PoisonError::into_inner)
    }

    fn all_services(&self) -> Vec<Arc<ServiceHandle>> {
        let Services { live, retired } = &*self.served();
        live.iter().chain(retired).cloned().collect()
    }

    /// Stops everything in order: no new connections, sessions, deliveries and
    /// jobs may finish within the drain time, then they are ended. What was
    /// acknowledged is kept; what was not delivered stays queued. Last, the
    /// journal catches up.
    pub async fn shutdown(mut self) {
        self.switch.begin();
        self.stop_reading().await;
        let mut stopping = tokio::task::JoinSet::new();
        for service in self.all_services() {
            stopping.spawn(async move { service.stop().await });
        }
        while stopping.join_next().await.is_some() {}
        let parts = self.parts();
        if let Some((_, runner)) = &mut self.queue {
            ended(&parts, runner).await;
        }
        ended(&parts, &mut self.scheduler.1).await;
        let clock = parts.clock();
        self.tails.finish(&clock).await;
    }
}

/// Waits for a task that was told to end. It keeps the drain time itself, and
/// then writes down where it stopped, for which it needs a moment more.
async fn ended(parts: &Parts, task: &mut JoinHandle<()>) {
    let clock = parts.clock();
    let drain = parts.limits().drain.saturating_add(RELEASE_TIME);
    let until = clock.monotonic().after(drain);
    tokio::select! {
        biased;
        _ = &mut *task => {}
        () = clock.sleep_until(until) => task.abort(),
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.switch.begin();
        if let Some((_, runner)) = &self.queue {
            runner.abort();
        }
        self.scheduler.1.abort();
        if let Some(reading) = &*self.reading() {
            reading.abort();
        }
        for service in self.all_services() {
            service.abort();
        }
        self.tails.abort();
    }
}
