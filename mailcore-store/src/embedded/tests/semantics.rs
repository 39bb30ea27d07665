//! What the index does beside the log: groups that SQLite gave up come back,
//! what has had its time goes, old tombstones become few.

use std::time::Duration;

use mailcore::seams::{Mailbox, QuotaUsage, RemovedQuery, Undelete};
use mailcore::testing::VirtualClock;

use super::super::sequencer::Refusal;
use super::*;

fn uids(first: u32, last: u32) -> UidSet {
    UidSet::range(Uid::new(first).unwrap(), Uid::new(last).unwrap())
}

async fn inbox(store: &EmbeddedStore) -> Arc<dyn Mailbox> {
    Storage::open(store, &account(), &MailboxName::inbox())
        .await
        .unwrap()
}

async fn append(mailbox: &Arc<dyn Mailbox>, count: u64) {
    let messages = (0..count).map(|n| new_message(text(n))).collect();
    mailbox.append(messages, QuotaLimit::NONE).await.unwrap();
}

async fn expunge(mailbox: &Arc<dyn Mailbox>, of: &UidSet) {
    let delete = FlagChange::Add([SystemFlag::Deleted].into_iter().collect());
    mailbox.store(of, &delete, None).await.unwrap();
    assert_eq!(mailbox.expunge(of).await.unwrap(), *of);
}

fn timed(at: &Path, clock: &VirtualClock) -> EmbeddedStore {
    let mut options = EmbeddedOptions {
        clock: Arc::new(clock.clone()),
        ..EmbeddedOptions::default()
    };
    options.retention.undelete_for = Duration::from_secs(3_600);
    options.retention.tombstones = 5;
    EmbeddedStore::open(at, options).unwrap()
}

/// Groups that SQLite shows to nobody yet, given up by it.
async fn sqlite_gives_up(store: &EmbeddedStore) {
    let given_up = store.shared.submit(|sequencer| {
        sequencer.index.connection().execute_batch("ROLLBACK")?;
        Err::<(), _>(Refusal::Index(rusqlite::Error::InvalidQuery))
    });
    assert!(given_up.await.is_err());
}

#[tokio::test]
async fn groups_that_sqlite_gives_up_come_back_from_the_log() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    let mailbox = inbox(&store).await;
    append(&mailbox, 2).await;
    let shown = mailbox.uids().await.unwrap();
    let change = FlagChange::Add([SystemFlag::Seen].into_iter().collect());
    let mut batches = 0;
    for round in 0..3 {
        let batch = Batch {
            appends: vec![delivery(new_message(text(9)), round)],
            spool: vec![SpoolChange::Enqueue(entry(round, Message::from_bytes("x")))],
            ..Batch::default()
        };
        // This one is shown; what follows is not, unless somebody looks.
        store.commit(batch).await.unwrap();
        append(&mailbox, 3).await;
        mailbox.store(&uids(1, 2), &change, None).await.unwrap();
        append(&mailbox, 1).await;
        batches += 1;
        sqlite_gives_up(&store).await;
        // Twice in a row, and with a group between that can't be applied.
        if round == 1 {
            sqlite_gives_up(&store).await;
        }
    }
    let status = mailbox.status().await.unwrap();
    assert_eq!(status.messages, 2 + 5 * batches);
    assert_eq!(status.unseen, status.messages - 2);
    assert_eq!(shown, uids(1, 2));
    let all = mailbox.uids().await.unwrap();
    assert_eq!(all, uids(1, status.messages), "no UID is given twice");
    let rows = mailbox.messages(&UidSet::all()).await.unwrap();
    for row in &rows {
        let message = mailbox.message(row.uid).await.unwrap();
        assert_eq!(
            message.read_all(1 << 20).await.unwrap().len() as u64,
            row.size
        );
    }
    assert_eq!(
        Spool::list(&store, &SpoolQuery::default())
            .await
            .unwrap()
            .len(),
        3
    );
    let before = picture(&store).await;
    assert!(store.check().unwrap().is_sound());
    let copy = killed(at.path());
    assert_eq!(picture(&open(copy.path())).await, before);
}

