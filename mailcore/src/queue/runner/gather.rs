//! What is put off, gathered: one commit carries the later times of many
//! entries, since a destination that is away puts off all that waits for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::QueueRunner;
use super::held::LeaseCell;
use crate::batch::{Batch, Precondition, SpoolChange};
use crate::queue::QueueId;
use crate::seams::Lease;

/// How long the first one waits for others. None of them is in a hurry, and the
/// leases go on.
const WAIT: Duration = Duration::from_millis(20);
/// Entries in one commit.
const MOST: usize = 500;
/// Octets of the entries in one commit, about, as a store takes no batch of any
/// size.
const MOST_OCTETS: usize = 1 << 20;
/// An entry of more is written down by itself.
const LARGE: usize = 20 * 1_024;

/// Entries that wait to be written down together.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    waiting: Mutex<Vec<Waiting>>,
    enough: Notify,
}

#[derive(Debug)]
struct Waiting {
    id: QueueId,
    lease: Lease,
    changes: Vec<SpoolChange>,
    octets: usize,
    /// Told true when it is written down.
    done: oneshot::Sender<bool>,
}

/// Takes all that wait; dropped before that, it sends them away, so that nobody
/// waits for one who is gone.
struct Leader<'a>(Option<&'a Gathered>);

impl Gathered {
    /// True for the first one, who is to write all down.
    fn join(&self, waiting: Waiting) -> bool {
        let mut all = self.all();
        all.push(waiting);
        if all.len() >= MOST {
            self.enough.notify_one();
        }
        all.len() == 1
    }

    fn all(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leader<'_> {
    /// Whoever comes after that has a leader of its own.
    fn take(&mut self) -> Vec<Waiting> {
        let gathered = self.0.take();
        gathered.map_or_else(Vec::new, |it| std::mem::take(&mut *it.all()))
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.take();
    }
}

impl QueueRunner {
    /// Commits that an entry is put off, with others. What of them can't be
    /// committed together is committed by itself.
    pub(super) async fn commit_put_off(
        &self,
        id: QueueId,
        lease: &LeaseCell,
        batch: Batch,
    ) -> Lease {
        let octets = batch.spool.iter().map(octets_of).sum();
        if octets > LARGE {
            return self.commit_held(id, lease, batch).await;
        }
        let held = lease.lease();
        let (done, written) = oneshot::channel();
        let first = self.gathered.join(Waiting {
            id,
            lease: held,
            changes: batch.spool.clone(),
            octets,
            done,
        });
        if first {
            self.commit_gathered().await;
        }
        match written.await {
            Ok(true) => held,
            _ => self.commit_held(id, lease, batch).await,
        }
    }

    async fn commit_gathered(&self) {
        let clock = &self.seams.clock;
        let mut leader = Leader(Some(&self.gathered));
        tokio::select! {
            () = clock.sleep_until(clock.monotonic().after(WAIT)) => {}
            () = self.gathered.enough.notified() => {}
        }
        let mut left = leader.take();
        while !left.is_empty() {
            let mut octets = 0;
            let fits = left.iter().take(MOST).take_while(|it| {
                octets += it.octets;
                octets <= MOST_OCTETS
            });
            let rest = left.split_off(fits.count().max(1));
            self.commit_together(std::mem::replace(&mut left, rest))
                .await;
        }
    }

    /// One lease that is lost fails all of them; each tries by itself then.
    async fn commit_together(&self, waiting: Vec<Waiting>) {
        let mut batch = Batch::default();
        let mut done = Vec::with_capacity(waiting.len());
        for it in waiting {
            let (id, lease) = (it.id, it.lease);
            batch
                .preconditions
                .push(Precondition::LeaseHeld { id, lease });
            batch.spool.extend(it.changes);
            done.push(it.done);
        }
        let committed = self.seams.commit.commit(batch).await;
        for done in done {
            // Whoever is gone needs no word.
            let _ = done.send(committed.is_ok());
        }
    }
}

fn octets_of(change: &SpoolChange) -> usize {
    match change {
        SpoolChange::Update { progress, .. } => progress.octets(),
        SpoolChange::Enqueue(entry) => entry.progress.octets(),
        SpoolChange::Remove { .. } => 0,
    }
}
