//! The store as a whole: what was acknowledged is there after a kill, a lost
//! index, and failing writes.

mod adverse;
mod damage;
mod formats;
mod names;
mod recent;
mod semantics;

use std::path::Path;
use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::batch::{
    AfterUpdate, Append, Batch, DeliveryId, IfMissing, Precondition, SpoolChange, StateChange,
};
use mailcore::envelope::Recipient;
use mailcore::event::{EventCursor, EventName, TraceId};
use mailcore::mailbox::{FlagChange, Flags, Keyword, MailboxName, ModSeq, SystemFlag, Uid, UidSet};
use mailcore::message::{Message, Summary};
use mailcore::queue::{Origin, QueueEntry, QueueId, QueueProgress};
use mailcore::seams::{
    Clock, Commit, CommitError, Lease, LeaseLimit, NewMessage, Outbox, QuotaLimit, Spool,
    SpoolQuery, State, StateKey, Storage, StoreError, SystemClock,
};
use mailcore::time::Timestamp;
use tempfile::TempDir;

use super::{EmbeddedOptions, EmbeddedStore, OpenError};

fn account() -> AccountId {
    AccountId::new("a@x.test")
}

fn open(at: &Path) -> EmbeddedStore {
    EmbeddedStore::open(at, EmbeddedOptions::default()).unwrap()
}

fn text(n: u64) -> String {
    format!("Subject: {n}\r\n\r\n{}\r\n", "x".repeat(n as usize % 3_000))
}

fn new_message(octets: impl Into<Vec<u8>>) -> NewMessage {
    let octets = octets.into();
    NewMessage {
        summary: Arc::new(Summary::scan(&octets)),
        message: Message::from_bytes(octets),
        flags: Flags::NONE,
        internal_date: Timestamp::from_secs(1_000),
    }
}

fn delivery(message: NewMessage, id: u128) -> Append {
    Append {
        account: account(),
        mailbox: MailboxName::inbox(),
        if_missing: IfMissing::FileToInbox,
        message,
        delivery_id: Some(DeliveryId(id)),
        quota: QuotaLimit::NONE,
        trace: TraceId(id),
        recipient: None,
    }
}

pub(super) fn entry(id: u128, message: Message) -> Arc<QueueEntry> {
    Arc::new(QueueEntry {
        id: QueueId(id),
        trace: TraceId(id),
        reverse_path: mailcore::address::ReversePath::Null,
        params: Default::default(),
        origin: Origin::Received,
        received_at: Timestamp::from_secs(1),
        message,
        findings: Arc::default(),
        progress: progress(5),
    })
}

pub(super) fn progress(due: i64) -> QueueProgress {
    let to = mailcore::envelope::Recipient::new("b@y.test".parse().unwrap());
    QueueProgress::new([to], Timestamp::from_secs(due), Timestamp::from_secs(9_999))
}

/// Copies the files as they are, as a killed process leaves them.
pub(super) fn killed(from: &Path) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => copy(&entry.path(), &target),
                false => drop(std::fs::copy(entry.path(), target).unwrap()),
            }
        }
    }
    let to = TempDir::new().unwrap();
    copy(from, to.path());
    to
}

/// All that can be read, in a form that compares.
async fn picture(store: &EmbeddedStore) -> String {
    let mut out = String::new();
    for listed in Storage::list(store, &account()).await.unwrap() {
        out += &format!("{listed:?}\n");
        let Some(_) = listed.id else { continue };
        let mailbox = store.open(&account(), &listed.name).await.unwrap();
        out += &format!("{:?}\n", mailbox.status().await.unwrap());
        out += &format!("{:?}\n", mailbox.changes(ModSeq::MIN).await.unwrap());
        out += &format!("{:?}\n", mailbox.summaries(&UidSet::all()).await.unwrap());
        for info in mailbox.messages(&UidSet::all()).await.unwrap() {
            let message = mailbox.message(info.uid).await.unwrap();
            assert_eq!(message.len(), info.size);
            out += &format!("{info:?} {:?}\n", message.read_all(1 << 30).await.unwrap());
        }
    }
    for summary in Spool::list(store, &SpoolQuery::default()).await.unwrap() {
        let octets = summary.entry.message.read_all(1 << 30).await.unwrap();
        out += &format!(
            "{:?} {:?} {octets:?}\n",
            summary.entry.id, summary.entry.progress
        );
    }
    out += &format!(
        "{:?}\n",
        State::scan(store, "n", "", None, 100).await.unwrap()
    );
    out += &format!(
        "{:?}\n",
        Outbox::read(store, EventCursor::default(), 1_000)
            .await
            .unwrap()
    );
    out
}

