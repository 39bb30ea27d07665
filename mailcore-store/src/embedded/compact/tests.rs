//! Random histories, with random runs compacted in random order: what the log
//! says stays the same, through kills, a lost index and failing disks.

use std::path::Path;
use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::batch::{Append, Batch, DeliveryId, IfMissing, SpoolChange, StateChange};
use mailcore::event::TraceId;
use mailcore::mailbox::{FlagChange, Flags, MailboxName, SystemFlag, Uid, UidSet};
use mailcore::message::{Message, Summary};
use mailcore::queue::QueueId;
use mailcore::seams::{Commit, NewMessage, QuotaLimit, Spool, StateKey, Storage};
use mailcore::time::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::embedded::EmbeddedOptions;
use crate::embedded::tests::{entry, killed, progress};

/// The same on every run.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

fn options() -> EmbeddedOptions {
    let mut options = EmbeddedOptions::default();
    options.log.segment_size = 12_000;
    options.log.zero_fill = 4_096;
    options.compaction.rate = 0;
    options.compaction.dead_share = 1;
    options
}

fn open(at: &Path) -> EmbeddedStore {
    EmbeddedStore::open(at, options()).unwrap()
}

fn account(n: u64) -> AccountId {
    AccountId::new(["a@x.test", "b@x.test"][n as usize % 2])
}

const NAMES: [&str; 5] = ["INBOX", "one", "two", "one/in", "three"];

fn name(n: u64) -> MailboxName {
    MailboxName::parse(NAMES[n as usize % NAMES.len()]).unwrap()
}

fn message(dice: &mut Dice) -> NewMessage {
    // Some are too large for the log.
    let size = match dice.below(12) {
        0 => 70_000,
        _ => dice.below(3_000) as usize,
    };
    let octets = format!("Subject: {}\r\n\r\n{}\r\n", dice.0, "z".repeat(size)).into_bytes();
    NewMessage {
        summary: Arc::new(Summary::scan(&octets)),
        message: Message::from_bytes(octets),
        flags: Flags::NONE,
        internal_date: Timestamp::from_secs(1_000),
    }
}

/// A random change; refusals are part of it.
async fn change(store: &EmbeddedStore, dice: &mut Dice) {
    let account = account(dice.below(2));
    let mailbox = name(dice.below(5));
    let kind = dice.below(16);
    if kind >= 9 {
        return change_batch(store, dice, (account, mailbox), kind).await;
    }
    let other = name(dice.below(5));
    match kind {
        0 => drop(store.create(&account, &mailbox, None).await),
        1 if dice.below(3) == 0 => drop(store.delete(&account, &mailbox).await),
        2 => drop(store.rename(&account, &mailbox, &other).await),
        3 => drop(store.subscribe(&account, &mailbox).await),
        4 => drop(store.unsubscribe(&account, &mailbox).await),
        _ => {
            let Ok(open) = Storage::open(store, &account, &mailbox).await else {
                return;
            };
            let all: Vec<Uid> = open.uids().await.unwrap().iter().collect();
            let mut some = || all.get(dice.below(all.len() as u64) as usize).copied();
            let (Some(a), Some(b)) = (some(), some()) else {
                return;
            };
            let uids = UidSet::from_ranges([(a.min(b), a.max(b))]);
            let flag = [SystemFlag::Seen, SystemFlag::Deleted, SystemFlag::Flagged]
                [dice.below(3) as usize];
            let flags: Flags = [flag].into_iter().collect();
            match kind {
                5 => drop(open.store(&uids, &FlagChange::Add(flags), None).await),
                6 => drop(open.copy(&uids, &other, QuotaLimit::NONE).await),
                7 => drop(open.move_to(&uids, &other).await),
                _ => {
                    let flags = [SystemFlag::Deleted].into_iter().collect();
                    drop(open.store(&uids, &FlagChange::Add(flags), None).await);
                    drop(open.expunge(&UidSet::all()).await);
                }
            }
        }
    }
}

async fn change_batch(
    store: &EmbeddedStore,
    dice: &mut Dice,
    (account, mailbox): (AccountId, MailboxName),
    kind: u64,
) {
    let mut batch = Batch::default();
    let id = dice.below(12);
    match kind {
        9..12 => batch.appends.push(Append {
            account,
            mailbox,
            if_missing: IfMissing::FileToInbox,
            message: message(dice),
            delivery_id: Some(DeliveryId(u128::from(dice.0))),
            quota: QuotaLimit::NONE,
            trace: TraceId(1),
            recipient: None,
        }),
        12 => {
            let there = Spool::entry(store, QueueId(u128::from(id))).await.unwrap();
            if there.is_some() {
                return;
            }
            let message = message(dice).message;
            let entry = entry(u128::from(id), message);
            batch.spool.push(SpoolChange::Enqueue(entry));
        }
        13 => batch.spool.push(SpoolChange::Update {
            id: QueueId(u128::from(id)),
            progress: progress(dice.below(100) as i64),
        }),
        14 => batch.spool.push(SpoolChange::Remove {
            id: QueueId(u128::from(id)),
        }),
        _ => {
            let key = StateKey::new("n", ["k", "l", "m"][dice.below(3) as usize]);
            let removed = dice.below(3) == 0;
            batch.state.push(match removed {
                true => StateChange::Remove { key },
                false => StateChange::Put {
                    key,
                    value: vec![dice.below(256) as u8],
                    expires: None,
                },
            });
        }
    }
    drop(store.commit(batch).await);
}

