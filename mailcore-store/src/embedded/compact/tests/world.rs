//! Random histories and what must stay the same of them.

use std::path::Path;
use std::sync::Arc;

use mailcore::account::AccountId;
use mailcore::batch::{
    AfterUpdate, Append, Batch, DeliveryId, IfMissing, SpoolChange, StateChange,
};
use mailcore::event::TraceId;
use mailcore::mailbox::{FlagChange, Flags, MailboxName, SystemFlag, Uid, UidSet};
use mailcore::mailbox::{Identifier, Rights, RightsChange};
use mailcore::message::{Message, Summary};
use mailcore::queue::QueueId;
use mailcore::seams::{Acl, RemovedQuery, Undelete};
use mailcore::seams::{Commit, Excerpt, NewMessage, QuotaLimit, Spool, StateKey, Storage};
use mailcore::testing::disk::SimulatedDisk;
use mailcore::time::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::embedded::EmbeddedOptions;
use crate::embedded::tests::{entry, killed, progress};

/// The same on every run.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

pub(super) fn options() -> EmbeddedOptions {
    let mut options = EmbeddedOptions::default();
    options.log.segment_size = 12_000;
    options.log.zero_fill = 4_096;
    options.compaction.rate = 0;
    options.compaction.dead_share = 1;
    options
}

pub(super) fn open(at: &Path) -> EmbeddedStore {
    EmbeddedStore::open(at, options()).unwrap()
}

pub(super) fn account(n: u64) -> AccountId {
    AccountId::new(["a@x.test", "b@x.test"][n as usize % 2])
}

const NAMES: [&str; 5] = ["INBOX", "one", "two", "one/in", "three"];

pub(super) fn name(n: u64) -> MailboxName {
    MailboxName::parse(NAMES[n as usize % NAMES.len()]).unwrap()
}

pub(super) fn message(dice: &mut Dice) -> NewMessage {
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
pub(super) async fn change(store: &EmbeddedStore, dice: &mut Dice) {
    let account = account(dice.below(2));
    let mailbox = name(dice.below(5));
    let kind = dice.below(20);
    if kind >= 16 {
        return change_removed(store, dice, (account, mailbox), kind).await;
    }
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

/// Removed messages and rights.
pub(super) async fn change_removed(
    store: &EmbeddedStore,
    dice: &mut Dice,
    (account, mailbox): (AccountId, MailboxName),
    kind: u64,
) {
    if kind == 19 {
        let rights = [&b"lr"[..], b"lrswi", b""][dice.below(3) as usize];
        let change = RightsChange::Replace(Rights::parse(rights).unwrap());
        let who = Identifier::parse("b@x.test").unwrap();
        drop(Acl::set(store, &account, &mailbox, &who, change).await);
        return;
    }
    let query = RemovedQuery::default();
    let found = store.removed(&account, &query).await.unwrap();
    let Some(one) = found.get(dice.below(found.len() as u64) as usize) else {
        return;
    };
    let some: Vec<_> = found
        .iter()
        .filter(|it| it.removed_at == one.removed_at)
        .map(|it| it.id)
        .take(1 + dice.below(4) as usize)
        .collect();
    match kind {
        16 => drop(store.restore(&account, &some, None, QuotaLimit::NONE).await),
        17 => {
            let into = Some(&mailbox);
            drop(store.restore(&account, &some, into, QuotaLimit::NONE).await);
        }
        _ => drop(store.purge(&account, &some).await),
    }
}

pub(super) async fn change_batch(
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
            lease: AfterUpdate::EndLease,
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
pub(super) fn tables(at: &Path) -> Vec<String> {
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

pub(super) fn without_index(at: &Path) -> TempDir {
    let copy = killed(at);
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        drop(std::fs::remove_file(copy.path().join(name)));
    }
    copy
}

/// The store as it is, killed now, and as it is with its index lost: the same.
pub(super) fn same_without_index(at: &Path, context: &str) {
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

pub(super) fn compactor(store: &EmbeddedStore) -> Compactor<'_> {
    Compactor {
        log: store.log_directory(),
        extents: store.layout.extents.clone(),
        shared: &store.shared,
        freed: Vec::new(),
        report: CompactReport::default(),
    }
}

/// What is read of many messages at once, by places that are remembered, is
/// what each of them says by itself.
pub(super) async fn excerpts_are_right(store: &EmbeddedStore, context: &str) {
    for (account, name) in (0..10).map(|n| (account(n), name(n / 2))) {
        let Ok(mailbox) = Storage::open(store, &account, &name).await else {
            continue;
        };
        let uids: Vec<Uid> = mailbox.uids().await.unwrap().iter().collect();
        let kinds = [
            Excerpt::Range(0..u64::MAX),
            Excerpt::Range(3..12),
            Excerpt::Header { limit: 9_999 },
        ];
        for kind in kinds {
            let wanted: Vec<(Uid, Excerpt)> = uids.iter().map(|it| (*it, kind.clone())).collect();
            let read = mailbox.excerpts(&wanted).await;
            for (uid, octets) in uids.iter().zip(read) {
                let message = mailbox.message(*uid).await.unwrap();
                let right = kind.read(&message).await.unwrap();
                assert_eq!(octets, right, "{context}: {name} {uid}");
            }
        }
    }
}

/// Rewrites some neighbours, whatever is in them.
pub(super) fn compact_some(store: &EmbeddedStore, dice: &mut Dice) -> Result<bool, StoreError> {
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

const INDEX: [&str; 3] = ["index.db", "index.db-wal", "index.db-shm"];

/// Puts the index of `from` into `at`, or none.
pub(super) fn put_index(at: &Path, from: Option<&Path>) {
    for name in INDEX {
        drop(std::fs::remove_file(at.join(name)));
        if let Some(from) = from {
            drop(std::fs::copy(from.join(name), at.join(name)));
        }
    }
}

/// Opens what is left of a store on a simulated disk; all mail must be there.
pub(super) async fn whole(at: &Path, disk: SimulatedDisk, context: &str) {
    let options = EmbeddedOptions {
        file_system: Arc::new(disk),
        ..keeping_nothing()
    };
    let store = EmbeddedStore::open(at, options).unwrap();
    assert_eq!(store.opened().damage, [], "{context}");
    all_mail(&store, context).await;
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{context}: {report:?}");
    store.compact().unwrap();
    all_mail(&store, context).await;
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{context}, compacted: {report:?}");
}

pub(super) async fn all_mail(store: &EmbeddedStore, context: &str) {
    let inbox = Storage::open(store, &account(0), &name(0)).await.unwrap();
    let uids: Vec<u32> = inbox
        .uids()
        .await
        .unwrap()
        .iter()
        .map(|it| it.value())
        .collect();
    let kept: Vec<u32> = std::iter::once(1).chain(51..=60).collect();
    assert_eq!(uids, kept, "{context}");
    for uid in kept {
        let message = inbox.message(Uid::new(uid).unwrap()).await.unwrap();
        let octets = message.read_all(1 << 20).await.unwrap();
        let subject = format!("Subject: {}\r\n", uid - 1);
        assert!(octets.starts_with(subject.as_bytes()), "{context}");
    }
}
