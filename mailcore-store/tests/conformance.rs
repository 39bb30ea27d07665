//! The public suites of `mailcore::testing`, run on every store and directory
//! of this crate.
#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

use std::sync::Arc;

use mailcore::server::Stores;
use mailcore::testing::{SeededEntropy, VirtualClock, conformance};
use mailcore_store::directory::{MemoryDirectory, PasswordHashing, StoreKey};
use mailcore_store::memory::MemoryStore;

fn memory(clock: VirtualClock) -> Stores {
    let entropy = Arc::new(SeededEntropy::new(1));
    Stores::from(Arc::new(MemoryStore::with(Arc::new(clock), entropy)))
}

#[tokio::test]
async fn memory_store_keeps_every_contract() {
    conformance::store(async |clock| memory(clock)).await;
}

#[tokio::test]
async fn memory_directory_keeps_its_contract() {
    conformance::directory(async || {
        let directory = MemoryDirectory::new(PasswordHashing::fast_for_tests()).unwrap();
        Arc::new(directory.with_store_key(StoreKey::new([7; 32])))
    })
    .await;
}

#[cfg(feature = "sqlite-directory")]
#[tokio::test]
async fn sqlite_directory_keeps_its_contract() {
    use mailcore_store::directory::SqliteDirectory;

    let dir = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicU32::new(0);
    conformance::directory(async || {
        let count = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = dir.path().join(format!("{count}.db"));
        let directory = SqliteDirectory::open(&path, PasswordHashing::fast_for_tests());
        Arc::new(directory.unwrap().with_store_key(StoreKey::new([7; 32])))
    })
    .await;
}

#[cfg(feature = "embedded")]
mod embedded {
    use super::*;
    use mailcore_store::embedded::{EmbeddedOptions, EmbeddedStore};
    use tempfile::TempDir;

    fn open(place: &TempDir, clock: VirtualClock) -> Stores {
        let mut options = EmbeddedOptions::default();
        options.clock = Arc::new(clock);
        Stores::from(Arc::new(
            EmbeddedStore::open(place.path(), options).unwrap(),
        ))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn embedded_store_keeps_every_contract() {
        // The places outlive their stores, which are dropped check by check.
        let places = std::sync::Mutex::new(Vec::new());
        conformance::store(async |clock| {
            let place = tempfile::tempdir().unwrap();
            let stores = open(&place, clock);
            places.lock().unwrap().push(place);
            stores
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn embedded_store_survives_closing() {
        let place = || tempfile::tempdir().unwrap();
        conformance::durability(place, async |place: &TempDir, clock| open(place, clock)).await;
    }
}
