//! [`QueueRunner`]: takes due entries out of the spool, has each recipient
//! routed and served, and settles the entry in one batch.
//!
//! How mail reaches a mailbox or another host is the agents' duty; what a
//! notice looks like is [`dsn`](super::dsn)'s. Nothing here polls: the runner
//! wakes when the spool changes, when an entry falls due, when an attempt ends.

mod attempt;
mod expand;
mod hops;
mod operate;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use crate::address::Domain;
use crate::batch::{Batch, Precondition};
use crate::queue::{QueueEntry, QueueId, RetrySchedule};
use crate::seams::{
    Clock, Commit, CommitError, DeliveryAgent, Entropy, Lease, Router, Spool, StoreError,
};
use crate::time::Timestamp;

use hops::Hops;

pub use operate::{OperateError, Operation};

/// Wait before the spool is asked again after it failed.
const STORE_PAUSE: Duration = Duration::from_secs(5);
/// Wait before an entry is asked for again that is due and was not given.
const DUE_PAUSE: Duration = Duration::from_secs(1);
/// The longest wait between two tries to settle an entry.
const MAX_SETTLE_PAUSE: Duration = Duration::from_secs(60);
/// Share of a lease that an attempt may use; the rest is for settling.
const ATTEMPT_SHARE: f64 = 0.75;

/// What a runner works with.
#[derive(Debug, Clone)]
pub struct RunnerSeams {
    /// Where entries are leased.
    pub spool: Arc<dyn Spool>,
    /// Where they are settled.
    pub commit: Arc<dyn Commit>,
    /// Where recipients lead.
    pub router: Arc<dyn Router>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub entropy: Arc<dyn Entropy>,
    /// Who delivers, by the name that routes use; `mailbox` takes
    /// [`Route::Mailbox`](crate::seams::Route::Mailbox).
    pub agents: HashMap<Arc<str>, Arc<dyn DeliveryAgent>>,
}

/// How a runner works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunnerConfig {
    /// When deferred mail is tried again and given up.
    pub schedule: RetrySchedule,
    /// Jobs that run at once.
    pub max_jobs: usize,
    /// Jobs that run at once to one next hop.
    pub max_jobs_per_hop: usize,
    /// Entries held at once; those above the running jobs wait for a slot.
    pub max_leased: usize,
    /// How long an entry is held at most. An attempt ends after three quarters
    /// of it.
    pub lease_for: Duration,
    /// How long running attempts may go on when the server goes down.
    pub drain_for: Duration,
}

impl Default for RunnerConfig {
    fn default() -> Self {
        Self {
            schedule: RetrySchedule::default(),
            max_jobs: 100,
            max_jobs_per_hop: 20,
            max_leased: 1_000,
            lease_for: Duration::from_secs(3_600),
            drain_for: Duration::from_secs(30),
        }
    }
}

/// Works on the queue.
///
/// *Exactly once*: everything that an attempt changes (what is left, events,
/// the notice) is one batch under the precondition that the lease is held. A
/// crash before that repeats the attempt; none leaves an entry stuck.
#[derive(Debug)]
pub struct QueueRunner {
    hostname: Domain,
    seams: RunnerSeams,
    config: RunnerConfig,
    jobs: Semaphore,
    hops: Hops,
    /// Entries worked on. Held across leasing and across an operator's change,
    /// so that neither crosses the other.
    active: Mutex<HashSet<QueueId>>,
}

impl QueueRunner {
    /// A runner of the server `hostname`, the name in its notices.
    pub fn new(hostname: Domain, seams: RunnerSeams, config: RunnerConfig) -> Arc<Self> {
        Arc::new(Self {
            hostname,
            jobs: Semaphore::new(config.max_jobs.clamp(1, Semaphore::MAX_PERMITS)),
            hops: Hops::new(config.max_jobs_per_hop.clamp(1, Semaphore::MAX_PERMITS)),
            seams,
            config,
            active: Mutex::new(HashSet::new()),
        })
    }