#[tokio::test]
async fn groups_not_shown_yet_survive_a_kill() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    let mailbox = inbox(&store).await;
    append(&mailbox, 1).await;
    drop(mailbox.uids().await.unwrap());
    // Nothing looks from here on, so that the index may show nothing of it.
    for round in 0..20u64 {
        append(&mailbox, 1).await;
        if round % 5 == 4 {
            let copy = killed(at.path());
            let reopened = open(copy.path());
            assert_eq!(reopened.opened().damage, []);
            let found = inbox(&reopened).await.uids().await.unwrap();
            let count = u32::try_from(round).unwrap() + 2;
            assert_eq!(found, uids(1, count), "acknowledged before the kill");
        }
    }
}

/// The next number of the log: grows by one with each record.
fn records(store: &EmbeddedStore) -> u64 {
    store.shared.reveal_blocking().unwrap();
    let conn = store.shared.reader().unwrap();
    super::super::index::read::applied(&conn).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_one_change_is_one_record() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    let mailbox = inbox(&store).await;
    let to = MailboxName::parse("a").unwrap();
    store.create(&account(), &to, None).await.unwrap();
    let mut before = records(&store);
    let mut one_more = |what: &str| {
        let now = records(&store);
        assert_eq!(now, before + 1, "{what}");
        before = now;
    };
    append(&mailbox, 10).await;
    one_more("MULTIAPPEND");
    mailbox
        .copy(&uids(1, 9), &to, QuotaLimit::NONE)
        .await
        .unwrap();
    one_more("COPY");
    mailbox.move_to(&uids(1, 5), &to).await.unwrap();
    one_more("MOVE");
    let new = new_message(text(3));
    mailbox
        .replace(Uid::new(6).unwrap(), &to, new, QuotaLimit::NONE)
        .await
        .unwrap();
    one_more("REPLACE");
    store.delete(&account(), &to).await.unwrap();
    one_more("DELETE");
    let removed = store.removed(&account(), &RemovedQuery::default()).await;
    let ids: Vec<_> = removed.unwrap().into_iter().map(|it| it.id).collect();
    assert_eq!(ids.len(), 9 + 5 + 1 + 1);
    store
        .restore(&account(), &ids, None, QuotaLimit::NONE)
        .await
        .unwrap();
    one_more("restoring");
}

#[tokio::test]
async fn removed_messages_go_when_their_time_is_over() {
    let (at, clock) = (TempDir::new().unwrap(), VirtualClock::new());
    let store = timed(at.path(), &clock);
    let mailbox = inbox(&store).await;
    let large = new_message(vec![b'y'; 300_000]);
    mailbox
        .append(vec![large; 2], QuotaLimit::NONE)
        .await
        .unwrap();
    append(&mailbox, 2).await;
    expunge(&mailbox, &uids(1, 1)).await;
    clock.advance(Duration::from_secs(1_800));
    expunge(&mailbox, &uids(2, 3)).await;
    let left = async || {
        let found = store.removed(&account(), &RemovedQuery::default()).await;
        let mut left: Vec<u32> = found.unwrap().iter().map(|it| it.id.uid.value()).collect();
        left.sort_unstable();
        left
    };
    assert_eq!(left().await, [1, 2, 3]);
    clock.advance(Duration::from_secs(1_801));
    assert_eq!(left().await, [2, 3]);
    // The next group lets go of the first; what it takes on disk is free.
    append(&mailbox, 1).await;
    append(&mailbox, 1).await;
    assert!(store.check().unwrap().is_sound());
    let bodies = |store: &EmbeddedStore| {
        let conn = store.shared.reader().unwrap();
        let sql = "SELECT count(*) FROM bodies WHERE refs > 0";
        conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    store.shared.reveal().await.unwrap();
    assert_eq!(bodies(&store), 5);
    let copy = killed(at.path());
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        drop(std::fs::remove_file(copy.path().join(name)));
    }
    let rebuilt = timed(copy.path(), &clock);
    assert_eq!(picture(&rebuilt).await, picture(&store).await);
    let found = rebuilt.removed(&account(), &RemovedQuery::default()).await;
    assert_eq!(found.unwrap().len(), 2, "its time is over there, too");
    clock.advance(Duration::from_secs(4_000));
    append(&mailbox, 1).await;
    append(&mailbox, 1).await;
    store.shared.reveal().await.unwrap();
    assert_eq!(bodies(&store), 5, "one message and four appended after it");
    assert!(store.check().unwrap().is_sound());
    drop(mailbox);
    drop(store);
    let store = timed(at.path(), &clock);
    assert!(store.check().unwrap().is_sound());
    let extents = std::fs::read_dir(at.path().join("extents"))
        .unwrap()
        .count();
    assert_eq!(extents, 0);
}

