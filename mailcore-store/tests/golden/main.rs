//! The format promise: a store that an earlier version wrote opens with this
//! one and shows exactly what it showed then.
//!
//! `format-<n>/` holds a store as the version that wrote format *n* left it, and
//! what its seams showed. `README.md` there says how both were made.
#![cfg(feature = "embedded")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test reports by panicking"
)]

mod dump;
mod fill;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailcore::seams::{Commit, Storage};
use mailcore::testing::{SeededEntropy, VirtualClock};
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};
use tempfile::TempDir;

/// Formats with a store in this folder.
const FORMATS: [u32; 2] = [1, 2];

fn golden(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/format-{format}"))
}

/// Small files, time that stands still, ids that repeat.
fn options(clock: &VirtualClock) -> EmbeddedOptions {
    let mut options = EmbeddedOptions::default();
    options.log.segment_size = 12 << 10;
    options.log.zero_fill = 2 << 10;
    options.clock = Arc::new(clock.clone());
    options.entropy = Arc::new(SeededEntropy::new(1));
    options
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_tree(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// A copy of a golden store, with or without the index of the same age.
fn copy(format: u32, with_index: bool) -> TempDir {
    let at = TempDir::new().unwrap();
    copy_tree(&golden(format).join("store"), at.path());
    if with_index {
        let index = golden(format).join("index.db");
        std::fs::copy(index, at.path().join("index.db")).unwrap();
    }
    at
}

/// What a store of that format holds.
async fn dump(format: u32, store: &EmbeddedStore) -> String {
    let mut shown = dump::everything(store).await;
    if format >= 2 {
        shown += &dump::format_2(store).await;
    }
    shown
}

#[tokio::test]
async fn a_store_of_every_earlier_format_shows_what_it_showed_then() {
    for format in FORMATS {
        let expected = std::fs::read_to_string(golden(format).join("expected.txt")).unwrap();
        for with_index in [false, true] {
            let at = copy(format, with_index);
            for again in [false, true] {
                let store = EmbeddedStore::open(at.path(), options(&fill::end())).unwrap();
                assert_eq!(store.opened().damage, [], "format {format}");
                let shown = dump(format, &store).await;
                assert!(
                    shown == expected,
                    "format {format}, index {with_index}, again {again}:\n{}",
                    dump::difference(&expected, &shown)
                );
                let report = store.check().unwrap();
                assert!(report.is_sound(), "format {format}: {report:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_store_of_an_earlier_format_goes_on_where_it_was() {
    for format in FORMATS {
        let at = copy(format, false);
        let store = EmbeddedStore::open(at.path(), options(&fill::end())).unwrap();
        let inbox = Storage::open(&store, &fill::alice(), &fill::name("INBOX"))
            .await
            .unwrap();
        let before = inbox.status().await.unwrap();
        // A delivery that was filed then is not filed again.
        let receipt = store.commit(fill::filed_delivery()).await.unwrap();
        let filed = receipt.appends[0].clone().unwrap();
        assert!(filed.uid < before.uid_next.unwrap(), "format {format}");
        // A new one takes the next numbers.
        let receipt = store.commit(fill::new_delivery()).await.unwrap();
        let filed = receipt.appends[0].clone().unwrap();
        assert_eq!(Some(filed.uid), before.uid_next, "format {format}");
        assert_eq!(filed.uid_validity, before.uid_validity);
        assert!(filed.modseq > before.highest_modseq);
        let shown = dump(format, &store).await;
        drop(store);
        let store = EmbeddedStore::open(at.path(), options(&fill::end())).unwrap();
        assert_eq!(dump(format, &store).await, shown, "format {format}");
    }
}

/// Makes the store of the format this version writes, in a folder named by
/// `GOLDEN`; see `README.md`.
#[tokio::test]
#[ignore = "writes a folder; run by hand when the format changes"]
async fn make_a_golden_store() {
    let to = PathBuf::from(std::env::var_os("GOLDEN").expect("GOLDEN names no folder"));
    let at = TempDir::new().unwrap();
    let clock = fill::start();
    let store = EmbeddedStore::open(at.path(), options(&clock)).unwrap();
    fill::first_half(&store, &clock).await;
    drop(store);
    std::fs::create_dir_all(&to).unwrap();
    // Taken midway, so that a version that can use it also has log to read.
    std::fs::copy(at.path().join("index.db"), to.join("index.db")).unwrap();
    let store = EmbeddedStore::open(at.path(), options(&clock)).unwrap();
    fill::second_half(&store, &clock).await;
    fill::format_2(&store, &clock).await;
    drop(store);
    let store = EmbeddedStore::open(at.path(), options(&fill::end())).unwrap();
    let shown = dump(FORMATS[FORMATS.len() - 1], &store).await;
    std::fs::write(to.join("expected.txt"), shown).unwrap();
    drop(store);
    for part in ["log", "extents"] {
        copy_tree(&at.path().join(part), &to.join("store").join(part));
    }
    std::fs::copy(at.path().join("format"), to.join("store/format")).unwrap();
}
