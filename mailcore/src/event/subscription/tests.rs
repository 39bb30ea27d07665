//! Readers with names over a store in memory.

use super::*;
use crate::event::fake_store::FakeStore;
use crate::testing::VirtualClock;

struct Run {
    store: Arc<FakeStore>,
    clock: VirtualClock,
}

impl Run {
    fn new() -> Self {
        Self {
            store: FakeStore::new(),
            clock: VirtualClock::new(),
        }
    }

    fn seams(&self) -> SubscriptionSeams {
        SubscriptionSeams {
            outbox: self.store.clone(),
            state: self.store.clone(),
            clock: Arc::new(self.clock.clone()),
        }
    }

    async fn open(&self, filter: EventFilter, start: StartAt) -> Subscription {
        Subscription::open("test", self.seams(), filter, start)
            .await
            .unwrap()
    }

    fn raise(&self, names: &[EventName]) {
        for name in names {
            self.store.raise(name.clone(), self.clock.now(), &[]);
        }
    }
}

/// Lets a reader look at all that is there; it finds nothing to give.
async fn gives_nothing(reader: &mut Subscription) {
    let quiet = async {
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        event = reader.next() => panic!("{event:?}"),
        () = quiet => {}
    }
}

async fn cursor(reader: &mut Subscription) -> u64 {
    reader.next().await.unwrap().unwrap().cursor.0
}

#[tokio::test]
async fn a_reader_goes_on_after_what_is_done_and_gets_the_rest_again() {
    let run = Run::new();
    run.raise(&[EventName::Login]);
    let mut reader = run.open(EventFilter::all(), StartAt::Now).await;
    run.raise(&[EventName::Login, EventName::Logout, EventName::DiskLow]);
    assert_eq!(cursor(&mut reader).await, 2);
    assert_eq!(cursor(&mut reader).await, 3);
    reader.done(EventCursor(2)).await.unwrap();
    // More than was given can't be done.
    reader.done(EventCursor(99)).await.unwrap();
    reader.done(EventCursor(1)).await.unwrap();
    let mut again = run.open(EventFilter::all(), StartAt::Oldest).await;
    assert_eq!(cursor(&mut again).await, 4);
    let mut other = Subscription::open("other", run.seams(), EventFilter::all(), StartAt::Oldest)
        .await
        .unwrap();
    assert_eq!(other.next_batch(3).await.unwrap().unwrap().len(), 3);
    Subscription::forget("test", &*run.store).await.unwrap();
    let mut anew = run.open(EventFilter::all(), StartAt::Oldest).await;
    assert_eq!(cursor(&mut anew).await, 1);
}

#[tokio::test]
async fn a_reader_of_rare_events_does_not_stay_behind() {
    let run = Run::new();
    let rare = EventFilter::all().names([EventName::DiskLow]);
    let mut reader = run.open(rare.clone(), StartAt::Now).await;
    run.raise(&vec![EventName::Login; 1_000]);
    gives_nothing(&mut reader).await;
    let mut again = run.open(rare, StartAt::Now).await;
    assert_eq!(again.done, EventCursor(1_000));
    run.raise(&[EventName::DiskLow, EventName::Login]);
    assert_eq!(cursor(&mut again).await, 1_001);
    // It is not done: nothing after it may be either.
    gives_nothing(&mut again).await;
    assert_eq!(again.kept.0.cursor, EventCursor(1_000));
}

#[tokio::test]
async fn what_is_given_up_is_told_as_a_gap_until_that_is_done() {
    let run = Run::new();
    let mut reader = run.open(EventFilter::all(), StartAt::Now).await;
    run.raise(&[EventName::Login, EventName::Logout, EventName::DiskLow]);
    let batch = reader.next_batch(9).await.unwrap().unwrap();
    reader.give_up(&batch[1], 2).await.unwrap();
    for _ in 0..2 {
        let mut again = run.open(EventFilter::all(), StartAt::Now).await;
        let gap = again.next().await.unwrap().unwrap();
        assert_eq!(gap.event.name, EventName::Gap);
        assert_eq!(gap.event.field("dropped"), Some("2"));
        assert_eq!(cursor(&mut again).await, 3);
    }
    assert_eq!(cursor(&mut reader).await, 2);
    let third = reader.next().await.unwrap().unwrap();
    reader.give_up(&third, 1).await.unwrap();
    let gap = reader.next().await.unwrap().unwrap();
    assert_eq!(gap.event.field("dropped"), Some("3"));
    reader.done(gap.cursor).await.unwrap();
    run.raise(&[EventName::Login]);
    let mut again = run.open(EventFilter::all(), StartAt::Now).await;
    assert_eq!(cursor(&mut again).await, 4);
}

#[tokio::test]
async fn a_name_is_a_word() {
    let run = Run::new();
    for name in ["", "a b", "a/b", &"x".repeat(65)] {
        let opened = Subscription::open(name, run.seams(), EventFilter::all(), StartAt::Now).await;
        assert!(matches!(opened, Err(SubscribeError::Name(_))), "{name}");
    }
}
