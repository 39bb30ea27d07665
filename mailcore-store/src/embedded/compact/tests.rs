//! Random histories, with random runs compacted in random order: what the log
//! says stays the same, through kills, a lost index and failing disks.

use std::path::Path;
use std::sync::Arc;

use mailcore::mailbox::{FlagChange, Flags, SystemFlag, Uid, UidSet};
use mailcore::message::{Message, Summary};
use mailcore::seams::{Commit, NewMessage, QuotaLimit, Storage};
use mailcore::time::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::embedded::EmbeddedOptions;
use crate::embedded::tests::killed;
use world::*;

mod cut_short;
mod world;

#[tokio::test]
async fn whatever_is_compacted_the_log_says_the_same() {
    let seeds = std::env::var("MAILCORE_SEEDS")
        .ok()
        .and_then(|it| it.parse().ok());
    for seed in 1..seeds.unwrap_or(7) {
        let at = TempDir::new().unwrap();
        let mut dice = Dice::new(seed);
        // Removed messages can be brought back, or not.
        let open = || match seed % 2 {
            0 => open(at.path()),
            _ => EmbeddedStore::open(at.path(), keeping_nothing()).unwrap(),
        };
        let mut store = open();
        for step in 0..6 {
            for _ in 0..40 {
                change(&store, &mut dice).await;
            }
            let context = format!("seed {seed}, step {step}");
            excerpts_are_right(&store, &context).await;
            for _ in 0..dice.below(4) {
                compact_some(&store, &mut dice).unwrap();
            }
            if dice.below(3) == 0 {
                store.compact().unwrap();
            }
            excerpts_are_right(&store, &context).await;
            same_without_index(at.path(), &context);
            if dice.below(3) == 0 {
                drop(store);
                store = open();
            }
        }
    }
}

/// Octets of all files of the log and the extents.
fn octets(at: &Path) -> u64 {
    let files = |name| std::fs::read_dir(at.join(name)).unwrap();
    ["log", "extents"]
        .into_iter()
        .flat_map(files)
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

/// A store of which most was expunged.
async fn mostly_dead(at: &Path, options: EmbeddedOptions) -> EmbeddedStore {
    let store = EmbeddedStore::open(at, options).unwrap();
    let inbox = Storage::open(&store, &account(0), &name(0)).await.unwrap();
    for n in 0..60u32 {
        let large = if n % 20 == 3 { 70_000 } else { 900 };
        let octets = format!("Subject: {n}\r\n\r\n{}\r\n", "d".repeat(large)).into_bytes();
        let new = NewMessage {
            summary: Arc::new(Summary::scan(&octets)),
            message: Message::from_bytes(octets),
            flags: Flags::NONE,
            internal_date: Timestamp::from_secs(1_000),
        };
        inbox.append(vec![new], QuotaLimit::NONE).await.unwrap();
    }
    let uids = UidSet::from_ranges([(Uid::new(2).unwrap(), Uid::new(50).unwrap())]);
    let deleted = [SystemFlag::Deleted].into_iter().collect();
    inbox
        .store(&uids, &FlagChange::Add(deleted), None)
        .await
        .unwrap();
    inbox.expunge(&UidSet::all()).await.unwrap();
    store
}

fn keeping_nothing() -> EmbeddedOptions {
    let mut options = options();
    options.retention.undelete_for = std::time::Duration::ZERO;
    options
}

#[tokio::test]
async fn the_space_of_expunged_mail_is_free_and_open_messages_stay_readable() {
    let at = TempDir::new().unwrap();
    let store = mostly_dead(at.path(), keeping_nothing()).await;
    let inbox = Storage::open(&store, &account(0), &name(0)).await.unwrap();
    let mut held = Vec::new();
    for uid in inbox.uids().await.unwrap().iter() {
        held.push(inbox.message(uid).await.unwrap());
    }
    let before = octets(at.path());
    let report = store.compact().unwrap();
    let after = octets(at.path());
    assert!(after * 2 < before, "{before} {after} {report:?}");
    assert_eq!(report.extents, 3, "{report:?}");
    assert!(!report.interrupted && report.damaged == 0, "{report:?}");
    for message in held {
        assert_eq!(
            message.read_all(1 << 20).await.unwrap().len() as u64,
            message.len()
        );
    }
    let again = store.compact().unwrap();
    assert_eq!(
        again.segments, 0,
        "what was done is not done again: {again:?}"
    );
    same_without_index(at.path(), "compacted");
}

#[tokio::test]
async fn a_hold_keeps_the_files_as_they_are() {
    let at = TempDir::new().unwrap();
    let store = mostly_dead(at.path(), keeping_nothing()).await;
    let hold = store.hold_compaction();
    let before = octets(at.path());
    assert!(store.compact().unwrap().interrupted);
    assert_eq!(octets(at.path()), before);
    drop(hold);
    assert!(store.compact().unwrap().segments > 0);
}

/// The index as it was before, with the log's files as they are after, as a
/// copy put back in part: it is built anew, and nothing is missing.
#[tokio::test]
async fn an_index_older_than_a_compaction_is_built_anew() {
    let at = TempDir::new().unwrap();
    let store = mostly_dead(at.path(), keeping_nothing()).await;
    let old = killed(at.path());
    assert!(store.compact().unwrap().segments > 0);
    let copy = killed(at.path());
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        drop(std::fs::copy(old.path().join(name), copy.path().join(name)));
    }
    let reopened = open(copy.path());
    assert!(reopened.opened().rebuilt);
    assert_eq!(reopened.opened().damage, []);
    assert!(reopened.check().unwrap().is_sound());
}