/// One of everything.
async fn fill(store: &EmbeddedStore) {
    let inbox = Storage::open(store, &account(), &MailboxName::inbox())
        .await
        .unwrap();
    let name = |text: &str| MailboxName::parse(text).unwrap();
    store.create(&account(), &name("a/b"), None).await.unwrap();
    store.create(&account(), &name("gone"), None).await.unwrap();
    store
        .subscribe(&account(), &name("elsewhere"))
        .await
        .unwrap();
    inbox
        .append(
            (0..8).map(|n| new_message(text(n * 400))).collect(),
            QuotaLimit::NONE,
        )
        .await
        .unwrap();
    let large = vec![b'y'; 300_000];
    inbox
        .append(vec![new_message(large.clone())], QuotaLimit::NONE)
        .await
        .unwrap();
    let uids = |first, last| UidSet::range(Uid::new(first).unwrap(), Uid::new(last).unwrap());
    let mut flags: Flags = [SystemFlag::Seen, SystemFlag::Deleted]
        .into_iter()
        .collect();
    flags.insert_keyword(Keyword::new("$Work").unwrap());
    inbox
        .store(&uids(2, 3), &FlagChange::Add(flags), None)
        .await
        .unwrap();
    inbox
        .copy(&uids(1, 4), &name("a/b"), QuotaLimit::NONE)
        .await
        .unwrap();
    inbox.move_to(&uids(5, 5), &name("gone")).await.unwrap();
    assert_eq!(inbox.expunge(&UidSet::all()).await.unwrap(), uids(2, 3));
    store.delete(&account(), &name("gone")).await.unwrap();
    store
        .rename(&account(), &name("a"), &name("c"))
        .await
        .unwrap();
    fill_queue_and_state(store).await;
}

async fn fill_queue_and_state(store: &EmbeddedStore) {
    let message = Message::from_bytes(text(77)).with_prefix("Return-Path: <>\r\n");
    let key = |key| StateKey::new("n", key);
    let batch = Batch {
        appends: vec![delivery(
            NewMessage {
                message: message.clone(),
                ..new_message(text(77))
            },
            9,
        )],
        spool: vec![
            SpoolChange::Enqueue(entry(1, message.clone())),
            SpoolChange::Enqueue(entry(2, message)),
        ],
        state: vec![
            StateChange::Put {
                key: key("k"),
                value: vec![1],
                expires: None,
            },
            StateChange::Add {
                key: key("count"),
                amount: 3,
                expires: None,
            },
        ],
        ..Batch::default()
    };
    store.commit(batch).await.unwrap();
    let batch = Batch {
        spool: vec![
            SpoolChange::Update {
                id: QueueId(1),
                progress: progress(50),
                lease: AfterUpdate::EndLease,
            },
            SpoolChange::Remove { id: QueueId(2) },
        ],
        ..Batch::default()
    };
    store.commit(batch).await.unwrap();
}

#[tokio::test]
async fn all_is_there_after_a_kill_and_after_the_index_is_lost() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    fill(&store).await;
    let before = picture(&store).await;

    let copy = killed(at.path());
    let reopened = open(copy.path());
    assert_eq!(reopened.opened().damage, []);
    assert_eq!(picture(&reopened).await, before);
    let report = reopened.check().unwrap();
    assert!(report.is_sound() && report.messages == 11, "{report:?}");

    let copy = killed(at.path());
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        drop(std::fs::remove_file(copy.path().join(name)));
    }
    let reopened = open(copy.path());
    assert!(reopened.opened().rebuilt);
    assert_eq!(picture(&reopened).await, before);

    let copy = killed(at.path());
    drop(std::fs::remove_file(copy.path().join("index.db-wal")));
    std::fs::write(
        copy.path().join("index.db"),
        b"this is no database, whatever its name may say",
    )
    .unwrap();
    let reopened = open(copy.path());
    assert!(reopened.opened().rebuilt);
    assert_eq!(picture(&reopened).await, before);

    // An old index and a new log, as after a power cut.
    let old = killed(at.path());
    let inbox = Storage::open(&store, &account(), &MailboxName::inbox())
        .await
        .unwrap();
    inbox
        .append(vec![new_message(text(5))], QuotaLimit::NONE)
        .await
        .unwrap();
    let after = picture(&store).await;
    let copy = killed(at.path());
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        drop(std::fs::copy(old.path().join(name), copy.path().join(name)));
    }
    let reopened = open(copy.path());
    assert_eq!(reopened.opened().replayed, 1);
    assert_eq!(picture(&reopened).await, after);
}

