//! A store that can't be written, for a while or for good, and one whose disk
//! fills up: what is there is served, nothing acknowledged is lost, and writing
//! goes on by itself once it can.

use std::time::Duration;

use mailcore::envelope::Recipient;
use mailcore::event::{Event, EventId, EventName};
use mailcore::files::FileSystem;
use mailcore::status::{Failure, Status};
use mailcore::testing::VirtualClock;
use mailcore::testing::disk::{Fault, Ops, SimulatedDisk};

use super::formats::octets;
use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn options(files: &SimulatedDisk) -> EmbeddedOptions {
    let mut options = EmbeddedOptions {
        file_system: Arc::new(files.clone()),
        ..EmbeddedOptions::default()
    };
    options.log.zero_fill = 4_096;
    options
}

async fn deliver(store: &EmbeddedStore, n: u64, size: usize) -> Result<(), StoreError> {
    let octets = format!("Subject: m{n}\r\n\r\n{}", "w".repeat(size));
    let batch = Batch {
        appends: vec![delivery(new_message(octets), u128::from(n))],
        ..Batch::default()
    };
    match store.commit(batch).await {
        Ok(receipt) => receipt.appends[0].clone().map(drop),
        Err(CommitError::Store(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

async fn subjects(store: &EmbeddedStore) -> Vec<u64> {
    let inbox = Storage::open(store, &account(), &MailboxName::inbox())
        .await
        .unwrap();
    let mut found = Vec::new();
    for info in inbox.messages(&UidSet::all()).await.unwrap() {
        let message = inbox.message(info.uid).await.unwrap();
        let octets = message.read_all(1 << 20).await.unwrap();
        let line = octets.split(|it| *it == b'\r').next().unwrap();
        let line = String::from_utf8_lossy(line);
        found.push(line.trim_start_matches("Subject: m").parse().unwrap());
    }
    found
}

async fn enqueue(store: &EmbeddedStore, id: u128) {
    let spool = vec![SpoolChange::Enqueue(entry(id, Message::from_bytes("x")))];
    let batch = Batch {
        spool,
        ..Batch::default()
    };
    store.commit(batch).await.unwrap();
}

/// The disk turns read-only, or fails every write, and is well again later.
#[tokio::test]
async fn a_store_whose_disk_takes_no_writes_is_read_and_goes_on_when_it_does() {
    for fault in [Fault::ReadOnly, Fault::Io, Fault::Descriptors] {
        let at = TempDir::new().unwrap();
        let files = SimulatedDisk::new(1);
        let store = EmbeddedStore::open(at.path(), options(&files)).unwrap();
        deliver(&store, 0, 10).await.unwrap();
        enqueue(&store, 1).await;
        assert_eq!(subjects(&store).await, [0]);
        files.fail_from(Ops::CHANGES, 1, fault);
        for size in [10, 70_000] {
            let error = deliver(&store, 1, size).await.unwrap_err();
            let right = match fault {
                Fault::ReadOnly => matches!(error, StoreError::ReadOnly(_)),
                _ => matches!(error, StoreError::Io { .. }),
            };
            assert!(right, "{error:?}");
        }
        // Read, by connections that are open and by new ones.
        store.shared.close_readers();
        let reads = (0..8).map(|_| subjects(&store));
        for found in futures_in_turn(reads).await {
            assert_eq!(found, [0]);
        }
        // Nothing is sent that could not be taken from the queue.
        assert!(
            store
                .lease(Timestamp::from_secs(9), LeaseLimit::all(9), MINUTE)
                .await
                .is_err()
        );
        assert!(!store.has_room(1));

        let mut changed = Spool::watch(&store);
        changed.mark_unchanged();
        files.heal();
        // Nobody asks for a change, and yet the queue is told to go on.
        changed.changed().await.unwrap();
        assert!(store.has_room(1));
        let leased = store
            .lease(Timestamp::from_secs(9), LeaseLimit::all(9), MINUTE)
            .await;
        assert_eq!(leased.unwrap().len(), 1);
        for (n, size) in [(2, 10), (3, 70_000)] {
            deliver(&store, n, size).await.unwrap();
        }
        assert_eq!(subjects(&store).await, [0, 2, 3]);
        drop(store);
        let store = EmbeddedStore::open(at.path(), options(&files.after_kill())).unwrap();
        assert_eq!(subjects(&store).await, [0, 2, 3]);
    }
}

/// Groups are shown when somebody looks; a group that fails before that takes
/// them along, and they come from the log again even where that takes no more.
#[tokio::test]
async fn what_nobody_has_looked_at_when_the_disk_fails_is_read_all_the_same() {
    for fault in [Fault::ReadOnly, Fault::Io, Fault::Descriptors] {
        let at = TempDir::new().unwrap();
        let files = SimulatedDisk::new(1);
        let store = EmbeddedStore::open(at.path(), options(&files)).unwrap();
        for n in 0..3 {
            deliver(&store, n, 10).await.unwrap();
        }
        files.fail_from(Ops::CHANGES, 1, fault);
        deliver(&store, 3, 10).await.unwrap_err();
        assert_eq!(subjects(&store).await, [0, 1, 2], "{fault:?}");
        files.heal();
        while deliver(&store, 4, 10).await.is_err() {}
        assert_eq!(subjects(&store).await, [0, 1, 2, 4], "{fault:?}");
        drop(store);
        let store = EmbeddedStore::open(at.path(), options(&files.after_kill())).unwrap();
        assert_eq!(subjects(&store).await, [0, 1, 2, 4], "{fault:?}");
    }
}

async fn futures_in_turn<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut done = Vec::new();
    for one in all {
        done.push(one.await);
    }
    done
}

/// What is found too large by the writer fails with all that is gathered with it.
#[tokio::test]
async fn a_batch_that_is_too_large_costs_nobody_else_a_change() {
    let at = TempDir::new().unwrap();
    let store = EmbeddedStore::open(at.path(), EmbeddedOptions::default()).unwrap();
    let words = "w".repeat(1 << 20);
    let to = (0..20).map(|n| format!("{n}@far.test").parse().unwrap());
    let to: Vec<Recipient> = to.map(Recipient::new).collect();
    let long = Failure::local(Status::transient(4, 1, words.clone()));
    let mut queued = QueueEntry::clone(&entry(1, Message::from_bytes("x")));
    queued.progress = QueueProgress::new(to, Timestamp::from_secs(1), Timestamp::from_secs(9));
    for recipient in &mut queued.progress.recipients {
        recipient.last_failure = Some(long.clone());
    }
    let event = Event {
        id: EventId(1),
        at: Timestamp::from_secs(1),
        name: EventName::RecipientDeferred,
        trace: None,
        account: None,
        fields: vec![("status".into(), words)],
    };
    let entries = Batch {
        spool: vec![SpoolChange::Enqueue(Arc::new(queued))],
        ..Batch::default()
    };
    let events = Batch {
        events: vec![event; 20],
        ..Batch::default()
    };
    for (n, batch) in [(1, entries), (2, events)] {
        let commits = tokio::join!(store.commit(batch), deliver(&store, n, 10));
        let limit = match commits.0.unwrap_err() {
            CommitError::Store(StoreError::TooLarge { limit }) => limit,
            other => panic!("{other}"),
        };
        assert_eq!(limit, 8 << 20, "refused before it is gathered with others");
        commits.1.unwrap();
    }
}

/// Only a disk without room refuses mail for want of the space held back.
#[tokio::test]
async fn mail_is_taken_when_no_space_can_be_held_back_for_another_reason() {
    for (fault, taken) in [
        (Fault::Descriptors, true),
        (Fault::Io, true),
        (Fault::Full, false),
    ] {
        let at = TempDir::new().unwrap();
        let (files, clock) = (SimulatedDisk::new(1), VirtualClock::new());
        let mut options = options(&files);
        options.clock = Arc::new(clock.clone());
        let store = EmbeddedStore::open(at.path(), options).unwrap();
        // The reserve is the next file that is made.
        files.fail_nth(Ops::CREATE, 1, fault);
        let delivered = deliver(&store, 0, 10).await;
        match taken {
            true => delivered.unwrap(),
            false => assert!(matches!(delivered, Err(StoreError::DiskFull))),
        }
        clock.advance(MINUTE);
        deliver(&store, 1, 10).await.unwrap();
        let names = files.list(at.path()).unwrap();
        assert!(names.iter().any(|it| it == "reserve"), "{names:?}");
    }
}

#[tokio::test]
async fn with_little_space_new_mail_is_refused_and_operators_are_told_once() {
    const MIB: u64 = 1 << 20;
    let at = TempDir::new().unwrap();
    let (files, clock) = (SimulatedDisk::new(1), VirtualClock::new());
    let mut options = options(&files);
    options.clock = Arc::new(clock.clone());
    options.low_space = 100 * MIB;
    files.fill(200 * MIB);
    let store = EmbeddedStore::open(at.path(), options).unwrap();
    assert!(store.has_room(0) && store.has_room(90 * MIB) && !store.has_room(101 * MIB));
    deliver(&store, 0, 10).await.unwrap();

    let told = async || {
        let events = Outbox::read(&store, EventCursor::default(), 99)
            .await
            .unwrap();
        let names = events.into_iter().map(|it| it.event.name);
        names
            .filter(|name| matches!(name, EventName::DiskLow | EventName::DiskOk))
            .collect::<Vec<_>>()
    };
    let mut newest = Outbox::watch(&store);
    for (left, room, expected) in [
        (99, false, vec![EventName::DiskLow]),
        // Within the margin nothing changes.
        (110, false, vec![EventName::DiskLow]),
        (50, false, vec![EventName::DiskLow]),
        (130, true, vec![EventName::DiskLow, EventName::DiskOk]),
    ] {
        files.fill(left * MIB);
        clock.advance(Duration::from_secs(2));
        newest.mark_unchanged();
        let before = told().await.len();
        assert_eq!(store.has_room(1), room, "{left}");
        if expected.len() > before {
            newest.changed().await.unwrap();
        }
        assert_eq!(told().await, expected, "{left}");
        // What is on its way already, and what needs no room, goes on.
        deliver(&store, left, 10).await.unwrap();
        let inbox = Storage::open(&store, &account(), &MailboxName::inbox())
            .await
            .unwrap();
        let deleted: Flags = [SystemFlag::Deleted].into_iter().collect();
        let change = FlagChange::Add(deleted);
        inbox.store(&UidSet::all(), &change, None).await.unwrap();
        assert!(!inbox.expunge(&UidSet::all()).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_store_opened_for_reading_shows_everything_and_writes_nothing() {
    let at = TempDir::new().unwrap();
    let store = super::open(at.path());
    fill(&store).await;
    let whole = picture(&store).await;
    // As a killed process leaves it, with and without an index.
    let left = killed(at.path());
    let bare = killed(at.path());
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        drop(std::fs::remove_file(bare.path().join(name)));
    }
    drop(store);
    let (work, nowhere) = (TempDir::new().unwrap(), at.path().join("is not there"));
    for place in [at.path(), left.path(), bare.path()] {
        for work in [work.path(), &nowhere] {
            let before = octets(place);
            let options = EmbeddedOptions {
                read_only: true,
                work_directory: work.to_owned(),
                ..EmbeddedOptions::default()
            };
            let store = EmbeddedStore::open(place, options.clone()).unwrap();
            assert!(store.opened().read_only.is_some());
            // Others may read, nobody may write.
            drop(EmbeddedStore::open(place, options).unwrap());
            let error = EmbeddedStore::open(place, EmbeddedOptions::default()).unwrap_err();
            assert!(matches!(error, OpenError::Locked { .. }), "{error}");

            assert_eq!(picture(&store).await, whole);
            assert!(store.check().unwrap().is_sound());
            assert!(store.is_read_only() && !store.has_room(1));
            for size in [10, 70_000] {
                let error = deliver(&store, 77, size).await.unwrap_err();
                assert!(matches!(error, StoreError::ReadOnly(_)), "{error:?}");
            }
            assert!(store.stage().await.is_err());
            let other = AccountId::new("nobody@x.test");
            let listed = Storage::list(&store, &other).await.unwrap();
            assert_eq!(listed.len(), 1, "INBOX, though it can't be made");
            drop(store);
            assert!(octets(place) == before);
        }
    }
    assert_eq!(std::fs::read_dir(work.path()).unwrap().count(), 0);
    let store = super::open(at.path());
    deliver(&store, 77, 10).await.unwrap();
}

/// A clock that is put back a day, or forward: what was promised in order stays
/// in order.
#[tokio::test]
async fn a_clock_that_jumps_disturbs_no_order() {
    const DAY: i64 = 86_400;
    let at = TempDir::new().unwrap();
    let start = 1_800_000_000;
    let mut validities = Vec::new();
    let mut modseqs = Vec::new();
    for (n, jump) in [0, -DAY, DAY, -DAY].into_iter().enumerate() {
        let now = Timestamp::from_secs(start + jump);
        let options = EmbeddedOptions {
            clock: Arc::new(VirtualClock::at(now)),
            ..EmbeddedOptions::default()
        };
        let store = EmbeddedStore::open(at.path(), options).unwrap();
        let inbox = Storage::open(&store, &account(), &MailboxName::inbox())
            .await
            .unwrap();
        deliver(&store, n as u64, 10).await.unwrap();
        let rows = inbox.messages(&UidSet::all()).await.unwrap();
        let last = rows.last().unwrap();
        assert_eq!((rows.len(), last.uid.value() as usize), (n + 1, n + 1));
        assert_eq!(last.save_date, now);
        modseqs.push(last.modseq);
        // A mailbox of the same name, made again, is told apart from the old.
        let name = MailboxName::parse("again").unwrap();
        store.create(&account(), &name, None).await.unwrap();
        let again = store.open(&account(), &name).await.unwrap();
        validities.push(again.status().await.unwrap().uid_validity);
        store.delete(&account(), &name).await.unwrap();
        // What has not had its time by this clock is there, what has is not.
        let key = StateKey::new("n", "k");
        for (expires, there) in [(now.after(MINUTE), true), (now, false)] {
            let put = StateChange::Put {
                key: key.clone(),
                value: vec![1],
                expires: Some(expires),
            };
            State::change(&store, vec![put]).await.unwrap();
            assert_eq!(State::read(&store, &key).await.unwrap().is_some(), there);
        }
    }
    assert!(validities.is_sorted_by(|a, b| a < b), "{validities:?}");
    assert!(modseqs.is_sorted_by(|a, b| a < b), "{modseqs:?}");
}