    /// Works until `shutdown` ends, then lets running attempts finish for
    /// [`RunnerConfig::drain_for`] and gives the others' leases back.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()> + Send) {
        let mut tasks = Tasks::default();
        {
            let mut work = std::pin::pin!(self.work(&mut tasks));
            let mut shutdown = std::pin::pin!(shutdown);
            tokio::select! {
                () = &mut work => {}
                () = &mut shutdown => {}
            }
        }
        self.drain(tasks).await;
    }

    async fn work(self: &Arc<Self>, tasks: &mut Tasks) {
        let mut changes = self.seams.spool.watch();
        loop {
            changes.borrow_and_update();
            let wake_at = match self.take_due(tasks).await {
                Ok(wake_at) => wake_at,
                Err(error) => {
                    tracing::error!(%error, "the queue can't be read");
                    Some(self.seams.clock.now().after(STORE_PAUSE))
                }
            };
            let full = tasks.held.len() >= self.config.max_leased;
            tokio::select! {
                ended = tasks.set.join_next_with_id(), if !tasks.set.is_empty() => {
                    self.forget(tasks, ended).await;
                }
                changed = changes.changed(), if !full => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = self.sleep_until(wake_at), if !full => {}
            }
        }
    }

    /// Leases what is due and starts on it; returns when the next falls due.
    async fn take_due(
        self: &Arc<Self>,
        tasks: &mut Tasks,
    ) -> Result<Option<Timestamp>, StoreError> {
        loop {
            let room = self.config.max_leased.saturating_sub(tasks.held.len());
            if room == 0 {
                return Ok(None);
            }
            let now = self.seams.clock.now();
            let mut active = self.active.lock().await;
            let leased = self
                .seams
                .spool
                .lease(now, room, self.config.lease_for)
                .await?;
            active.extend(leased.iter().map(|(entry, _)| entry.id));
            drop(active);
            if leased.is_empty() {
                let next = self.seams.spool.next_due().await?;
                // What is due and yet not to be had must not keep a core busy.
                let next = next.map(|at| if at > now { at } else { now.after(DUE_PAUSE) });
                return Ok(next.into_iter().chain(tasks.lost_until(now)).min());
            }
            for (entry, lease) in leased {
                let id = entry.id;
                let runner = self.clone();
                let handle = tasks
                    .set
                    .spawn(async move { runner.work_on(entry, lease).await });
                tasks.held.insert(handle.id(), (id, lease));
            }
        }
    }

    async fn sleep_until(&self, at: Option<Timestamp>) {
        match at {
            Some(at) => self.seams.clock.sleep_until_wall(at).await,
            None => std::future::pending().await,
        }
    }

    /// One attempt, from route to settled batch.
    async fn work_on(self: Arc<Self>, entry: Arc<QueueEntry>, lease: Lease) {
        let clock = &self.seams.clock;
        let leased_until = clock.monotonic().after(self.config.lease_for);
        let deadline = clock
            .monotonic()
            .after(self.config.lease_for.mul_f64(ATTEMPT_SHARE));
        let outcomes = self.clone().attempt(&entry, deadline).await;
        let batch = self.settlement(&entry, lease, outcomes).await;
        let mut pause = Duration::from_secs(1);
        loop {
            let error = match self.seams.commit.commit(batch.clone()).await {
                Ok(_) => return,
                Err(error) => error,
            };
            if matches!(error, CommitError::Precondition(_)) {
                tracing::warn!(id = %entry.id, "the lease was lost; another attempt settles this entry");
                return;
            }
            tracing::error!(id = %entry.id, %error, "an attempt can't be settled");
            let next = clock.monotonic().after(pause);
            if next >= leased_until {
                return;
            }
            clock.sleep_until(next).await;
            pause = (pause * 2).min(MAX_SETTLE_PAUSE);
        }
    }

    async fn forget(&self, tasks: &mut Tasks, ended: Option<Ended>) {
        let (task, failed) = match ended {
            Some(Ok((task, ()))) => (task, false),
            Some(Err(error)) => (error.id(), true),
            None => return,
        };
        let Some((id, _)) = tasks.held.remove(&task) else {
            return;
        };
        self.active.lock().await.remove(&id);
        if failed {
            // What was done is not known: the lease keeps the entry from a
            // second attempt until it ends by itself.
            tracing::error!(%id, "an attempt ended by a panic; the entry waits for its lease to end");
            let until = self.seams.clock.now().after(self.config.lease_for);
            tasks.lost.push(until);
        }
    }

    async fn drain(&self, mut tasks: Tasks) {
        let clock = &self.seams.clock;
        let until = clock.monotonic().after(self.config.drain_for);
        let mut deadline = std::pin::pin!(clock.sleep_until(until));
        while !tasks.set.is_empty() {
            tokio::select! {
                ended = tasks.set.join_next_with_id() => self.forget(&mut tasks, ended).await,
                () = &mut deadline => break,
            }
        }
        tasks.set.shutdown().await;
        let mut active = self.active.lock().await;
        for (id, lease) in tasks.held.into_values() {
            active.remove(&id);
            if let Err(error) = self.seams.spool.release(id, lease).await {
                tracing::warn!(%id, %error, "a lease can't be given back; it ends by itself");
            }
        }
    }
}

/// The precondition under which everything about an entry is settled.
fn lease_held(id: QueueId, lease: Lease) -> Batch {
    Batch {
        preconditions: vec![Precondition::LeaseHeld { id, lease }],
        ..Batch::default()
    }
}

type Ended = Result<(tokio::task::Id, ()), tokio::task::JoinError>;

/// The attempts that run. Dropping it ends them.
#[derive(Default)]
struct Tasks {
    set: JoinSet<()>,
    held: HashMap<tokio::task::Id, (QueueId, Lease)>,
    /// When leases end that nobody works under any more.
    lost: Vec<Timestamp>,
}

impl Tasks {
    fn lost_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.lost.retain(|until| *until > now);
        self.lost.iter().min().copied()
    }
}