#[tokio::test]
async fn what_had_its_time_is_removed_without_a_write() {
    let (at, clock) = (TempDir::new().unwrap(), VirtualClock::new());
    let store = timed(at.path(), &clock);
    let mailbox = inbox(&store).await;
    append(&mailbox, 2).await;
    expunge(&mailbox, &uids(1, 1)).await;
    clock.advance(Duration::from_secs(31 * 24 * 3_600));
    store.tidy().await.unwrap();
    store.shared.reveal().await.unwrap();
    let rows = |table: &str| {
        let conn = store.shared.reader().unwrap();
        let sql = format!("SELECT count(*) FROM {table}");
        conn.query_row(&sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let left = ["expunged", "events", "messages", "contents"].map(rows);
    assert_eq!(left, [0, 0, 1, 1]);
    assert!(store.check().unwrap().is_sound());
}

#[tokio::test]
async fn nothing_is_kept_where_undelete_is_off() {
    let at = TempDir::new().unwrap();
    let mut options = EmbeddedOptions::default();
    options.retention.undelete_for = Duration::ZERO;
    let store = EmbeddedStore::open(at.path(), options).unwrap();
    let mailbox = inbox(&store).await;
    append(&mailbox, 2).await;
    expunge(&mailbox, &uids(1, 1)).await;
    let found = store.removed(&account(), &RemovedQuery::default()).await;
    assert!(found.unwrap().is_empty());
    let conn = store.shared.reader().unwrap();
    let contents = conn.query_row("SELECT count(*) FROM contents", [], |row| row.get(0));
    assert_eq!(contents, Ok(1));
}

#[tokio::test]
async fn old_tombstones_become_few_and_none_is_forgotten() {
    let (at, clock) = (TempDir::new().unwrap(), VirtualClock::new());
    let store = timed(at.path(), &clock);
    let mailbox = inbox(&store).await;
    append(&mailbox, 60).await;
    let mut moments = Vec::new();
    // Every third stays, so that the ranges can't all become one.
    let gone = (1..=60).filter(|it| it % 3 != 0);
    for uid in gone.clone() {
        moments.push((uid, mailbox.status().await.unwrap().highest_modseq));
        expunge(&mailbox, &uids(uid, uid)).await;
        clock.advance(Duration::from_secs(100));
    }
    append(&mailbox, 1).await;
    let all = mailbox.uids().await.unwrap();
    for (from, since) in &moments {
        let changes = mailbox.changes(*since).await.unwrap();
        assert!(changes.complete);
        for uid in gone.clone().filter(|uid| uid >= from) {
            assert!(changes.vanished.contains(Uid::new(uid).unwrap()));
        }
        for uid in all.iter() {
            assert!(!changes.vanished.contains(uid), "{uid} is there");
        }
    }
    let newest = moments.len() - 3;
    let changes = mailbox.changes(moments[newest].1).await.unwrap();
    assert_eq!(changes.vanished.len(), 3, "the newest are told exactly");
    let conn = store.shared.reader().unwrap();
    let rows: i64 = conn
        .query_row("SELECT count(*) FROM vanished", [], |row| row.get(0))
        .unwrap();
    assert!(rows <= 20 + 2 * 5 + 2, "{rows} rows for 40 expunges");
    assert!(store.check().unwrap().is_sound());
    drop(conn);
    drop((mailbox, store));
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        drop(std::fs::remove_file(at.path().join(name)));
    }
    let store = timed(at.path(), &clock);
    let changes = inbox(&store)
        .await
        .changes(moments[newest].1)
        .await
        .unwrap();
    assert_eq!(changes.vanished.len(), 3);
}

#[tokio::test]
async fn a_lost_tombstone_is_found_by_the_check() {
    let (at, clock) = (TempDir::new().unwrap(), VirtualClock::new());
    let store = timed(at.path(), &clock);
    let mailbox = inbox(&store).await;
    append(&mailbox, 40).await;
    for uid in 1..=30 {
        expunge(&mailbox, &uids(uid, uid)).await;
        clock.advance(Duration::from_secs(100));
    }
    drop((mailbox, store));
    let conn = rusqlite::Connection::open(at.path().join("index.db")).unwrap();
    let change = |sql: &str| {
        conn.execute(sql, []).unwrap();
        let store = timed(at.path(), &clock);
        store.check().unwrap().problems
    };
    let problems = change("UPDATE vanished SET last = last - 1 WHERE last > first");
    assert!(
        problems[0].contains("rows of vanished are in the log"),
        "{problems:?}"
    );
    let problems = change("UPDATE vanished SET last = 35 WHERE first = 30");
    assert!(
        problems
            .iter()
            .any(|it| it.contains("messages that are there")),
        "{problems:?}"
    );
}

#[tokio::test]
async fn events_about_many_messages_are_bounded() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    let mailbox = inbox(&store).await;
    append(&mailbox, 2_500).await;
    let odd: UidSet = (0..1_250).filter_map(|n| Uid::new(2 * n + 1)).collect();
    expunge(&mailbox, &odd).await;
    let events = Outbox::read(&store, EventCursor::default(), 10_000)
        .await
        .unwrap();
    let told = events
        .iter()
        .filter(|it| it.event.name == EventName::MessageExpunge)
        .filter_map(|it| it.event.field("uids"));
    let told: Vec<&str> = told.collect();
    assert_eq!(told.len(), 3, "of 500 ranges each");
    assert!(told.iter().all(|it| it.len() < 16_384));
    let count: usize = told.iter().map(|it| it.split(',').count()).sum();
    assert_eq!(count, 1_250, "together they tell of every message");
}

