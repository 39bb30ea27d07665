//! Events that belong to no batch of mail: logins, refusals.
//!
//! Whoever raises one does not wait: a task of its own gathers them for a moment
//! and commits them together, so that a thousand logins a second cost ten syncs.
//! Refusals are made by strangers at no cost to them, so that only so many of
//! each peer and in all are told of one by one; the rest is counted.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Event, EventId, EventName};
use crate::batch::Batch;
use crate::net::peer_group;
use crate::seams::{Clock, Commit, Entropy};
use crate::time::Monotonic;

/// How long refusals are counted together.
const WINDOW: Duration = Duration::from_secs(60);

/// What a [`Recorder`] gathers and lets pass.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecorderConfig {
    /// How long an event may wait for others before they are committed.
    pub gather: Duration,
    /// Events committed at a time.
    pub batch: usize,
    /// Events that wait at most; more are counted and dropped.
    pub waiting: usize,
    /// Refusals (of messages, recipients, logins) told of one by one in a minute.
    pub refusals: usize,
    /// Of them, how many of one peer (IPv6: one /64).
    pub refusals_per_peer: usize,
    /// How long a failed commit waits before it is tried again.
    pub retry: Duration,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(100),
            batch: 256,
            waiting: 4_096,
            refusals: 240,
            refusals_per_peer: 20,
            retry: Duration::from_secs(5),
        }
    }
}

/// Takes events. Cheap to clone; the default one takes none.
#[derive(Clone, Default)]
pub struct Recorder(Option<Arc<Inner>>);

struct Inner {
    sender: mpsc::Sender<Event>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    limits: RecorderConfig,
    window: Mutex<Window>,
    /// Refusals that were only counted.
    refusals: AtomicU64,
    /// Events for which there was no room.
    dropped: AtomicU64,
}

/// The refusals of one minute.
#[derive(Debug, Default)]
struct Window {
    began: Monotonic,
    told: usize,
    by_peer: HashMap<IpAddr, usize>,
}

impl Recorder {
    /// A recorder, and the task that commits what it takes until its argument
    /// resolves; what waits then is committed, too.
    pub fn new(
        commit: Arc<dyn Commit>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        config: RecorderConfig,
    ) -> (Self, RecorderTask) {
        let (sender, receiver) = mpsc::channel(config.waiting.max(1));
        let inner = Arc::new(Inner {
            sender,
            clock,
            entropy,
            limits: config,
            window: Mutex::default(),
            refusals: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let task = RecorderTask {
            inner: Arc::clone(&inner),
            receiver,
            commit,
        };
        (Self(Some(inner)), task)
    }

    /// True when what is told is kept.
    pub fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// A new event of now; `None` when nobody would keep it.
    pub fn event(&self, name: EventName) -> Option<Event> {
        self.0.as_ref().map(|inner| inner.event(name))
    }

    /// Takes an event. It is durable a moment later, or dropped and counted when
    /// too many wait.
    pub fn record(&self, event: Event) {
        let Some(inner) = &self.0 else { return };
        if inner.sender.try_send(event).is_err() {
            inner.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A new event of a refusal, when `peer` has not used up its share: `None`
    /// counts it only.
    pub fn refusal(&self, name: EventName, peer: Option<IpAddr>) -> Option<Event> {
        let inner = self.0.as_ref()?;
        if inner.may_tell(peer) {
            return Some(inner.event(name));
        }
        inner.refusals.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorder").field(&self.0.is_some()).finish()
    }
}

impl Inner {
    fn event(&self, name: EventName) -> Event {
        let now = self.clock.now();
        Event {
            id: EventId(self.entropy.id(now)),
            at: now,
            name,
            trace: None,
            account: None,
            fields: Vec::new(),
        }
    }

    fn may_tell(&self, peer: Option<IpAddr>) -> bool {
        let now = self.clock.monotonic();
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= window.began.after(WINDOW) {
            *window = Window {
                began: now,
                ..Window::default()
            };
        }
        if window.told >= self.limits.refusals {
            return false;
        }
        if let Some(peer) = peer {
            let told = window.by_peer.entry(peer_group(peer)).or_default();
            if *told >= self.limits.refusals_per_peer {
                return false;
            }
            *told += 1;
        }
        window.told += 1;
        true
    }

    /// What was counted and is not told yet.
    fn omitted(&self) -> Option<Event> {
        let refusals = self.refusals.swap(0, Ordering::Relaxed);
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        (refusals > 0 || dropped > 0).then(|| {
            self.event(EventName::EventsOmitted)
                .with("refusals", refusals)
                .with("dropped", dropped)
        })
    }
}

/// Commits what a [`Recorder`] takes.
pub struct RecorderTask {
    inner: Arc<Inner>,
    receiver: mpsc::Receiver<Event>,
    commit: Arc<dyn Commit>,
}

impl fmt::Debug for RecorderTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderTask").finish_non_exhaustive()
    }
}

impl RecorderTask {
    /// Commits until `stop` resolves, then what waits, once.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let mut events = Vec::new();
        tokio::select! {
            biased;
            () = stop => {}
            () = self.work(&mut events) => {}
        }
        while let Ok(event) = self.receiver.try_recv() {
            events.push(event);
        }
        events.extend(self.inner.omitted());
        for batch in events.chunks(self.inner.limits.batch.max(1)) {
            if let Err(error) = self.write(batch.to_vec()).await {
                tracing::warn!(%error, "the last sessions can't be recorded");
                return;
            }
        }
    }

    /// What is in `events` is not committed.
    async fn work(&mut self, events: &mut Vec<Event>) {
        let clock = Arc::clone(&self.inner.clock);
        let (gather, most) = (self.inner.limits.gather, self.inner.limits.batch.max(1));
        // When to see whether anything was only counted.
        let mut look_at = None;
        loop {
            let look = async {
                match look_at {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                event = self.receiver.recv() => match event {
                    Some(event) => events.push(event),
                    None => return,
                },
                () = look => {
                    look_at = None;
                    events.extend(self.inner.omitted());
                    if events.is_empty() {
                        continue;
                    }
                }
            }
            self.take_waiting(events, most);
            if events.len() < most {
                clock.sleep_until(clock.monotonic().after(gather)).await;
                self.take_waiting(events, most);
            }
            look_at.get_or_insert_with(|| clock.monotonic().after(WINDOW));
            while let Err(error) = self.write(events.clone()).await {
                tracing::warn!(%error, "sessions can't be recorded; trying again");
                let retry = self.inner.limits.retry;
                clock.sleep_until(clock.monotonic().after(retry)).await;
            }
            events.clear();
        }
    }

    fn take_waiting(&mut self, events: &mut Vec<Event>, most: usize) {
        while events.len() < most {
            match self.receiver.try_recv() {
                Ok(event) => events.push(event),
                Err(_) => return,
            }
        }
    }

    async fn write(&self, events: Vec<Event>) -> Result<(), crate::seams::CommitError> {
        if events.is_empty() {
            return Ok(());
        }
        let batch = Batch {
            events,
            ..Batch::default()
        };
        self.commit.commit(batch).await.map(drop)
    }
}

#[cfg(test)]
mod tests;
