//! What ends last: what keeps the bans, the recorder of sessions, then the
//! journal's follower, so that the log-outs of a shutdown are in the journal,
//! too.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{StartError, Stores};
use crate::abuse::Keeper;
use crate::event::{Follower, FollowerConfig, RecorderTask};
use crate::net::ShutdownSwitch;
use crate::seams::{Clock, Journal};

/// How long the last sessions may take to be committed.
const LAST_COMMIT: Duration = Duration::from_secs(5);

/// A task that runs until it is told to finish.
#[derive(Debug)]
struct Tail {
    switch: ShutdownSwitch,
    task: JoinHandle<()>,
}

impl Tail {
    /// Tells it, and waits; not longer than `most`.
    async fn finish(mut self, clock: &Arc<dyn Clock>, most: Duration) {
        self.switch.begin();
        let until = clock.monotonic().after(most);
        tokio::select! {
            biased;
            _ = &mut self.task => {}
            () = clock.sleep_until(until) => self.task.abort(),
        }
    }
}

/// The tasks that end last.
#[derive(Debug, Default)]
pub(super) struct Tails {
    bans: Option<Tail>,
    recorder: Option<Tail>,
    follower: Option<(Tail, Duration)>,
}

/// A journal and how it is fed.
#[derive(Debug)]
pub(super) struct Journaling {
    pub(super) journal: Option<Arc<dyn Journal>>,
    pub(super) config: FollowerConfig,
}

impl Journaling {
    /// What feeds the journal.
    pub(super) fn follower(
        self,
        stores: Option<&Stores>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<(Follower, Duration)>, StartError> {
        let Some(journal) = self.journal else {
            return Ok(None);
        };
        let stores = stores.ok_or(StartError::Missing {
            seam: "a store, whose events the journal is fed with,",
            method: "stores",
        })?;
        let outbox = Arc::clone(&stores.outbox);
        // Its own drain time ends it; this one is for a journal that hangs.
        let most = self.config.drain.saturating_add(LAST_COMMIT);
        let follower = Follower::new(outbox, journal, Arc::clone(clock), self.config);
        Ok(Some((follower, most)))
    }
}

impl Tails {
    /// Lets them run.
    pub(super) fn spawn(
        bans: Keeper,
        recorder: Option<RecorderTask>,
        follower: Option<(Follower, Duration)>,
    ) -> Self {
        let (switch, mut shutdown) = ShutdownSwitch::new();
        let task = tokio::spawn(bans.run(async move { shutdown.begun().await }));
        let bans = Some(Tail { switch, task });
        let recorder = recorder.map(|task| {
            let (switch, mut shutdown) = ShutdownSwitch::new();
            let task = tokio::spawn(task.run(async move { shutdown.begun().await }));
            Tail { switch, task }
        });
        let follower = follower.map(|(follower, most)| {
            let (switch, mut shutdown) = ShutdownSwitch::new();
            let task = tokio::spawn(follower.run(async move { shutdown.begun().await }));
            (Tail { switch, task }, most)
        });
        Self {
            bans,
            recorder,
            follower,
        }
    }

    /// Ends them in order.
    pub(super) async fn finish(&mut self, clock: &Arc<dyn Clock>) {
        if let Some(bans) = self.bans.take() {
            bans.finish(clock, LAST_COMMIT).await;
        }
        if let Some(recorder) = self.recorder.take() {
            recorder.finish(clock, LAST_COMMIT).await;
        }
        if let Some((follower, most)) = self.follower.take() {
            follower.finish(clock, most).await;
        }
    }

    /// Ends them at once.
    pub(super) fn abort(&self) {
        let follower = self.follower.iter().map(|(tail, _)| tail);
        for tail in self.bans.iter().chain(&self.recorder).chain(follower) {
            tail.task.abort();
        }
    }
}
