//! Damage of every kind, anywhere in a store.

use std::path::Path;

use mailcore::batch::Batch;
use mailcore::mailbox::MailboxName;
use mailcore::seams::{Commit, NewMessage, Storage};
use tempfile::TempDir;

use super::{account, delivery, killed, new_message, open};
use crate::embedded::EmbeddedStore;

/// A generator that is the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// Changes, zeroes or cuts something in one file below `root`. True when it was
/// cut, which takes away all that followed.
fn damage(root: &Path, dice: &mut Dice, directories: &[&str]) -> bool {
    let mut files: Vec<_> = directories
        .iter()
        .flat_map(|it| std::fs::read_dir(root.join(it)).unwrap())
        .map(|it| it.unwrap().path())
        .filter(|it| it.is_file() && !it.ends_with("format") && !it.ends_with("lock"))
        .collect();
    files.sort();
    let path = &files[dice.below(files.len() as u64) as usize];
    let mut octets = std::fs::read(path).unwrap();
    // Most of a segment is zeros ahead; aim at what is in use.
    let used = octets.iter().rposition(|it| *it != 0).unwrap_or(0) as u64 + 1;
    let at = dice.below(used) as usize;
    let kind = dice.below(4);
    match kind {
        0 => octets.truncate(at),
        1 => octets.iter_mut().skip(at).take(700).for_each(|it| *it = 0),
        _ => octets
            .iter_mut()
            .skip(at)
            .take(1)
            .for_each(|it| *it ^= 1 << dice.below(8)),
    }
    std::fs::write(path, octets).unwrap();
    kind == 0
}

/// Reads what can be read: octets that differ from what was written fail the
/// test, errors do not.
async fn never_wrong(store: &EmbeddedStore, seed: u64) -> usize {
    let mut sound = 0;
    let Ok(inbox) = Storage::open(store, &account(), &MailboxName::inbox()).await else {
        return 0;
    };
    for uid in inbox.uids().await.unwrap_or_default().iter().take(1_000) {
        let Ok(message) = inbox.message(uid).await else {
            continue;
        };
        let Ok(octets) = message.read_all(1 << 20).await else {
            continue;
        };
        let n = uid.value() as usize - 1;
        let prefix = format!("Delivered-To: {n}\r\n");
        assert_eq!(
            message.prefix(),
            prefix.as_bytes(),
            "seed {seed}, message {n}"
        );
        assert!(
            octets == [prefix.as_bytes(), &numbered(n)].concat(),
            "seed {seed}, message {n}"
        );
        sound += 1;
    }
    sound
}

fn numbered(n: usize) -> Vec<u8> {
    let size = if n % 5 == 4 { 140_000 } else { n * 50 };
    format!(
        "Subject: {n}\r\n\r\n{}",
        format!("{n:07}\n").repeat(size / 8)
    )
    .into_bytes()
}

#[tokio::test]
async fn whatever_is_damaged_the_store_starts_and_serves_no_wrong_octet() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    for n in 0..10 {
        let plain = new_message(numbered(n));
        let message = plain.message.with_prefix(format!("Delivered-To: {n}\r\n"));
        let appends = vec![delivery(NewMessage { message, ..plain }, n as u128)];
        store
            .commit(Batch {
                appends,
                ..Batch::default()
            })
            .await
            .unwrap();
    }
    drop(store);
    for seed in 1..60 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
        let copy = killed(at.path());
        let directories: &[&str] = if seed % 3 == 0 {
            &["."]
        } else {
            &["log", "extents"]
        };
        let cut = damage(copy.path(), &mut dice, directories);
        let lost_index = seed % 2 == 0;
        if lost_index {
            drop(std::fs::remove_file(copy.path().join("index.db")));
        }
        let store = open(copy.path());
        let sound = never_wrong(&store, seed).await;
        if !cut && (seed % 3 != 0 || lost_index) {
            assert!(
                sound >= 8,
                "seed {seed}: {sound} of 10 left, {:?}",
                store.opened()
            );
        }
        let report = store.check();
        let opened = store.opened();
        let named =
            opened.torn > 0 || !opened.damage.is_empty() || !report.is_ok_and(|it| it.is_sound());
        assert!(
            sound == 10 || named,
            "seed {seed}: unnamed; {sound} left, cut {cut}, {:?}",
            store.opened()
        );
    }
}

/// Opening does not look at every page of the index.
#[tokio::test]
async fn an_index_found_damaged_while_in_use_is_built_anew_by_the_next_start() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    for n in 0..10 {
        let plain = new_message(numbered(n));
        let message = plain.message.with_prefix(format!("Delivered-To: {n}\r\n"));
        let appends = vec![delivery(NewMessage { message, ..plain }, n as u128)];
        let batch = Batch {
            appends,
            ..Batch::default()
        };
        store.commit(batch).await.unwrap();
    }
    assert_eq!(never_wrong(&store, 0).await, 10);
    drop(store);
    let index = at.path().join("index.db");
    let conn = rusqlite::Connection::open(&index).unwrap();
    let page: u32 = conn
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'contents'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let size: u32 = conn
        .pragma_query_value(None, "page_size", |row| row.get(0))
        .unwrap();
    drop(conn);
    let (page, size) = (page as usize, size as usize);
    let mut octets = std::fs::read(&index).unwrap();
    octets[(page - 1) * size..page * size].fill(0xff);
    std::fs::write(&index, octets).unwrap();

    for (rebuilt, sound) in [(false, 0), (true, 10), (false, 10)] {
        let store = open(at.path());
        assert_eq!(store.opened().rebuilt, rebuilt);
        assert_eq!(never_wrong(&store, 0).await, sound);
    }
    assert!(at.path().join("index.db.damaged").exists());
}
