//! Checks of [`Spool`](crate::seams::Spool).

use std::sync::Arc;
use std::time::Duration;

use crate::address::ReversePath;
use crate::batch::{AfterUpdate, Batch, Precondition, SpoolChange};
use crate::envelope::{Priority, Recipient};
use crate::queue::{DoneRecipient, EntryState, EntryStateKind, QueueEntry, QueueId, QueueProgress};
use crate::seams::{Clock, Lease, LeaseLimit, SpoolOrder, SpoolQuery};
use crate::server::Stores;
use crate::status::Outcome;
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
        an_update_may_keep_the_lease,
        only_waiting_entries_are_leased,
        the_urgent_are_leased_first,
        retries_are_leased_within_their_limit,
        copies_are_kept_until_their_time_is_over,
        what_is_due_far_ahead_is_found,
        listing_pages_and_filters,
        listing_takes_one_state_and_either_order,
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

    async fn update(&self, id: u128, progress: QueueProgress, lease: AfterUpdate) {
        let id = QueueId(id);
        self.change(vec![SpoolChange::Update {
            id,
            progress,
            lease,
        }])
        .await;
    }

    /// Waiting, held, bad, kept.
    async fn counts(&self) -> (u64, u64, u64, u64) {
        let counts = self.stores.spool.counts().await.expect("counts");
        (counts.waiting, counts.held, counts.bad, counts.kept)
    }

    async fn lease(&self, limit: usize) -> Vec<(Arc<QueueEntry>, Lease)> {
        let spool = &self.stores.spool;
        let limit = LeaseLimit::all(limit);
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
    assert_eq!(subject.counts().await, (3, 0, 0, 0));
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
                lease: AfterUpdate::EndLease,
            },
            SpoolChange::Remove { id: leased[1].0.id },
        ])
        .await;
    assert!(!subject.holds(id, leased[0].1).await);
    let spool = &subject.stores.spool;
    let found = spool.entry(id).await.expect("entry").expect("it is there");
    assert_eq!(found.progress, progress);
    assert_eq!(spool.next_due().await.expect("next due"), Some(later));
    assert_eq!(subject.counts().await, (1, 0, 0, 0));
    subject.clock.advance(Duration::from_secs(60));
    assert_eq!(subject.leased_ids(10).await, [id.0]);
}

async fn an_update_may_keep_the_lease(subject: &Subject) {
    subject.enqueue([entry(1, "a@x.test", subject.now())]).await;
    let (leased, lease) = subject.lease(10).await.pop().expect("due");
    let mut progress = leased.progress.clone();
    progress.attempts = 1;
    subject
        .update(1, progress.clone(), AfterUpdate::KeepLease)
        .await;
    assert!(subject.holds(QueueId(1), lease).await);
    assert!(subject.lease(10).await.is_empty(), "it is still taken");
    let found = subject.stores.spool.entry(QueueId(1)).await.expect("entry");
    assert_eq!(found.expect("it is there").progress, progress);
    subject.clock.advance(LEASE + Duration::from_secs(1));
    assert!(!subject.holds(QueueId(1), lease).await, "its time is over");
    assert_eq!(subject.leased_ids(10).await, [1]);
}

async fn only_waiting_entries_are_leased(subject: &Subject) {
    let now = subject.now();
    let states = states(now.after(Duration::from_secs(60)));
    subject
        .enqueue(
            (1..)
                .zip(&states)
                .map(|(id, state)| in_state(id, now, state)),
        )
        .await;
    assert_eq!(subject.leased_ids(10).await, [1]);
    let spool = &subject.stores.spool;
    assert_eq!(spool.next_due().await.expect("next due"), None);
    assert_eq!(subject.counts().await, (1, 1, 1, 1));
    let counts = spool.counts().await.expect("counts");
    assert_eq!((counts.quarantined, counts.queued()), (1, 3));
    for (id, state) in (1..).zip(&states) {
        let found = spool.entry(QueueId(id)).await.expect("entry");
        assert_eq!(found.expect("it is there").progress.state, *state);
        let waiting = in_state(id, now, &EntryState::Waiting).progress;
        subject.update(id, waiting, AfterUpdate::EndLease).await;
    }
    assert_eq!(subject.leased_ids(10).await, [1, 2, 3, 4, 5]);
    for (id, state) in (1..).zip(&states) {
        let progress = in_state(id, now, state).progress;
        subject.update(id, progress, AfterUpdate::EndLease).await;
    }
    assert_eq!(subject.leased_ids(10).await, [1]);
    assert_eq!(subject.counts().await, (1, 1, 1, 1));
    let counts = spool.counts().await.expect("counts");
    assert_eq!((counts.quarantined, counts.queued()), (1, 3));
}

