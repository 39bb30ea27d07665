//! Stores of older and newer formats: nothing is changed before a copy is kept,
//! and nothing at all of what is newer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mailcore::mailbox::MailboxStatus;
use mailcore::testing::disk::SimulatedDisk;

use super::super::format::FormatError;
use super::super::log::LogError;
use super::super::record::Record;
use super::super::{Migration, fs::DiskFileSystem, fs::FileSystem};
use super::*;

/// A store of format 1, as `tests/golden` keeps it.
fn old_store() -> TempDir {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-1/store");
    let at = killed(&golden);
    let index = golden.with_file_name("index.db");
    std::fs::copy(index, at.path().join("index.db")).unwrap();
    at
}

async fn alices_inbox(store: &EmbeddedStore) -> MailboxStatus {
    let alice = AccountId::new("alice@golden.test");
    let inbox = Storage::open(store, &alice, &MailboxName::inbox())
        .await
        .unwrap();
    for info in inbox.messages(&UidSet::all()).await.unwrap() {
        let message = inbox.message(info.uid).await.unwrap();
        let octets = message.read_all(1 << 20).await.unwrap();
        assert_eq!(octets.len() as u64, info.size);
    }
    inbox.status().await.unwrap()
}

/// Every file below, by its path.
pub(super) fn octets(at: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(octets(&path)),
            false => drop(found.insert(path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found
}

fn options(files: impl FileSystem + 'static) -> EmbeddedOptions {
    let mut options = EmbeddedOptions {
        file_system: Arc::new(files),
        ..EmbeddedOptions::default()
    };
    options.log.segment_size = 12 << 10;
    options.log.zero_fill = 2 << 10;
    options
}

fn open(at: &Path) -> EmbeddedStore {
    EmbeddedStore::open(at, options(DiskFileSystem)).unwrap()
}

fn copy_of(at: &Path) -> TempDir {
    let copy = at.join("before-format-2");
    assert!(copy.join("complete").exists());
    killed(&copy)
}

#[tokio::test]
async fn a_store_of_an_older_format_is_migrated_and_a_copy_is_kept() {
    let at = old_store();
    let before = octets(at.path());
    let store = open(at.path());
    assert_eq!(store.opened().damage, []);
    assert_eq!(
        store.opened().kept_copy.as_deref(),
        Some(&*at.path().join("before-format-2"))
    );
    let status = alices_inbox(&store).await;
    // The store goes on without touching what the copy shares with it.
    let alice = AccountId::new("alice@golden.test");
    let inbox = Storage::open(&store, &alice, &MailboxName::inbox())
        .await
        .unwrap();
    inbox
        .append(vec![new_message(text(9))], QuotaLimit::NONE)
        .await
        .unwrap();
    drop((inbox, store));
    let format = std::fs::read_to_string(at.path().join("format")).unwrap();
    assert!(format.contains("\nformat 2\n"), "{format}");
    assert!(!at.path().join("index.db.damaged").exists());

    let copy = copy_of(at.path());
    for (path, octets) in before {
        let path = path.strip_prefix(at.path()).unwrap();
        if !path.starts_with("index.db") {
            assert!(
                std::fs::read(copy.path().join(path)).unwrap() == octets,
                "{path:?}"
            );
        }
    }
    assert_eq!(alices_inbox(&open(copy.path())).await, status);
    // Removed by the operator, it is not made again.
    std::fs::remove_dir_all(at.path().join("before-format-2")).unwrap();
    assert_eq!(open(at.path()).opened().kept_copy, None);
}

/// The power goes after the n-th write, sync, link, creation, rename or removal,
/// or just the process.
#[tokio::test]
async fn a_migration_cut_short_anywhere_is_finished_by_the_next_start() {
    let expected = alices_inbox(&open(old_store().path())).await;
    for n in 0.. {
        let at = old_store();
        let disk = SimulatedDisk::new(n);
        disk.load(at.path()).unwrap();
        disk.cut_after(n);
        drop(EmbeddedStore::open(at.path(), options(disk.clone())));
        if !disk.is_cut() {
            assert!(n > 20, "{n} steps");
            return;
        }
        for found in [disk.after_kill(), disk.power_on(1), disk.power_on(2)] {
            for name in ["index.db", "index.db-wal", "index.db-shm"] {
                drop(std::fs::remove_file(at.path().join(name)));
            }
            let open = |at: &Path| {
                // Its lock and index are real.
                std::fs::create_dir_all(at).unwrap();
                EmbeddedStore::open(at, options(found.clone())).unwrap()
            };
            let store = open(at.path());
            assert_eq!(store.opened().damage, [], "cut {n}");
            assert_eq!(alices_inbox(&store).await, expected, "cut {n}");
            let copy = open(&at.path().join("before-format-2"));
            assert_eq!(alices_inbox(&copy).await, expected, "cut {n}, the copy");
        }
    }
}

#[test]
fn a_migration_that_is_refused_changes_nothing() {
    let at = old_store();
    drop(std::fs::File::create(at.path().join("lock")).unwrap());
    let before = octets(at.path());
    let refuse = EmbeddedOptions {
        migration: Migration::Refuse,
        ..options(DiskFileSystem)
    };
    let error = EmbeddedStore::open(at.path(), refuse).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Format(FormatError::Older { found: 1, .. })
        ),
        "{error}"
    );
    assert!(octets(at.path()) == before);
}

