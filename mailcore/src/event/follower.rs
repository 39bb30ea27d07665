//! Feeds a journal from an outbox, from the journal's own cursor on.
//!
//! It reads beside the mail path and at most a few times a second, so that mail
//! neither waits for a journal nor pays for one event by event. A journal or an
//! outbox that fails is asked again later; nothing is skipped for that.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::{EventCursor, StoredEvent};
use crate::seams::{Clock, Journal, Outbox};

/// How a [`Follower`] reads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowerConfig {
    /// Events appended at a time.
    pub batch: usize,
    /// How long new events may wait when all before them are in the journal.
    pub pause: Duration,
    /// The first pause after a failure; each further failure doubles it.
    pub retry: Duration,
    /// The longest pause after a failure.
    pub retry_most: Duration,
    /// How long a shutdown waits for events that are not in the journal yet.
    /// What is left is read at the next start.
    pub drain: Duration,
}

impl Default for FollowerConfig {
    fn default() -> Self {
        Self {
            batch: 512,
            pause: Duration::from_millis(500),
            retry: Duration::from_secs(1),
            retry_most: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }
}

/// Feeds a journal from an outbox.
#[derive(Debug)]
pub struct Follower {
    outbox: Arc<dyn Outbox>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    config: FollowerConfig,
}

/// What one read came to.
enum Read {
    /// There may be more at once.
    Some,
    /// All there was is in the journal.
    UpToDate,
    /// It failed, and why was logged.
    Failed,
}

impl Follower {
    /// Feeds `journal` from `outbox`, waiting on `clock`.
    pub fn new(
        outbox: Arc<dyn Outbox>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        config: FollowerConfig,
    ) -> Self {
        Self {
            outbox,
            journal,
            clock,
            config,
        }
    }

    /// Follows until `stop` resolves, then catches up for as long as
    /// [`FollowerConfig::drain`].
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        tokio::select! {
            biased;
            () = stop => {}
            () = self.follow() => return,
        }
        let until = self.clock.monotonic().after(self.config.drain);
        tokio::select! {
            biased;
            () = self.drain() => {}
            () = self.clock.sleep_until(until) => {
                tracing::info!("the journal is behind; it goes on at the next start");
            }
        }
    }

    /// Ends when the outbox is gone.
    async fn follow(&self) {
        let mut newest = self.outbox.watch();
        let mut cursor = None;
        let mut retry = self.config.retry;
        loop {
            newest.borrow_and_update();
            match self.advance(&mut cursor).await {
                Read::Some => retry = self.config.retry,
                Read::UpToDate => {
                    retry = self.config.retry;
                    if newest.changed().await.is_err() {
                        return;
                    }
                    // What comes within this time is read at once.
                    self.sleep(self.config.pause).await;
                }
                Read::Failed => {
                    self.sleep(retry).await;
                    retry = retry.saturating_mul(2).min(self.config.retry_most);
                }
            }
        }
    }

    async fn drain(&self) {
        let mut cursor = None;
        while let Read::Some = self.advance(&mut cursor).await {}
    }

    async fn sleep(&self, pause: Duration) {
        let until = self.clock.monotonic().after(pause);
        self.clock.sleep_until(until).await;
    }

    /// Moves one batch. `cursor` is the journal's, once it is known.
    async fn advance(&self, cursor: &mut Option<EventCursor>) -> Read {
        let after = match *cursor {
            Some(after) => after,
            None => match self.journal.cursor().await {
                Ok(kept) => *cursor.insert(self.start(kept)),
                Err(error) => {
                    tracing::warn!(%error, "can't read where the journal ends; trying again");
                    return Read::Failed;
                }
            },
        };
        let events = match self.outbox.read(after, self.config.batch).await {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(%error, "can't read events for the journal; trying again");
                return Read::Failed;
            }
        };
        let Some(StoredEvent { cursor: last, .. }) = events.last() else {
            return Read::UpToDate;
        };
        let last = *last;
        let more = events.len() >= self.config.batch;
        if let Err(error) = self.journal.append(&events).await {
            tracing::warn!(%error, "can't write the journal; trying again");
            // What was kept is asked for anew: another may have written.
            *cursor = None;
            return Read::Failed;
        }
        *cursor = Some(last);
        if more {
            Read::Some
        } else {
            self.caught_up(last)
        }
    }

    /// A page that was not full was the last, unless more came meanwhile.
    fn caught_up(&self, last: EventCursor) -> Read {
        if *self.outbox.watch().borrow() > last {
            Read::Some
        } else {
            Read::UpToDate
        }
    }

    /// A cursor beyond the newest event is another log's: the store was put back
    /// from a copy, or is a new one. Then all is read again, and what the journal
    /// has it recognises.
    fn start(&self, kept: EventCursor) -> EventCursor {
        let newest = *self.outbox.watch().borrow();
        if kept <= newest {
            return kept;
        }
        tracing::warn!(
            journal = kept.0,
            outbox = newest.0,
            "the journal is ahead of the store; the store's events are read from their start"
        );
        EventCursor::default()
    }
}

#[cfg(test)]
mod tests;