async fn the_urgent_are_leased_first(subject: &Subject) {
    let now = subject.now();
    let since = |minutes: i64| Timestamp::from_millis(now.millis() - minutes * 60_000);
    let with = |id, priority, due| {
        let mut entry = entry(id, "a@x.test", due);
        entry.params.priority = Priority::new(priority).expect("a priority");
        entry
    };
    let later = now.after(Duration::from_secs(60));
    subject
        .enqueue([
            with(1, 0, now),
            with(2, -4, since(90)),
            with(3, 4, now),
            with(4, 0, since(1)),
            with(5, 9, later),
            with(6, -4, since(1)),
        ])
        .await;
    assert_eq!(subject.leased_ids(2).await, [2, 3]);
    assert_eq!(subject.leased_ids(10).await, [4, 1, 6]);
    let next = subject.stores.spool.next_due().await.expect("next due");
    assert_eq!(next, Some(later));

    // Those tried before come after those that were not, for hours.
    let tried = QueueProgress {
        attempts: 1,
        ..with(1, 0, since(10)).progress
    };
    for id in [1, 4] {
        subject
            .update(id, tried.clone(), AfterUpdate::EndLease)
            .await;
    }
    subject.enqueue([with(7, 0, now)]).await;
    assert_eq!(subject.leased_ids(2).await, [7, 1]);
}

async fn retries_are_leased_within_their_limit(subject: &Subject) {
    let now = subject.now();
    let since = |hours: i64| Timestamp::from_millis(now.millis() - hours * 3_600_000);
    let tried = |id| {
        let mut entry = entry(id, "a@x.test", since(9));
        entry.progress.attempts = 1;
        entry
    };
    subject.enqueue([1, 2, 3].map(tried)).await;
    let fresh = [4, 5, 6].map(|id| entry(id, "a@x.test", now));
    subject.enqueue(fresh).await;
    let lease = async |all, retries| {
        let limit = LeaseLimit { all, retries };
        let leased = subject.stores.spool.lease(now, limit, LEASE).await;
        let ids = leased.expect("lease").into_iter();
        ids.map(|(entry, _)| entry.id.0).collect::<Vec<_>>()
    };
    assert_eq!(lease(2, 1).await, [1, 4], "the retry has waited long");
    assert_eq!(lease(9, 0).await, [5, 6]);
    assert_eq!(lease(1, 9).await, [2]);
}

async fn copies_are_kept_until_their_time_is_over(subject: &Subject) {
    let now = subject.now();
    let until = |seconds| EntryState::Kept {
        until: now.after(Duration::from_secs(seconds)),
    };
    subject
        .enqueue([
            in_state(1, now, &until(20)),
            in_state(2, now, &until(10)),
            in_state(3, now, &until(60)),
            entry(4, "a@x.test", now),
        ])
        .await;
    let spool = &subject.stores.spool;
    let outlived = async |limit| {
        let found = spool
            .outlived(subject.now(), limit)
            .await
            .expect("outlived");
        found.into_iter().map(|id| id.0).collect::<Vec<_>>()
    };
    assert!(outlived(10).await.is_empty());
    subject.clock.advance(Duration::from_secs(20));
    assert_eq!(outlived(1).await, [2]);
    assert_eq!(outlived(10).await, [2, 1]);
    subject
        .change(vec![SpoolChange::Remove { id: QueueId(2) }])
        .await;
    assert_eq!(outlived(10).await, [1]);
    assert_eq!(subject.counts().await, (1, 0, 0, 2));
    let bad = EntryState::Bad {
        reason: "a loop".to_owned(),
        until: subject.now().after(Duration::from_secs(5)),
    };
    subject.enqueue([in_state(5, now, &bad)]).await;
    assert_eq!(outlived(10).await, [1], "a bad entry has its time");
    subject.clock.advance(Duration::from_secs(5));
    assert_eq!(outlived(10).await, [1, 5]);
}