#[tokio::test]
async fn a_store_goes_on_after_being_closed_and_reopened() {
    let at = TempDir::new().unwrap();
    let mut uids = Vec::new();
    for n in 0..3 {
        let store = open(at.path());
        let inbox = Storage::open(&store, &account(), &MailboxName::inbox())
            .await
            .unwrap();
        uids.push(
            inbox
                .append(vec![new_message(text(n))], QuotaLimit::NONE)
                .await
                .unwrap()[0]
                .uid
                .value(),
        );
    }
    assert_eq!(uids, [1, 2, 3]);
}

#[test]
fn one_process_owns_a_store() {
    let at = TempDir::new().unwrap();
    let first = open(at.path());
    let error = EmbeddedStore::open(at.path(), EmbeddedOptions::default()).unwrap_err();
    assert!(
        matches!(&error, OpenError::Locked { path, holder } if path == at.path() && *holder == Some(std::process::id())),
        "{error}"
    );
    drop(first);
    open(at.path());
}

#[tokio::test]
async fn a_damaged_body_is_an_error_and_never_wrong_octets() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    let inbox = Storage::open(&store, &account(), &MailboxName::inbox())
        .await
        .unwrap();
    let large = vec![b'z'; 200_000];
    inbox
        .append(
            vec![
                new_message("Subject: findme\r\n\r\nfindme\r\n"),
                new_message(large),
            ],
            QuotaLimit::NONE,
        )
        .await
        .unwrap();
    drop((inbox, store));
    for directory in ["log", "extents"] {
        for file in std::fs::read_dir(at.path().join(directory)).unwrap() {
            let path = file.unwrap().path();
            let mut octets = std::fs::read(&path).unwrap();
            let place = octets
                .windows(6)
                .position(|it| it == b"findme" || it == b"zzzzzz");
            if let Some(place) = place {
                octets[place + 2] ^= 4;
                std::fs::write(&path, octets).unwrap();
            }
        }
    }
    let store = open(at.path());
    let inbox = Storage::open(&store, &account(), &MailboxName::inbox())
        .await
        .unwrap();
    for uid in [1, 2] {
        let message = inbox.message(Uid::new(uid).unwrap()).await.unwrap();
        let error = message.read(0..20).await.unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    }
    let report = store.check().unwrap();
    assert_eq!(
        (report.damage.len(), report.problem_count),
        (1, 2),
        "{report:?}"
    );
    // What is sound in the large one is still served.
    let message = inbox.message(Uid::new(2).unwrap()).await.unwrap();
    assert_eq!(message.read(199_000..199_010).await.unwrap(), "zzzzzzzzzz");
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_each_recipient_has_its_own_outcome() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    let missing = MailboxName::parse("missing").unwrap();
    let full = Append {
        quota: Some(10).into(),
        ..delivery(new_message(text(1)), 1)
    };
    let fails = Append {
        mailbox: missing.clone(),
        if_missing: IfMissing::Fail,
        ..delivery(new_message(text(1)), 2)
    };
    let falls_back = Append {
        mailbox: missing.clone(),
        ..delivery(new_message(text(1)), 3)
    };
    let makes = Append {
        mailbox: missing,
        if_missing: IfMissing::Create,
        ..delivery(new_message(text(1)), 4)
    };
    let batch = Batch {
        appends: vec![full, fails, falls_back.clone(), makes],
        ..Batch::default()
    };
    let receipt = store.commit(batch).await.unwrap();
    assert!(matches!(receipt.appends[0], Err(StoreError::OverQuota)));
    assert!(matches!(receipt.appends[1], Err(StoreError::NoSuchMailbox)));
    let filed = receipt.appends[2].clone().unwrap();
    assert!(receipt.appends[3].is_ok());
    // The same delivery again is answered and not filed.
    let again = store
        .commit(Batch {
            appends: vec![falls_back],
            ..Batch::default()
        })
        .await
        .unwrap();
    assert_eq!(again.appends[0].clone().unwrap(), filed);
    let events = Outbox::read(&store, EventCursor::default(), 10)
        .await
        .unwrap();
    assert_eq!(
        events
            .iter()
            .map(|it| it.event.name.clone())
            .filter(|name| *name != EventName::MailboxCreate)
            .collect::<Vec<_>>(),
        [EventName::MessageNew, EventName::MessageNew]
    );
}