/// The tables that follow from the log, row by row.
fn tables(at: &Path) -> Vec<String> {
    let conn = Connection::open(at.join("index.db")).unwrap();
    let mut rows = Vec::new();
    for (table, columns) in [
        ("mailboxes", "*"),
        ("subscriptions", "*"),
        ("messages", "*"),
        ("contents", "*"),
        ("vanished", "*"),
        ("threads", "*"),
        ("rights", "*"),
        ("expunged", "*"),
        ("spool", "*"),
        ("state", "*"),
        ("events", "*"),
        ("deliveries", "*"),
        ("segments", "*"),
        (
            "meta",
            "next_lsn, next_mailbox, next_body, next_content, next_version, next_event, next_validity",
        ),
        ("(SELECT * FROM bodies WHERE refs > 0)", "*"),
    ] {
        let mut query = conn
            .prepare(&format!("SELECT {columns} FROM {table} ORDER BY 1, 2"))
            .unwrap();
        let count = query.column_count();
        let mut found = query.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let cells: Vec<_> = (0..count).map(|at| row.get_ref(at).unwrap()).collect();
            rows.push(format!("{table} {cells:?}"));
        }
    }
    rows
}

fn without_index(at: &Path) -> TempDir {
    let copy = killed(at);
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        drop(std::fs::remove_file(copy.path().join(name)));
    }
    copy
}

/// The store as it is, killed now, and as it is with its index lost: the same.
fn same_without_index(at: &Path, context: &str) {
    let kept = killed(at);
    let reopened = open(kept.path());
    assert_eq!(reopened.opened().damage, [], "{context}");
    assert!(!reopened.opened().rebuilt, "{context}");
    let report = reopened.check().unwrap();
    assert!(report.is_sound(), "{context}: {report:?}");
    drop(reopened);
    let lost = without_index(at);
    let rebuilt = open(lost.path());
    assert_eq!(rebuilt.opened().damage, [], "{context}");
    let report = rebuilt.check().unwrap();
    assert!(report.is_sound(), "{context}: {report:?}");
    drop(rebuilt);
    let (before, after) = (tables(kept.path()), tables(lost.path()));
    for row in before.iter().filter(|row| !row.starts_with("segments")) {
        assert!(after.contains(row), "{context}: lost {row}");
    }
    for row in after.iter().filter(|row| !row.starts_with("segments")) {
        assert!(before.contains(row), "{context}: came back: {row}");
    }
}

fn compactor(store: &EmbeddedStore) -> Compactor<'_> {
    Compactor {
        log: store.log_directory(),
        extents: store.layout.extents.clone(),
        shared: &store.shared,
        freed: Vec::new(),
        report: CompactReport::default(),
    }
}

/// Rewrites some neighbours, whatever is in them.
fn compact_some(store: &EmbeddedStore, dice: &mut Dice) -> Result<bool, StoreError> {
    let mut compactor = compactor(store);
    let durable = compactor.make_durable()?;
    let parts = compactor.log.parts().unwrap();
    let conn = compactor.conn()?;
    let candidates = survey::candidates(&conn, &parts, durable).unwrap();
    let all: Vec<Candidate> = candidates.into_iter().map(Option::unwrap).collect();
    if all.is_empty() {
        return Ok(false);
    }
    let first = dice.below(all.len() as u64) as usize;
    let count = 1 + dice.below(3) as usize;
    let members: Vec<Candidate> = all.into_iter().skip(first).take(count).collect();
    let run = Run {
        is_prefix: members[0].part.header.unwrap().previous.0 == 0,
        members,
        is_merge: true,
    };
    compactor.compact_run(store, &run)?;
    assert_eq!(compactor.report.damaged, 0);
    Ok(true)
}

#[tokio::test]
async fn whatever_is_compacted_the_log_says_the_same() {
    for seed in 1..7 {
        let at = TempDir::new().unwrap();
        let mut dice = Dice::new(seed);
        let mut store = open(at.path());
        for step in 0..6 {
            for _ in 0..40 {
                change(&store, &mut dice).await;
            }
            for _ in 0..dice.below(4) {
                compact_some(&store, &mut dice).unwrap();
            }
            if dice.below(3) == 0 {
                store.compact().unwrap();
            }
            same_without_index(at.path(), &format!("seed {seed}, step {step}"));
            if dice.below(3) == 0 {
                drop(store);
                store = open(at.path());
            }
        }
    }
}
