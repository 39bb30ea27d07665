//! [`Still`]: a store whose answers are there at once. A store with a thread of
//! its own needs real time, of which virtual time knows nothing: here the test's
//! thread stands still for it.

use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mailcore::batch::{Batch, Receipt};
use mailcore::event::{EventCursor, StoredEvent};
use mailcore::message::{Blob, BlobKey, Content, Message};
use mailcore::queue::{QueueEntry, QueueId};
use mailcore::seams::{
    Commit, CommitError, Lease, LeaseLimit, Outbox, Spool, SpoolCounts, SpoolQuery, SpoolSummary,
    Stage, StoreError,
};
use mailcore::server::Stores;
use mailcore::time::Timestamp;
use tokio::sync::watch;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future with the whole thread.
fn now<F: Future>(future: F) -> F::Output {
    // Without a budget, which only a return to the runtime would renew.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Still<T: ?Sized>(pub(super) Arc<T>);

/// The mail path of a store, standing still. Mailboxes and state are as they
/// were.
pub(super) fn still(stores: Stores) -> Stores {
    Stores {
        commit: Arc::new(Still(stores.commit)),
        spool: Arc::new(Still(stores.spool)),
        outbox: Arc::new(Still(stores.outbox)),
        ..stores
    }
}

#[async_trait]
impl Commit for Still<dyn Commit> {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        now(self.0.commit(batch))
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        Ok(Box::new(StillStage(now(self.0.stage())?)))
    }

    fn has_room(&self, octets: u64) -> bool {
        self.0.has_room(octets)
    }
}

#[derive(Debug)]
struct StillStage(Box<dyn Stage>);

#[async_trait]
impl Stage for StillStage {
    async fn write(&mut self, octets: Bytes) -> Result<(), StoreError> {
        now(self.0.write(octets))
    }

    async fn finish(self: Box<Self>) -> Result<Content, StoreError> {
        now(self.0.finish())
    }
}

#[async_trait]
impl Spool for Still<dyn Spool> {
    async fn lease(
        &self,
        at: Timestamp,
        limit: LeaseLimit,
        lease_for: Duration,
    ) -> Result<Vec<(Arc<QueueEntry>, Lease)>, StoreError> {
        let leased = now(self.0.lease(at, limit, lease_for))?.into_iter();
        Ok(leased
            .map(|(entry, lease)| (still_entry(&entry), lease))
            .collect())
    }

    async fn release(&self, id: QueueId, lease: Lease) -> Result<(), StoreError> {
        now(self.0.release(id, lease))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        now(self.0.next_due())
    }

    async fn entry(&self, id: QueueId) -> Result<Option<Arc<QueueEntry>>, StoreError> {
        Ok(now(self.0.entry(id))?.map(|entry| still_entry(&entry)))
    }

    async fn list(&self, query: &SpoolQuery) -> Result<Vec<SpoolSummary>, StoreError> {
        now(self.0.list(query))
    }

    async fn outlived(&self, at: Timestamp, limit: usize) -> Result<Vec<QueueId>, StoreError> {
        now(self.0.outlived(at, limit))
    }

    async fn counts(&self) -> Result<SpoolCounts, StoreError> {
        now(self.0.counts())
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.0.watch()
    }
}

/// The entry, its content read at once as well.
fn still_entry(entry: &Arc<QueueEntry>) -> Arc<QueueEntry> {
    let Content::Stored(blob) = entry.message.content() else {
        return Arc::clone(entry);
    };
    let content = Content::Stored(Arc::new(Still(Arc::clone(blob))));
    let prefix = entry.message.prefix().clone();
    Arc::new(QueueEntry {
        message: Message::new(content).with_prefix(prefix),
        ..QueueEntry::clone(entry)
    })
}

#[async_trait]
impl Blob for Still<dyn Blob> {
    fn key(&self) -> BlobKey {
        self.0.key()
    }

    fn len(&self) -> u64 {
        self.0.len()
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        now(self.0.read(range))
    }
}

#[async_trait]
impl Outbox for Still<dyn Outbox> {
    async fn read(&self, after: EventCursor, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        now(self.0.read(after, limit))
    }

    fn watch(&self) -> watch::Receiver<EventCursor> {
        self.0.watch()
    }
}