#[tokio::test]
async fn a_batch_whose_precondition_fails_writes_nothing() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    let key = StateKey::new("n", "k");
    let batch = Batch {
        preconditions: vec![
            Precondition::StateIs {
                key: key.clone(),
                version: None,
            },
            Precondition::LeaseHeld {
                id: QueueId(1),
                lease: Lease(1),
            },
        ],
        state: vec![StateChange::Put {
            key: key.clone(),
            value: vec![1],
            expires: None,
        }],
        ..Batch::default()
    };
    assert!(matches!(
        store.commit(batch).await,
        Err(CommitError::Precondition(1))
    ));
    assert_eq!(State::read(&store, &key).await.unwrap(), None);
}

#[tokio::test]
async fn state_is_found_in_any_namespace_at_once_and_after_a_kill() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    let keys = ["", "a", "n", "zz"].map(|namespace| StateKey::new(namespace, "k"));
    for key in &keys {
        assert_eq!(State::read(&store, key).await.unwrap(), None);
        let put = StateChange::Put {
            key: key.clone(),
            value: vec![1],
            expires: None,
        };
        store.change(vec![put]).await.unwrap();
        assert!(State::read(&store, key).await.unwrap().is_some(), "{key:?}");
    }
    let copy = killed(at.path());
    let again = open(copy.path());
    for key in &keys {
        assert!(State::read(&again, key).await.unwrap().is_some(), "{key:?}");
    }
    let unused = StateKey::new("b", "k");
    assert_eq!(State::read(&again, &unused).await.unwrap(), None);
}

#[tokio::test]
async fn a_staged_body_that_is_not_committed_is_swept() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    let mut stage = store.stage().await.unwrap();
    for _ in 0..20 {
        stage.write(vec![b'q'; 20_000].into()).await.unwrap();
    }
    let content = stage.finish().await.unwrap();
    assert_eq!(content.read(399_990..500_000).await.unwrap(), "qqqqqqqqqq");
    let copy = killed(at.path());
    let kept = Message::new(content);
    let message = NewMessage {
        message: kept,
        ..new_message("")
    };
    store
        .commit(Batch {
            appends: vec![delivery(message, 1)],
            ..Batch::default()
        })
        .await
        .unwrap();
    drop(store);
    let extents = |at: &Path| std::fs::read_dir(at.join("extents")).unwrap().count();
    assert_eq!(extents(at.path()), 1);
    drop(open(copy.path()));
    assert_eq!(extents(copy.path()), 0);
}

#[tokio::test]
async fn a_message_for_twenty_five_thousand_is_one_batch_and_so_is_its_progress() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    let now = SystemClock::new().now();
    let to = |n: u32| {
        let address = format!("a.recipient.of.the.list.number.{n}@some.department.example.test");
        Recipient::new(address.parse().unwrap())
    };
    let message = Message::from_bytes("x");
    let of = |first: u32, count: u32| {
        let recipients = (first..first + count).map(to);
        let mut all = QueueEntry::clone(&entry(u128::from(first), message.clone()));
        all.progress = QueueProgress::new(recipients, now, now);
        all
    };
    let mut batch = Batch::default();
    for first in (0..25_000).step_by(500) {
        let slice = SpoolChange::Enqueue(Arc::new(of(first, 500)));
        batch.spool.push(slice);
    }
    let whole = of(30_000, 25_000);
    let update = SpoolChange::Update {
        id: whole.id,
        progress: whole.progress.clone(),
        lease: AfterUpdate::KeepLease,
    };
    store.commit(batch).await.unwrap();
    let enqueue = SpoolChange::Enqueue(Arc::new(whole));
    for change in [enqueue, update] {
        let batch = Batch {
            spool: vec![change],
            ..Batch::default()
        };
        store.commit(batch).await.unwrap();
    }
    assert_eq!(store.counts().await.unwrap().waiting, 51);
    drop(store);
    let store = open(at.path());
    let leased = store.lease(now, LeaseLimit::all(100), std::time::Duration::from_secs(9));
    let leased = leased.await.unwrap();
    let recipients = leased.iter().map(|(it, _)| it.progress.recipients.len());
    assert_eq!(recipients.sum::<usize>(), 50_000);
}

