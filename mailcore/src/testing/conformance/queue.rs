//! Checks of [`Spool`](crate::seams::Spool).

use std::sync::Arc;
use std::time::Duration;

use crate::batch::{Batch, Precondition, SpoolChange};
use crate::queue::{QueueEntry, QueueId};
use crate::seams::{Clock, Lease, SpoolQuery};
use crate::server::Stores;
use crate::testing::VirtualClock;
use crate::time::Timestamp;

use super::fixtures::{entry, octets};

const LEASE: Duration = Duration::from_secs(600);

/// Checks [`Spool`](crate::seams::Spool): order, leases, holds, listing.
pub async fn spool(make: &impl AsyncFn(VirtualClock) -> Stores) {
    let subject = async || {
        let clock = VirtualClock::new();
        Subject {
            stores: make(clock.clone()).await,
            clock,
        }
    };
    super::run!(&subject().await;
        entries_come_when_they_are_due,
        entries_read_back,
        a_lease_excludes_others,
        a_released_entry_is_due_again,
        a_lease_ends_with_its_time,
        a_change_ends_the_lease,
        held_entries_are_not_leased,
        listing_pages_and_filters,
        watchers_are_told,
    );
}

struct Subject {
    stores: Stores,
    clock: VirtualClock,
}

impl Subject {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn enqueue(&self, entries: impl IntoIterator<Item = QueueEntry>) {
        let spool = entries.into_iter().map(Arc::new);
        self.change(spool.map(SpoolChange::Enqueue).collect()).await;
    }

    async fn change(&self, spool: Vec<SpoolChange>) {
        let batch = Batch {
            spool,
            ..Batch::default()
        };
        self.stores.commit.commit(batch).await.expect("commit");
    }

    async fn lease(&self, limit: usize) -> Vec<(Arc<QueueEntry>, Lease)> {
        let spool = &self.stores.spool;
        spool.lease(self.now(), limit, LEASE).await.expect("lease")
    }

    async fn leased_ids(&self, limit: usize) -> Vec<u128> {
        let leased = self.lease(limit).await.into_iter();
        leased.map(|(entry, _)| entry.id.0).collect()
    }

    async fn holds(&self, id: QueueId, lease: Lease) -> bool {
        let batch = Batch {
            preconditions: vec![Precondition::LeaseHeld { id, lease }],
            ..Batch::default()
        };
        self.stores.commit.commit(batch).await.is_ok()
    }
}

async fn entries_come_when_they_are_due(subject: &Subject) {
    let now = subject.now();
    subject
        .enqueue([
            entry(1, "a@x.test", now.after(Duration::from_secs(10))),
            entry(2, "a@x.test", now.after(Duration::from_secs(5))),
            entry(3, "a@x.test", now.after(Duration::from_secs(60))),
        ])
        .await;
    let spool = &subject.stores.spool;
    assert_eq!(spool.count().await.expect("count"), 3);
    assert!(
        subject.leased_ids(10).await.is_empty(),
        "nothing is due yet"
    );
    assert_eq!(
        spool.next_due().await.expect("next due"),
        Some(now.after(Duration::from_secs(5)))
    );
    subject.clock.advance(Duration::from_secs(20));
    assert_eq!(subject.leased_ids(1).await, [2], "the earliest first");
    assert_eq!(subject.leased_ids(10).await, [1]);
    assert_eq!(
        spool.next_due().await.expect("next due"),
        Some(now.after(Duration::from_secs(60)))
    );
}

async fn entries_read_back(subject: &Subject) {
    let mut wanted = entry(9, "a@x.test", subject.now());
    wanted.params.envelope_id = Some("id".into());
    wanted.message = wanted.message.with_prefix("Received: x\r\n");
    subject.enqueue([wanted.clone()]).await;
    let spool = &subject.stores.spool;
    let found = spool.entry(QueueId(9)).await.expect("entry");
    let found = found.expect("it is there");
    assert_eq!(found.encode_fixed(), wanted.encode_fixed());
    assert_eq!(found.progress, wanted.progress);
    let read = found.message.read_all(1 << 20).await.expect("read");
    assert_eq!(read, format!("Received: x\r\n{}", octets("queued")));
    assert!(spool.entry(QueueId(1)).await.expect("entry").is_none());
}

async fn a_lease_excludes_others(subject: &Subject) {
    subject.enqueue([entry(1, "a@x.test", subject.now())]).await;
    let (_, lease) = subject.lease(10).await.pop().expect("due");
    assert!(subject.lease(10).await.is_empty(), "it is taken");
    assert!(subject.holds(QueueId(1), lease).await);
    assert!(!subject.holds(QueueId(1), Lease(lease.0 + 1)).await);
    assert!(!subject.holds(QueueId(2), lease).await);
    assert_eq!(
        subject.stores.spool.next_due().await.expect("next due"),
        None,
        "what somebody holds is not due"
    );
}