/// Opening is refused and leaves every file as it was.
fn assert_refused(at: &Path, is_right: impl Fn(&OpenError) -> bool) {
    let before = octets(at);
    let error = EmbeddedStore::open(at, options(DiskFileSystem)).unwrap_err();
    assert!(is_right(&error), "{error:?}");
    let after = octets(at);
    for (path, octets) in &after {
        assert!(before.get(path) == Some(octets), "{path:?} was changed");
    }
    assert_eq!(before.len(), after.len());
}

#[tokio::test]
async fn what_is_newer_is_refused_and_nothing_is_written() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    fill(&store).await;
    drop(store);

    let newer = killed(at.path());
    let path = newer.path().join("format");
    std::fs::write(&path, "mailcore store\nformat 3\nand nobody knows what\n").unwrap();
    assert_refused(newer.path(), |error| {
        matches!(
            error,
            OpenError::Format(FormatError::Newer { found: 3, .. })
        )
    });

    let newer = killed(at.path());
    let segments = std::fs::read_dir(newer.path().join("log")).unwrap();
    let segment = segments.map(|it| it.unwrap().path()).max().unwrap();
    let mut octets = std::fs::read(&segment).unwrap();
    octets[8] = 3;
    let checksum = crc32c::crc32c(&octets[..4092]);
    octets[4092..4096].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(&segment, octets).unwrap();
    assert_refused(newer.path(), |error| {
        let OpenError::Format(FormatError::Log(LogError::Newer { path, .. })) = error else {
            return false;
        };
        *path == segment
    });

    let newer = killed(at.path());
    let index = newer.path().join("index.db");
    let conn = rusqlite::Connection::open(&index).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    conn.close().unwrap();
    assert_refused(newer.path(), |error| {
        matches!(
            error,
            OpenError::Format(FormatError::NewerIndex { found: 99, .. })
        )
    });
}

/// Puts a record into the log that only a newer version would write.
fn push_foreign_record(at: &Path, octets: &[u8]) {
    use super::super::log::{LogDirectory, LogOptions, LogWriter, Lsn, Place};
    let id = super::super::format::look(
        &super::super::layout::Layout::new(at),
        &(Arc::new(DiskFileSystem) as Arc<dyn FileSystem>),
    );
    let directory = LogDirectory {
        files: Arc::new(DiskFileSystem),
        path: at.join("log"),
        store: id.unwrap().unwrap().identity,
        generations: Default::default(),
    };
    let tail = directory
        .replay(Place::START, Lsn(0), &mut |_| Ok(()))
        .unwrap();
    let mut log = LogWriter::open(directory, LogOptions::default(), tail).unwrap();
    log.push(&[], octets);
    log.flush().unwrap();
}

