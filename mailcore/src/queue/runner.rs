//! [`QueueRunner`]: takes due entries out of the spool, has each recipient
//! routed and served, and settles the entry in one batch.
//!
//! How mail reaches a mailbox or another host is the agents' duty; what a
//! notice looks like is [`dsn`](super::dsn)'s. The spool is not polled: the runner
//! wakes when it changes, when an entry falls due, when an attempt ends, and once
//! a minute to see whether the clock was set back.

mod attempt;
mod broken;
mod config;
mod deadline;
mod destination;
mod destinations;
mod expand;
mod gather;
mod held;
mod jolt;
mod kept;
mod line;
mod notes;
mod onward;
mod operate;
mod pulse;
mod routing;
mod settle;
mod share;
mod slots;
mod start;
mod tell;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinSet;

use crate::address::Domain;
use crate::batch::{Batch, Precondition};
use crate::queue::{QueueEntry, QueueId};
use crate::seams::{COMPARED, CommitError, Lease, LeaseLimit, StoreError};
use crate::time::Timestamp;

use destinations::Destinations;
use gather::Gathered;
use held::{Active, LeaseCell, Load};
use jolt::Pace;
use pulse::{Ends, Pulse};
use routing::Routing;
use share::RetryShare;
use slots::Slots;

pub use config::{RunnerConfig, RunnerSeams};
pub use destinations::{DestinationLimits, DestinationState, Rate};
pub use kept::remove_outlived;
pub use operate::{OperateError, Operated, Operation, Whose};

/// Wait before the spool is asked again after it failed.
const STORE_PAUSE: Duration = Duration::from_secs(5);
/// Wait before an entry is asked for again that is due and was not given.
const DUE_PAUSE: Duration = Duration::from_secs(1);
/// The same for retries that leave room to fresh mail.
const TURN_PAUSE: Duration = Duration::from_millis(100);
/// The longest wait between two tries to settle an entry.
const MAX_SETTLE_PAUSE: Duration = Duration::from_secs(60);
/// How long attempts that were broken off may take to be written down.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// Of the entries held, one in so many may be a retry.
const RETRY_SHARE: usize = 4;
/// Share of a lease that an attempt may use; the rest is for settling.
const ATTEMPT_SHARE: f64 = 0.75;

/// Works on the queue.
///
/// *Exactly once*: everything that an attempt changes (what is left, events,
/// the notice) is one batch under the precondition that the lease is held. A
/// crash before that repeats the attempt; none leaves an entry stuck.
#[derive(Debug)]
pub struct QueueRunner {
    hostname: Domain,
    seams: RunnerSeams,
    routing: Routing,
    config: RunnerConfig,
    slots: Arc<Slots>,
    destinations: Arc<Destinations>,
    load: Load,
    gathered: Gathered,
    /// True once attempts are to be broken off.
    breaks_off: watch::Sender<bool>,
    pulse: Pulse,
    /// Told when a lease has to be taken anew.
    lapsed: Notify,
    /// Entries worked on. Held across leasing and across an operator's change,
    /// so that neither crosses the other.
    active: Mutex<Active>,
}

impl QueueRunner {
    /// A runner of the server `hostname`, the name in its notices.
    pub fn new(hostname: Domain, seams: RunnerSeams, config: RunnerConfig) -> Arc<Self> {
        Arc::new(Self {
            routing: Routing::new(Arc::clone(&seams.router), seams.agents.clone()),
            hostname,
            slots: Slots::new(config.max_jobs),
            destinations: Destinations::new(
                config.destinations.clone().within(&config.schedule),
                Arc::clone(&seams.clock),
                Arc::clone(&seams.entropy),
            ),
            load: Load::default(),
            gathered: Gathered::default(),
            breaks_off: watch::Sender::new(false),
            pulse: Pulse::new(seams.clock.monotonic()),
            lapsed: Notify::new(),
            seams,
            config,
            active: Mutex::default(),
        })
    }

    /// Forgets that destinations of this name could not be reached: they are
    /// tried as entries fall due. Gives back how many there were.
    pub fn forget_destination(&self, name: &Domain) -> usize {
        self.destinations.forgive(name)
    }

    /// The destinations that are busy, or that can't be reached.
    pub fn destinations(&self) -> Vec<DestinationState> {
        self.destinations.states()
    }

