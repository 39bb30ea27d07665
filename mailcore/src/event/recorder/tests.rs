//! The recorder over a commit that keeps what it is given.

use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::*;
use crate::batch::Receipt;
use crate::seams::{CommitError, Stage, StoreError};
use crate::testing::{SeededEntropy, VirtualClock};

#[derive(Debug, Default)]
struct Store {
    batches: Mutex<Vec<Vec<Event>>>,
    fails: AtomicBool,
}

#[async_trait]
impl Commit for Store {
    async fn commit(&self, batch: Batch) -> Result<Receipt, CommitError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::DiskFull.into());
        }
        self.batches.lock().unwrap().push(batch.events);
        Ok(Receipt::default())
    }

    async fn stage(&self) -> Result<Box<dyn Stage>, StoreError> {
        Err(StoreError::Unsupported("stage"))
    }
}

struct Run {
    clock: VirtualClock,
    store: Arc<Store>,
    recorder: Recorder,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

fn run() -> Run {
    let clock = VirtualClock::new();
    let store = Arc::new(Store::default());
    let (recorder, task) = Recorder::new(
        store.clone(),
        Arc::new(clock.clone()),
        Arc::new(SeededEntropy::new(1)),
        RecorderConfig::default(),
    );
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(task.run(async { drop(stopped.await) }));
    Run {
        clock,
        store,
        recorder,
        stop,
        task,
    }
}

impl Run {
    fn login(&self) {
        let event = self.recorder.event(EventName::Login).unwrap();
        self.recorder.record(event);
    }

    fn refuse(&self, peer: &str) {
        let peer = Some(peer.parse().unwrap());
        if let Some(event) = self.recorder.refusal(EventName::RecipientRefused, peer) {
            self.recorder.record(event);
        }
    }

    async fn pass(&self, time: Duration) {
        self.clock.run_for(time).await;
    }

    fn names(&self) -> Vec<EventName> {
        let batches = self.store.batches.lock().unwrap();
        batches
            .iter()
            .flatten()
            .map(|event| event.name.clone())
            .collect()
    }
}

#[tokio::test]
async fn a_thousand_logins_cost_few_commits() {
    let run = run();
    for _ in 0..10 {
        (0..100).for_each(|_| run.login());
        run.pass(Duration::from_millis(100)).await;
    }
    run.pass(Duration::from_secs(1)).await;
    assert_eq!(run.names().len(), 1_000);
    assert!(run.store.batches.lock().unwrap().len() <= 20);
}

#[tokio::test]
async fn a_flood_of_refusals_is_counted_and_leaves_room_for_others() {
    let run = run();
    for _ in 0..5_000 {
        run.refuse("192.0.2.1");
        // Other addresses of one network are one peer.
        run.refuse(&format!("2001:db8::{:x}", run.clock.now().millis() % 4_096));
    }
    run.refuse("192.0.2.2");
    run.pass(Duration::from_secs(61)).await;
    let names = run.names();
    let told = names
        .iter()
        .filter(|name| **name == EventName::RecipientRefused);
    assert_eq!(told.count(), 20 + 20 + 1);
    let batches = run.store.batches.lock().unwrap();
    let last = batches.last().unwrap().last().unwrap();
    assert_eq!(last.name, EventName::EventsOmitted);
    assert_eq!(last.field("refusals"), Some("9960"));
    assert_eq!(last.field("dropped"), Some("0"));
}

#[tokio::test]
async fn a_full_disk_neither_blocks_nor_loses_what_has_room_to_wait() {
    let run = run();
    run.store.fails.store(true, Ordering::SeqCst);
    for _ in 0..5_000 {
        run.login();
    }
    run.pass(Duration::from_secs(30)).await;
    run.store.fails.store(false, Ordering::SeqCst);
    run.pass(Duration::from_secs(120)).await;
    let names = run.names();
    let logins = names.iter().filter(|name| **name == EventName::Login);
    assert_eq!(logins.count(), 4_096);
    assert_eq!(names.last(), Some(&EventName::EventsOmitted));
}

#[tokio::test]
async fn a_shutdown_keeps_what_waits() {
    let run = run();
    (0..300).for_each(|_| run.login());
    run.stop.send(()).unwrap();
    run.task.await.unwrap();
    let batches = run.store.batches.lock().unwrap();
    assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 300);
}