async fn a_released_entry_is_due_again(subject: &Subject) {
    subject.enqueue([entry(1, "a@x.test", subject.now())]).await;
    let (_, lease) = subject.lease(10).await.pop().expect("due");
    let spool = &subject.stores.spool;
    spool
        .release(QueueId(1), Lease(lease.0 + 1))
        .await
        .expect("releasing what is not held is fine");
    assert!(
        subject.holds(QueueId(1), lease).await,
        "and changes nothing"
    );
    spool.release(QueueId(1), lease).await.expect("release");
    assert!(!subject.holds(QueueId(1), lease).await);
    assert_eq!(subject.leased_ids(10).await, [1]);
}

async fn a_lease_ends_with_its_time(subject: &Subject) {
    subject.enqueue([entry(1, "a@x.test", subject.now())]).await;
    let (_, lease) = subject.lease(10).await.pop().expect("due");
    subject.clock.advance(LEASE + Duration::from_secs(1));
    assert!(!subject.holds(QueueId(1), lease).await, "its time is over");
    let (_, newer) = subject.lease(10).await.pop().expect("due again");
    assert_ne!(lease, newer, "an old lease is not mistaken for the new one");
    assert!(!subject.holds(QueueId(1), lease).await);
    assert!(subject.holds(QueueId(1), newer).await);
}

async fn a_change_ends_the_lease(subject: &Subject) {
    subject
        .enqueue([
            entry(1, "a@x.test", subject.now()),
            entry(2, "a@x.test", subject.now()),
        ])
        .await;
    let leased = subject.lease(10).await;
    let later = subject.now().after(Duration::from_secs(60));
    let mut progress = leased[0].0.progress.clone();
    progress.attempts = 1;
    progress.next_attempt = later;
    let id = leased[0].0.id;
    subject
        .change(vec![
            SpoolChange::Update {
                id,
                progress: progress.clone(),
            },
            SpoolChange::Remove { id: leased[1].0.id },
        ])
        .await;
    assert!(!subject.holds(id, leased[0].1).await);
    let spool = &subject.stores.spool;
    let found = spool.entry(id).await.expect("entry").expect("it is there");
    assert_eq!(found.progress, progress);
    assert_eq!(spool.next_due().await.expect("next due"), Some(later));
    assert_eq!(spool.count().await.expect("count"), 1);
    subject.clock.advance(Duration::from_secs(60));
    assert_eq!(subject.leased_ids(10).await, [id.0]);
}

async fn held_entries_are_not_leased(subject: &Subject) {
    let mut held = entry(1, "a@x.test", subject.now());
    held.progress.on_hold = true;
    subject.enqueue([held.clone()]).await;
    assert!(subject.lease(10).await.is_empty());
    let spool = &subject.stores.spool;
    assert_eq!(spool.next_due().await.expect("next due"), None);
    let mut progress = held.progress;
    progress.on_hold = false;
    subject
        .change(vec![SpoolChange::Update {
            id: QueueId(1),
            progress,
        }])
        .await;
    assert_eq!(subject.leased_ids(10).await, [1]);
}

async fn listing_pages_and_filters(subject: &Subject) {
    let later = subject.now().after(Duration::from_secs(60));
    subject
        .enqueue([
            entry(3, "a@y.test", later),
            entry(1, "a@x.test", subject.now()),
            entry(2, "a@y.test", later),
        ])
        .await;
    subject.lease(1).await;
    let list = async |after: Option<u128>, domain: Option<&str>, limit| {
        let query = SpoolQuery {
            after: after.map(QueueId),
            domain: domain.map(|it| it.parse().expect("a domain")),
            limit,
        };
        let found = subject.stores.spool.list(&query).await.expect("list");
        let line = |it: &crate::seams::SpoolSummary| (it.entry.id.0, it.leased);
        found.iter().map(line).collect::<Vec<_>>()
    };
    let all = [(1, true), (2, false), (3, false)];
    assert_eq!(list(None, None, 10).await, all, "in the order of ids");
    assert_eq!(list(None, None, 2).await, all[..2]);
    assert_eq!(list(Some(2), None, 10).await, all[2..]);
    assert_eq!(list(None, Some("y.test"), 10).await, all[1..]);
}

async fn watchers_are_told(subject: &Subject) {
    let mut watch = subject.stores.spool.watch();
    watch.borrow_and_update();
    subject.enqueue([entry(1, "a@x.test", subject.now())]).await;
    watch.changed().await.expect("the store is there");
    watch.borrow_and_update();
    subject
        .change(vec![SpoolChange::Remove { id: QueueId(1) }])
        .await;
    watch.changed().await.expect("the store is there");
}