    /// Works until `shutdown` ends, then lets running attempts finish for
    /// [`RunnerConfig::drain_for`]. The others are broken off: what they did is
    /// written down, and the rest of them is due again.
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
        let clock = &self.seams.clock;
        let mut settings = clock.settings();
        let _felt_while_it_runs = Ends(&self.pulse, clock.as_ref());
        let mut pace = Pace::new(clock.now(), clock.monotonic());
        // The clock may have been set back while the server was down.
        let mut false_waits = true;
        let mut share = RetryShare::new(clock.monotonic());
        loop {
            changes.borrow_and_update();
            self.pulse.wake(clock.monotonic());
            false_waits |= pace.went_back(clock.now(), clock.monotonic());
            if false_waits {
                match self.end_false_waits().await {
                    Ok(()) => false_waits = false,
                    Err(error) => tracing::error!(%error, "the queue can't be looked through"),
                }
            }
            let wake_at = match self.take_due(tasks, &mut share).await {
                Ok(wake_at) => {
                    match settings {
                        Some(_) => self.pulse.rest(),
                        None => self.pulse.beat(clock.monotonic()),
                    }
                    wake_at
                }
                Err(error) => {
                    tracing::error!(%error, "the queue can't be read");
                    Some(self.seams.clock.now().after(STORE_PAUSE))
                }
            };
            let full = self.room(tasks) == 0;
            tokio::select! {
                ended = tasks.set.join_next_with_id(), if !tasks.set.is_empty() => {
                    self.forget(tasks, ended).await;
                    // All that ended meanwhile, before the spool is asked.
                    while let Some(ended) = tasks.set.try_join_next_with_id() {
                        self.forget(tasks, Some(ended)).await;
                    }
                }
                changed = changes.changed(), if !full => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = self.sleep_until(wake_at), if !full => {}
                () = self.lapsed.notified() => {}
                () = self.set_anew(&mut settings) => {}
            }
        }
    }

    /// How many entries may be leased. An attempt that waits for its lease to
    /// be renewed makes room for that.
    fn room(&self, tasks: &Tasks) -> usize {
        let most = self.config.max_leased.saturating_add(self.load.lapsed());
        most.saturating_sub(tasks.held.len())
    }

    /// How many of them may have been tried before. The rest is kept for mail
    /// that comes for the first time, however many retries are due.
    fn room_for_retries(&self, tasks: &Tasks) -> usize {
        let most = self.most_retries().saturating_add(self.load.lapsed());
        most.saturating_sub(tasks.retries())
    }

    fn most_retries(&self) -> usize {
        (self.config.max_leased / RETRY_SHARE).max(1)
    }

    /// Leases what is due and starts on it; returns when the next falls due.
    async fn take_due(
        self: &Arc<Self>,
        tasks: &mut Tasks,
        share: &mut RetryShare,
    ) -> Result<Option<Timestamp>, StoreError> {
        loop {
            let clock = &self.seams.clock;
            let room = self.room(tasks);
            if room == 0 {
                return Ok(None);
            }
            let in_turn = share.most(clock.monotonic());
            let limit = LeaseLimit {
                all: room,
                retries: self.room_for_retries(tasks).min(in_turn.unwrap_or(room)),
            };
            let now = clock.now();
            let mut active = self.active.lock().await;
            let leased = self
                .seams
                .spool
                .lease(now, limit, self.config.lease_for)
                .await?;
            let retries = leased.iter().filter(|(it, _)| it.progress.attempts > 0);
            let retries = retries.count();
            share.begun(leased.len() - retries, retries);
            let mut taken = Vec::with_capacity(leased.len());
            for (entry, lease) in leased {
                // An entry may be given out twice when a clock jumps; the attempt
                // that runs goes on, and no second one begins.
                if let Some(cell) = active.take_up(entry.id, lease) {
                    taken.push((entry, cell));
                }
            }
            drop(active);
            if taken.is_empty() {
                let next = self.seams.spool.next_due().await?;
                // What is due and yet not to be had must not keep a core busy.
                let pause = match in_turn {
                    Some(0) => TURN_PAUSE,
                    _ => DUE_PAUSE,
                };
                let next = next.map(|at| if at > now { at } else { now.after(pause) });
                return Ok(next.into_iter().chain(tasks.lost_until(now)).min());
            }
            for (entry, lease) in taken {
                let held = HeldEntry {
                    id: entry.id,
                    lease: lease.clone(),
                    tried: entry.progress.attempts > 0,
                };
                let runner = self.clone();
                let handle = tasks
                    .set
                    .spawn(async move { runner.work_on(entry, lease).await });
                tasks.held.insert(handle.id(), held);
            }
        }
    }

    async fn sleep_until(&self, at: Option<Timestamp>) {
        match at {
            Some(at) => self.seams.clock.sleep_until_wall(at).await,
            None => std::future::pending().await,
        }
    }

    /// Waits until wall time may have been set.
    async fn set_anew(&self, settings: &mut Option<watch::Receiver<u64>>) {
        let clock = &self.seams.clock;
        if let Some(settings) = settings
            && settings.changed().await.is_ok()
        {
            return;
        }
        clock.sleep_until(clock.monotonic().after(COMPARED)).await;
    }

    /// One attempt, from route to settled batch; the lease it was settled under.
    async fn work_on(self: Arc<Self>, entry: Arc<QueueEntry>, lease: LeaseCell) -> Lease {
        let _loaded = self.load.add(entry.progress.attempts);
        let clock = &self.seams.clock;
        let deadline = clock
            .monotonic()
            .after(self.config.lease_for.mul_f64(ATTEMPT_SHARE));
        let round = self.clone().attempt(&entry, &lease, deadline).await;
        let only_put_off = round.is_only_put_off();
        let batch = self.settlement(&entry, round).await;
        match only_put_off && batch.events.is_empty() {
            true => self.commit_put_off(entry.id, &lease, batch).await,
            false => self.commit_held(entry.id, &lease, batch).await,
        }
    }

    /// Commits what an attempt changes, however long the store refuses: what is
    /// done must be written down before it can be done again. An entry that is
    /// gone needs nothing written. Gives back the lease it was done under.
    async fn commit_held(&self, id: QueueId, lease: &LeaseCell, mut batch: Batch) -> Lease {
        let clock = &self.seams.clock;
        let mut pause = Duration::from_secs(1);
        let mut lapsed = None;
        loop {
            let held = lease.lease();
            batch.preconditions = vec![Precondition::LeaseHeld { id, lease: held }];
            let error = match self.seams.commit.commit(batch.clone()).await {
                Ok(_) => return held,
                Err(error) => error,
            };
            if matches!(error, CommitError::Precondition(_)) {
                if lease.lease() != held {
                    continue;
                }
                if matches!(self.seams.spool.entry(id).await, Ok(None)) {
                    return held;
                }
                tracing::warn!(%id, "a lease ended before its attempt was settled; it is taken anew");
                lapsed = Some(self.load.lapse());
                self.lapsed.notify_one();
            } else {
                tracing::error!(%id, %error, "an attempt can't be settled");
            }
            clock.sleep_until(clock.monotonic().after(pause)).await;
            drop(lapsed.take());
            pause = (pause * 2).min(MAX_SETTLE_PAUSE);
        }
    }

    async fn forget(&self, tasks: &mut Tasks, ended: Option<Ended>) {
        let (task, settled) = match ended {
            Some(Ok((task, settled))) => (task, Some(settled)),
            Some(Err(error)) => (error.id(), None),
            None => return,
        };
        let Some(HeldEntry { id, lease, .. }) = tasks.held.remove(&task) else {
            return;
        };
        let mut active = self.active.lock().await;
        active.remove(&id);
        // An entry that was due again as it was settled may have been given out
        // before its attempt was known to be over: nobody works under that lease.
        if settled.is_some_and(|settled| settled != lease.lease())
            && let Err(error) = self.seams.spool.release(id, lease.lease()).await
        {
            tracing::warn!(%id, %error, "a lease can't be given back; it ends by itself");
        }
        drop(active);
        if settled.is_some() {
            return;
        }
        tracing::error!(%id, "an attempt ended by a panic");
        if let Err(error) = self.count_broken(id, lease.lease()).await {
            tracing::error!(%id, %error, "that can't be written down; the entry waits for its lease to end");
            let until = self.seams.clock.now().after(self.config.lease_for);
            tasks.lost.push(until);
        }
    }

    async fn drain(&self, mut tasks: Tasks) {
        self.drain_within(&mut tasks, self.config.drain_for).await;
        self.breaks_off.send_replace(true);
        self.drain_within(&mut tasks, LAST_WORDS).await;
        tasks.set.shutdown().await;
        // A commit once started completes, whoever waits for it. With its lease
        // given back now it would fail, and what it says was done be done again:
        // these leases end by themselves.
        let mut active = self.active.lock().await;
        for HeldEntry { id, .. } in tasks.held.into_values() {
            tracing::warn!(%id, "an attempt can't be written down; it may be repeated");
            active.remove(&id);
        }
    }

    async fn drain_within(&self, tasks: &mut Tasks, time: Duration) {
        let clock = &self.seams.clock;
        let mut deadline = std::pin::pin!(clock.sleep_until(clock.monotonic().after(time)));
        while !tasks.set.is_empty() {
            tokio::select! {
                ended = tasks.set.join_next_with_id() => self.forget(tasks, ended).await,
                () = &mut deadline => break,
            }
        }
    }
}

type Ended = Result<(tokio::task::Id, Lease), tokio::task::JoinError>;

/// The attempts that run. Dropping it ends them.
#[derive(Default)]
struct Tasks {
    set: JoinSet<Lease>,
    held: HashMap<tokio::task::Id, HeldEntry>,
    /// When leases end that nobody works under any more.
    lost: Vec<Timestamp>,
}

/// An entry that an attempt runs for.
struct HeldEntry {
    id: QueueId,
    lease: LeaseCell,
    tried: bool,
}

impl Tasks {
    fn retries(&self) -> usize {
        self.held.values().filter(|held| held.tried).count()
    }

    fn lost_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.lost.retain(|until| *until > now);
        self.lost.iter().min().copied()
    }
}