#[tokio::test]
async fn usage_is_exact_beyond_any_limit() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    let mailbox = inbox(&store).await;
    let limit = QuotaLimit {
        messages: Some(3),
        ..QuotaLimit::NONE
    };
    let append = async || {
        let one = vec![new_message(text(1))];
        mailbox.append(one, limit).await.is_ok()
    };
    // Together, so that several are decided in one group.
    let (a, b, c, d) = tokio::join!(append(), append(), append(), append());
    let taken = [a, b, c, d].into_iter().filter(|it| *it).count();
    assert_eq!(taken, 3, "a limit holds within a group");
    let usage = store.quota().unwrap().usage(&account()).await.unwrap();
    let octets = 3 * text(1).len() as u64;
    assert_eq!(
        usage,
        QuotaUsage {
            octets,
            messages: 3
        }
    );
}

/// What a segment's rewriting makes one may share its ModSeq with what was made
/// few before.
#[tokio::test]
async fn making_expunges_one_forgets_none_that_were_made_few() {
    let (at, clock) = (TempDir::new().unwrap(), VirtualClock::new());
    let store = timed(at.path(), &clock);
    let mailbox = inbox(&store).await;
    append(&mailbox, 40).await;
    for uid in 1..=30 {
        expunge(&mailbox, &uids(uid, uid)).await;
        clock.advance(Duration::from_secs(100));
    }
    let mut changes = Vec::new();
    for modseq in 1..mailbox.status().await.unwrap().highest_modseq.value() {
        let since = ModSeq::new(modseq).unwrap();
        changes.push((since, mailbox.changes(since).await.unwrap().vanished));
    }
    let id = mailbox.status().await.unwrap().id.0;
    // Every row there is, as if the newest expunge of each were in one segment.
    let one = store.shared.submit(move |sequencer| {
        let conn = sequencer.index.connection();
        let mut query = conn.prepare("SELECT modseq, last FROM vanished ORDER BY modseq")?;
        let rows = query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
        let rows = rows.collect::<rusqlite::Result<Vec<(i64, u32)>>>()?;
        drop(query);
        let one = super::super::index::MadeOne {
            mailbox: id,
            modseqs: rows
                .iter()
                .map(|(modseq, _)| modseq.cast_unsigned())
                .collect(),
            uids: rows.iter().map(|(_, last)| (*last, *last)).collect(),
        };
        sequencer.index.make_one(&one)?;
        sequencer.notes.reveal = true;
        Ok(())
    });
    one.await.unwrap();
    for (since, before) in changes {
        let after = mailbox.changes(since).await.unwrap().vanished;
        assert!(
            before.iter().all(|uid| after.contains(uid)),
            "since {since}"
        );
    }
}
