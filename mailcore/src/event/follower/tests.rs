//! The follower between an outbox and a journal made up.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::{oneshot, watch};

use super::*;
use crate::event::{Event, EventId, EventName};
use crate::seams::{JournalError, JournalPage, JournalQuery, JournalRetention, Purged, StoreError};
use crate::testing::VirtualClock;
use crate::time::Timestamp;

#[derive(Debug)]
struct Log {
    events: Mutex<Vec<StoredEvent>>,
    newest: watch::Sender<EventCursor>,
    fails: AtomicBool,
    reads: AtomicUsize,
}

impl Log {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            events: Mutex::default(),
            newest: watch::channel(EventCursor::default()).0,
            fails: AtomicBool::new(false),
            reads: AtomicUsize::new(0),
        })
    }

    fn add(&self, count: u64) {
        let mut events = self.events.lock().unwrap();
        for _ in 0..count {
            let cursor = EventCursor(self.newest.borrow().0 + 1);
            events.push(StoredEvent {
                cursor,
                event: Event {
                    id: EventId(u128::from(cursor.0)),
                    at: Timestamp::EPOCH,
                    name: EventName::Login,
                    trace: None,
                    account: None,
                    fields: Vec::new(),
                },
            });
            self.newest.send_replace(cursor);
        }
    }
}

#[async_trait]
impl Outbox for Log {
    async fn read(&self, after: EventCursor, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("a test"));
        }
        let events = self.events.lock().unwrap();
        let rest = events.iter().filter(|event| event.cursor > after);
        Ok(rest.take(limit).cloned().collect())
    }

    fn watch(&self) -> watch::Receiver<EventCursor> {
        self.newest.subscribe()
    }
}

/// Keeps ids in the order of their first append, and the cursor.
#[derive(Debug, Default)]
struct Kept {
    ids: Mutex<Vec<u128>>,
    cursor: Mutex<EventCursor>,
    fails: AtomicBool,
    appends: AtomicUsize,
}

#[async_trait]
impl Journal for Kept {
    async fn append(&self, events: &[StoredEvent]) -> Result<(), JournalError> {
        self.appends.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(JournalError("a test".into()));
        }
        let mut ids = self.ids.lock().unwrap();
        for event in events {
            if !ids.contains(&event.event.id.0) {
                ids.push(event.event.id.0);
            }
            *self.cursor.lock().unwrap() = event.cursor;
        }
        Ok(())
    }

    async fn cursor(&self) -> Result<EventCursor, JournalError> {
        Ok(*self.cursor.lock().unwrap())
    }

    async fn query(&self, _: &JournalQuery) -> Result<JournalPage, JournalError> {
        Ok(JournalPage::default())
    }

    async fn purge(&self, _: Timestamp, _: &JournalRetention) -> Result<Purged, JournalError> {
        Ok(Purged::default())
    }
}

struct Run {
    clock: VirtualClock,
    log: Arc<Log>,
    journal: Arc<Kept>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

fn run(log: Arc<Log>, journal: Arc<Kept>) -> Run {
    let clock = VirtualClock::new();
    let follower = Follower::new(
        log.clone(),
        journal.clone(),
        Arc::new(clock.clone()),
        FollowerConfig::default(),
    );
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(follower.run(async { drop(stopped.await) }));
    Run {
        clock,
        log,
        journal,
        stop,
        task,
    }
}

impl Run {
    async fn pass(&self, time: Duration) {
        self.clock.run_for(time).await;
    }

    fn count(&self) -> usize {
        self.journal.ids.lock().unwrap().len()
    }
}

#[tokio::test]
async fn every_event_is_appended_once_in_order_and_new_ones_are_gathered() {
    let log = Log::new();
    log.add(1_300);
    let run = run(log, Arc::default());
    run.pass(Duration::from_secs(1)).await;
    assert_eq!(run.count(), 1_300);
    assert_eq!(run.journal.appends.load(Ordering::SeqCst), 3);
    let reads = run.log.reads.load(Ordering::SeqCst);
    for _ in 0..100 {
        run.log.add(1);
        tokio::task::yield_now().await;
    }
    run.pass(Duration::from_secs(2)).await;
    assert_eq!(run.count(), 1_400);
    assert!(run.log.reads.load(Ordering::SeqCst) <= reads + 3);
    assert!(run.journal.ids.lock().unwrap().is_sorted());
}

#[tokio::test]
async fn a_journal_that_fails_misses_nothing() {
    let log = Log::new();
    let journal = Arc::new(Kept::default());
    journal.fails.store(true, Ordering::SeqCst);
    log.add(5);
    let run = run(log, journal);
    run.pass(Duration::from_secs(600)).await;
    assert_eq!(run.count(), 0);
    // The pauses grow: ten minutes are not six hundred attempts.
    assert!(run.journal.appends.load(Ordering::SeqCst) < 20);
    run.log.add(5);
    run.journal.fails.store(false, Ordering::SeqCst);
    run.log.fails.store(true, Ordering::SeqCst);
    run.pass(Duration::from_secs(120)).await;
    run.log.fails.store(false, Ordering::SeqCst);
    run.pass(Duration::from_secs(120)).await;
    assert_eq!(run.count(), 10);
}

#[tokio::test]
async fn a_shutdown_waits_for_what_was_committed_before_it() {
    let run = run(Log::new(), Arc::default());
    run.pass(Duration::from_secs(1)).await;
    run.log.add(2_000);
    run.stop.send(()).unwrap();
    run.task.await.unwrap();
    assert_eq!(run.journal.ids.lock().unwrap().len(), 2_000);
}

#[tokio::test]
async fn a_store_put_back_from_a_copy_is_read_from_its_start() {
    let log = Log::new();
    log.add(3);
    let journal = Arc::new(Kept::default());
    // The journal has read 9 events of the log that is no more; the first 2 are
    // the same.
    *journal.cursor.lock().unwrap() = EventCursor(9);
    *journal.ids.lock().unwrap() = vec![1, 2, 101, 102];
    let run = run(log, journal);
    run.pass(Duration::from_secs(1)).await;
    assert_eq!(*run.journal.ids.lock().unwrap(), [1, 2, 101, 102, 3]);
    assert_eq!(*run.journal.cursor.lock().unwrap(), EventCursor(3));
}
