//! The crash kit of `mailcore::testing`, run on the stores of this crate.
#![cfg(all(feature = "memory", feature = "embedded"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test reports by panicking"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::server::Stores;
use mailcore::testing::crash::{self, BoxError, Derived, Opened, Subject};
use mailcore::testing::disk::SimulatedDisk;
use mailcore::testing::{SeededEntropy, VirtualClock};
use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};
use mailcore_store::memory::MemoryStore;
use tempfile::TempDir;

#[tokio::test]
async fn memory_store_does_what_the_model_does() {
    // It has no disk: the kit gets the same one again.
    let entropy = Arc::new(SeededEntropy::new(1));
    let clock = Arc::new(VirtualClock::new());
    let stores = Stores::from(Arc::new(MemoryStore::with(clock, entropy)));
    let open = |_: &SimulatedDisk, _: &VirtualClock| -> Result<Opened, BoxError> {
        Ok(Opened::from(stores.clone()))
    };
    crash::rehearse(&open).await.assert_kept();
}

/// The embedded store: log and extents on the simulated disk, the index and the
/// lock in a directory of the real one.
struct Embedded {
    place: TempDir,
    root: PathBuf,
}

fn is_index(name: &str) -> bool {
    name.starts_with("index.db")
}

impl Embedded {
    fn new() -> Self {
        // In memory where there is such a place: the index may be lost.
        let memory = Path::new("/dev/shm");
        let place = match memory.is_dir() {
            true => tempfile::tempdir_in(memory).unwrap(),
            false => tempfile::tempdir().unwrap(),
        };
        let root = place.path().join("store");
        std::fs::create_dir(&root).unwrap();
        Self { place, root }
    }
}

#[async_trait]
impl Subject for Embedded {
    async fn open(&self, disk: &SimulatedDisk, clock: &VirtualClock) -> Result<Opened, BoxError> {
        assert!(self.place.path().is_dir());
        let mut options = EmbeddedOptions::default();
        options.clock = Arc::new(clock.clone());
        options.entropy = Arc::new(SeededEntropy::new(5));
        options.file_system = Arc::new(disk.clone());
        // Small, so that segments are ended often.
        options.log.segment_size = 48 << 10;
        options.log.zero_fill = 8 << 10;
        // What is removed is gone at once, and compacted whenever it can be.
        options.retention.undelete_for = Duration::ZERO;
        options.compaction.rate = 0;
        options.compaction.dead_share = 1;
        let store = Arc::new(EmbeddedStore::open(&self.root, options)?);
        let damage = &store.opened().damage;
        let problems = damage.iter().map(ToString::to_string).collect();
        let checked = Arc::downgrade(&store);
        let check = move || match checked.upgrade().map(|store| store.check()) {
            Some(Ok(report)) if !report.is_sound() => vec![format!("{report:?}")],
            Some(Err(error)) => vec![error.to_string()],
            _ => Vec::new(),
        };
        let compacted = Arc::downgrade(&store);
        let compact = move || match compacted.upgrade() {
            Some(store) => store.compact().map(drop),
            None => Ok(()),
        };
        Ok(Opened::from(Stores::from(store))
            .with_problems(problems)
            .with_maintenance(compact)
            .with_check(check))
    }

    fn save_derived(&self) -> Derived {
        Derived::read(&self.root, is_index).unwrap()
    }

    fn restore_derived(&self, derived: &Derived) {
        derived.write(&self.root, is_index).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_store_keeps_what_it_acknowledged() {
    let report = crash::run(&Embedded::new()).await;
    report.assert_kept();
}