/// A message large enough that its own file is begun before its end came.
fn large() -> NewMessage {
    let octets = format!("Subject: large\r\n\r\n{}\r\n", "l".repeat(1 << 20)).into_bytes();
    NewMessage {
        summary: Arc::new(Summary::scan(&octets)),
        message: Message::from_bytes(octets),
        flags: Flags::NONE,
        internal_date: Timestamp::from_secs(1_000),
    }
}

/// The numbers of extents begin anew when none was left at a start. What an old
/// segment says of a number is not about the extent that has it now.
#[tokio::test]
async fn an_extent_under_an_old_number_is_not_removed_for_the_old_one() {
    let at = TempDir::new().unwrap();
    let store = EmbeddedStore::open(at.path(), keeping_nothing()).unwrap();
    let inbox = Storage::open(&store, &account(0), &name(0)).await.unwrap();
    inbox.append(vec![large()], QuotaLimit::NONE).await.unwrap();
    let deleted: Flags = [SystemFlag::Deleted].into_iter().collect();
    let all = UidSet::all();
    inbox
        .store(&all, &FlagChange::Add(deleted), None)
        .await
        .unwrap();
    inbox.expunge(&all).await.unwrap();
    let mut dice = Dice::new(1);
    while store.log_directory().segments().unwrap().len() < 3 {
        inbox
            .append(vec![message(&mut dice)], QuotaLimit::NONE)
            .await
            .unwrap();
    }
    inbox
        .store(&all, &FlagChange::Add(Flags::from_parts(4, [])), None)
        .await
        .unwrap();
    inbox.expunge(&all).await.unwrap();
    drop((inbox, store));
    for _ in 0..2 {
        drop(EmbeddedStore::open(at.path(), keeping_nothing()).unwrap());
    }
    let store = EmbeddedStore::open(at.path(), keeping_nothing()).unwrap();
    let inbox = Storage::open(&store, &account(0), &name(0)).await.unwrap();
    let mut stage = store.stage().await.unwrap();
    let octets = large().message.read_all(1 << 21).await.unwrap();
    stage.write(octets.clone()).await.unwrap();
    let report = store.compact().unwrap();
    assert!(report.segments > 0, "{report:?}");
    let new = NewMessage {
        message: Message::new(stage.finish().await.unwrap()),
        ..large()
    };
    let filed = inbox.append(vec![new], QuotaLimit::NONE).await.unwrap();
    let uid = filed[0].uid;
    drop((inbox, store));
    let store = EmbeddedStore::open(at.path(), keeping_nothing()).unwrap();
    let inbox = Storage::open(&store, &account(0), &name(0)).await.unwrap();
    let found = inbox.message(uid).await.unwrap();
    assert_eq!(found.read_all(1 << 21).await.unwrap(), octets);
}

/// A kill while the index is made anew may leave one that has taken nothing in:
/// it notes which files count as one made at once does.
#[tokio::test]
async fn an_index_that_was_only_begun_notes_the_compacted_segments() {
    let at = TempDir::new().unwrap();
    let store = mostly_dead(at.path(), keeping_nothing()).await;
    assert!(store.compact().unwrap().segments > 0);
    let identity = store.identity;
    drop(store);
    put_index(at.path(), None);
    drop(crate::embedded::index::Index::open(&at.path().join("index.db"), identity).unwrap());
    drop(open(at.path()));
    let store = open(at.path());
    assert!(!store.opened().rebuilt);
    assert_eq!(store.opened().replayed, 0);
    all_mail(&store, "begun").await;
}

/// Two who compact at once would rewrite files that the other removes.
#[tokio::test]
async fn one_pass_goes_on_at_a_time() {
    let at = TempDir::new().unwrap();
    let store = mostly_dead(at.path(), keeping_nothing()).await;
    let pass = store.compacting.pass.lock().unwrap();
    let report = store.compact().unwrap();
    assert!(report.interrupted && report.segments == 0, "{report:?}");
    drop(pass);
    assert!(store.compact().unwrap().segments > 0);
}