#[tokio::test]
async fn a_record_or_effect_that_is_newer_is_refused_with_and_without_an_index() {
    let empty = Record {
        at: 1,
        effects: Vec::new(),
    };
    let mut record = empty.encode();
    record[0] = 99;
    // One effect of tag 99, and one known with a version of its layout that is not.
    let effect = |tag: u8, version: u8| {
        let mut octets = empty.encode();
        octets.pop();
        octets.extend([1, tag, 2, version, 0]);
        octets
    };
    for octets in [record, effect(99, 1), effect(8, 99)] {
        let at = TempDir::new().unwrap();
        let store = open(at.path());
        fill(&store).await;
        drop(store);
        push_foreign_record(at.path(), &octets);
        let is_right = |error: &OpenError| matches!(error, OpenError::Log(LogError::Record(_)));
        assert_refused(at.path(), is_right);
        for name in ["index.db", "index.db-wal", "index.db-shm"] {
            drop(std::fs::remove_file(at.path().join(name)));
        }
        assert_refused(at.path(), is_right);
    }
}

#[tokio::test]
async fn a_damaged_format_file_is_made_anew_from_the_log() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    fill(&store).await;
    let whole = picture(&store).await;
    drop(store);
    let sound = std::fs::read(at.path().join("format")).unwrap();
    let wrong = (0..sound.len()).map(|n| {
        let mut octets = sound.clone();
        octets[n] ^= 1;
        octets
    });
    let cut = [0, 5, 20, 40, sound.len() - 2].map(|n| sound[..n].to_vec());
    let garbage = vec![0xee; 9_000];
    for octets in wrong.chain(cut).chain([garbage]) {
        let copy = killed(at.path());
        let path = copy.path().join("format");
        std::fs::write(&path, &octets).unwrap();
        let text = String::from_utf8_lossy(&octets).into_owned();
        if text.starts_with("mailcore store\nformat 3\n") {
            // Whole as it is, and of a newer version.
            assert_refused(copy.path(), |error| {
                matches!(error, OpenError::Format(FormatError::Newer { .. }))
            });
            continue;
        }
        for expected in [1, 0] {
            let store = open(copy.path());
            let damage = &store.opened().damage;
            assert_eq!(damage.len(), expected, "{text:?}: {damage:?}");
            assert!(!store.opened().rebuilt);
            assert_eq!(picture(&store).await, whole, "{text:?}");
            drop(store);
            assert!(std::fs::read(&path).unwrap() == sound, "{text:?}");
        }
    }
}

#[tokio::test]
async fn without_a_log_that_agrees_a_damaged_format_file_is_refused() {
    let at = TempDir::new().unwrap();
    let store = open(at.path());
    fill(&store).await;
    drop(store);
    std::fs::write(at.path().join("format"), "what is this?").unwrap();
    let segments = |at: &TempDir| {
        let entries = std::fs::read_dir(at.path().join("log")).unwrap();
        entries.map(|it| it.unwrap().path()).collect::<Vec<_>>()
    };
    let mixed = killed(at.path());
    let foreign = segments(&mixed).into_iter().min().unwrap();
    let mut octets = std::fs::read(&foreign).unwrap();
    octets[20] ^= 1;
    let checksum = crc32c::crc32c(&octets[..4092]);
    octets[4092..4096].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(foreign.with_file_name("00000000000000ff.log"), octets).unwrap();
    assert_refused(mixed.path(), |error| {
        matches!(error, OpenError::Format(FormatError::Mixed(_)))
    });
    let bare = killed(at.path());
    for path in segments(&bare) {
        std::fs::remove_file(path).unwrap();
    }
    assert_refused(bare.path(), |error| {
        matches!(error, OpenError::Format(FormatError::NotAStore(_)))
    });
}

#[tokio::test]
async fn an_old_store_with_a_damaged_format_file_is_migrated_as_any_other() {
    let at = old_store();
    let path = at.path().join("format");
    let sound = std::fs::read(&path).unwrap();
    std::fs::write(&path, &sound[..30]).unwrap();
    let store = open(at.path());
    assert_eq!(store.opened().damage.len(), 1);
    alices_inbox(&store).await;
    let kept = at.path().join("before-format-2/format");
    assert!(std::fs::read(kept).unwrap() == sound);
}