#[tokio::test]
async fn leases_keep_two_runners_apart_and_end_with_the_change() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    let message = Message::from_bytes("x");
    let spool = vec![
        SpoolChange::Enqueue(entry(1, message.clone())),
        SpoolChange::Enqueue(entry(2, message)),
    ];
    store
        .commit(Batch {
            spool,
            ..Batch::default()
        })
        .await
        .unwrap();
    let (now, minute) = (SystemClock::new().now(), std::time::Duration::from_secs(60));
    let taken = store.lease(now, LeaseLimit::all(1), minute).await.unwrap();
    let [(first, lease)] = &taken[..] else {
        panic!("{taken:?}")
    };
    let rest = store.lease(now, LeaseLimit::all(10), minute).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_ne!(rest[0].0.id, first.id);
    assert_eq!(store.next_due().await.unwrap(), None);
    let batch = Batch {
        preconditions: vec![Precondition::LeaseHeld {
            id: first.id,
            lease: *lease,
        }],
        spool: vec![SpoolChange::Update {
            id: first.id,
            progress: progress(50_000_000_000),
            lease: AfterUpdate::EndLease,
        }],
        ..Batch::default()
    };
    store.commit(batch.clone()).await.unwrap();
    assert!(matches!(
        store.commit(batch).await,
        Err(CommitError::Precondition(0))
    ));
    assert_eq!(
        store.next_due().await.unwrap(),
        Some(Timestamp::from_secs(50_000_000_000))
    );
    // The other's time runs out.
    assert_eq!(
        store
            .lease(now.after(minute * 2), LeaseLimit::all(10), minute)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_has_had_its_time_goes() {
    let at = TempDir::new().unwrap();
    let mut index = super::index::Index::open(&at.path().join("i.db"), super::StoreId([1; 16]))
        .unwrap()
        .unwrap();
    let origin = |at| super::index::Origin {
        lsn: super::Lsn(1),
        file: super::SegmentId(1).file(0),
        bodies: &[],
        at,
    };
    const DAY: i64 = 24 * 60 * 60 * 1_000;
    for n in 1..=40u64 {
        let time = DAY * n as i64;
        let delivered = super::record::Effect::Delivery {
            id: u128::from(n) << 100,
            mailbox: 1,
            uid: n as u32,
            modseq: n,
        };
        index.apply(&delivered, origin(time)).unwrap();
        let event = mailcore::event::Event {
            id: mailcore::event::EventId(u128::from(n)),
            at: Timestamp::from_millis(time),
            name: EventName::MessageNew,
            trace: None,
            account: None,
            fields: Vec::new(),
        };
        let raised = super::record::Effect::Event {
            cursor: n,
            event: event.encode(),
        };
        index.apply(&raised, origin(time)).unwrap();
    }
    let now = Timestamp::from_millis(DAY * 40);
    let mut keep = super::Retention::default();
    index.tidy(now, &keep).unwrap();
    let first = |index: &super::index::Index| {
        let conn = index.connection();
        let kept = (1..=40u128).find(|n| {
            super::index::read::delivery(conn, n << 100)
                .unwrap()
                .is_some()
        });
        (kept, super::index::read::first_event(conn).unwrap())
    };
    assert_eq!(first(&index), (Some(26), Some(10)), "by age");
    keep.events = 5;
    index.tidy(now, &keep).unwrap();
    assert_eq!(first(&index), (Some(26), Some(36)), "by count");
}