/// One of each.
fn states(until: Timestamp) -> [EntryState; 5] {
    let reason = "a loop".to_owned();
    [
        EntryState::Waiting,
        EntryState::Held,
        EntryState::Bad { reason, until },
        EntryState::Kept { until },
        EntryState::Quarantined,
    ]
}

fn in_state(id: u128, due: Timestamp, state: &EntryState) -> QueueEntry {
    let mut entry = entry(id, "a@x.test", due);
    entry.progress.state = state.clone();
    entry
}

async fn what_is_due_far_ahead_is_found(subject: &Subject) {
    let at = |seconds| subject.now().after(Duration::from_secs(seconds));
    let mut urgent = entry(1, "a@x.test", at(900));
    urgent.params.priority = Priority::new(4).expect("in range");
    subject
        .enqueue([
            urgent,
            entry(2, "a@x.test", at(800)),
            entry(3, "a@x.test", at(700)),
            in_state(4, at(900), &EntryState::Held),
        ])
        .await;
    let spool = &subject.stores.spool;
    let mut found = spool.due_after(at(700), 10).await.expect("due_after");
    found.sort_unstable();
    assert_eq!(found, [QueueId(1), QueueId(2)]);
    let found = spool.due_after(at(0), 2).await.expect("due_after");
    assert_eq!(found.len(), 2);
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
            ..SpoolQuery::default()
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

async fn listing_takes_one_state_and_either_order(subject: &Subject) {
    let now = subject.now();
    let states = states(now.after(Duration::from_secs(60)));
    let mut entries: Vec<_> = (1..=10u128)
        .zip(states.iter().cycle())
        .map(|(id, state)| in_state(id, now, state))
        .collect();
    entries[5].reverse_path = ReversePath::Null;
    entries[6].received_at = now.after(Duration::from_secs(1));
    let recipient = Recipient::new("served@y.test".parse().expect("an address"));
    let done = DoneRecipient::of(recipient.clone(), &Outcome::Delivered, now);
    entries[8].progress.done.extend(done.clone());
    entries[0].progress.done.extend(done);
    subject.enqueue(entries).await;
    let list = async |query: SpoolQuery| {
        let found = subject.stores.spool.list(&query).await.expect("list");
        found.iter().map(|it| it.entry.id.0).collect::<Vec<_>>()
    };
    let all = SpoolQuery::default;
    assert_eq!(list(all()).await, [1, 2, 3, 6, 7, 8], "copies aside");
    for (state, expected) in EntryStateKind::ALL.into_iter().zip(1..) {
        let state = Some(state);
        let newest_first = SpoolQuery {
            state,
            order: SpoolOrder::NewestFirst,
            ..all()
        };
        assert_eq!(list(newest_first.clone()).await, [expected + 5, expected]);
        let after = Some(QueueId(expected + 5));
        let next_page = SpoolQuery {
            after,
            ..newest_first
        };
        assert_eq!(list(next_page).await, [expected]);
        assert_eq!(
            list(SpoolQuery { state, ..all() }).await,
            [expected, expected + 5]
        );
    }
    let sender = Some(ReversePath::Null);
    assert_eq!(list(SpoolQuery { sender, ..all() }).await, [6]);
    let received_before = Some(now.after(Duration::from_secs(1)));
    let earlier = SpoolQuery {
        received_before,
        ..all()
    };
    assert_eq!(list(earlier).await, [1, 2, 3, 6, 8]);
    let served = SpoolQuery {
        state: Some(EntryStateKind::Kept),
        recipient: Some(recipient.address),
        ..all()
    };
    assert_eq!(list(served.clone()).await, [9]);
    let on_its_way = SpoolQuery {
        state: None,
        ..served
    };
    assert!(list(on_its_way).await.is_empty(), "nothing is left to do");
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
