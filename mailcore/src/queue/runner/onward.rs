//! What an address of ours sends on to another host under a sender of ours: an
//! entry of its own, since an entry has one sender, whenever it is tried.

use std::sync::Arc;

use super::QueueRunner;
use super::attempt::Round;
use crate::batch::{Batch, SpoolChange};
use crate::event::EventName;
use crate::intake::tell::named;
use crate::queue::{QueueEntry, QueueId, QueueProgress};

/// Recipients of one entry: each attempt writes down all that are left.
const RECIPIENTS: usize = 500;

impl QueueRunner {
    /// Adds to `batch` the entries for what `round` found to go on. In the same
    /// batch the alias is done with, so that it is sent on once.
    pub(super) fn send_onward(&self, entry: &QueueEntry, round: &mut Round, batch: &mut Batch) {
        let now = self.seams.clock.now();
        for (reverse_path, recipients) in std::mem::take(&mut round.onward) {
            for recipients in recipients.chunks(RECIPIENTS) {
                let id = QueueId(self.seams.entropy.id(now));
                let event = self
                    .event(EventName::MessageQueued, entry.trace)
                    .with("from", &reverse_path)
                    .with("queue", id)
                    .with("to", named(recipients))
                    .with("recipients", recipients.len());
                batch.events.push(event);
                let onward = QueueEntry {
                    id,
                    reverse_path: reverse_path.clone(),
                    progress: QueueProgress::new(
                        recipients.iter().cloned(),
                        now,
                        entry.progress.expires_at,
                    ),
                    ..entry.clone()
                };
                batch.spool.push(SpoolChange::Enqueue(Arc::new(onward)));
            }
        }
    }
}
