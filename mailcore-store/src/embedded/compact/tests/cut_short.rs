//! Passes that are killed or fail anywhere.

use std::sync::Arc;

use mailcore::files::FileSystem;
use mailcore::testing::disk::{Fault, Ops, SimulatedDisk};
use tempfile::TempDir;

use super::world::*;
use super::*;
use crate::embedded::EmbeddedOptions;
use crate::embedded::tests::killed;

/// The power goes, or the process dies, after the n-th change of a pass to the
/// disk: with the index as it was then, with none, and with the one from before
/// while no file was removed yet, all is there.
#[tokio::test]
async fn a_pass_cut_short_anywhere_leaves_the_store_whole() {
    for n in 0.. {
        let at = TempDir::new().unwrap();
        let disk = SimulatedDisk::new(n);
        let options = EmbeddedOptions {
            file_system: Arc::new(disk.clone()),
            ..keeping_nothing()
        };
        let store = mostly_dead(at.path(), options).await;
        store.shared.reveal_blocking().unwrap();
        let before = killed(at.path());
        let segments = |disk: &SimulatedDisk| {
            let mut names = disk.list(&at.path().join("log")).unwrap();
            names.retain(|it| it.ends_with(".log"));
            names
        };
        let names = segments(&disk);
        disk.cut_after(n);
        let done = store.compact();
        let cut = disk.is_cut();
        let now = killed(at.path());
        drop(store);
        let killed_disk = disk.after_kill();
        let all_there = names.iter().all(|it| segments(&killed_disk).contains(it));
        for seed in 0..3 {
            let mut indexes = vec![("now", Some(now.path())), ("none", None)];
            if all_there {
                indexes.push(("before", Some(before.path())));
            }
            for (index, from) in indexes {
                put_index(at.path(), from);
                let found = match seed {
                    0 => disk.after_kill(),
                    _ => disk.power_on(seed),
                };
                let context = format!("cut {n}, disk {seed}, index {index}, {done:?}");
                whole(at.path(), found, &context).await;
            }
        }
        if !cut {
            assert!(n > 10, "{n} steps");
            return;
        }
    }
}

/// The n-th change of a pass to the disk fails, as on a full one; the store
/// goes on, and so does the next pass.
#[tokio::test]
async fn a_pass_that_fails_anywhere_leaves_the_store_whole() {
    for n in 1.. {
        let at = TempDir::new().unwrap();
        let disk = SimulatedDisk::new(n);
        let options = EmbeddedOptions {
            file_system: Arc::new(disk.clone()),
            ..keeping_nothing()
        };
        let store = mostly_dead(at.path(), options).await;
        let before = disk.count(Ops::CHANGES);
        disk.fail_nth(Ops::CHANGES, n, Fault::Full);
        let done = store.compact();
        let steps = disk.count(Ops::CHANGES) - before;
        disk.heal();
        let context = format!("fault {n}, {done:?}");
        all_mail(&store, &context).await;
        let report = store.check().unwrap();
        assert!(report.is_sound(), "{context}: {report:?}");
        store.compact().unwrap();
        all_mail(&store, &context).await;
        drop(store);
        whole(at.path(), disk.after_kill(), &context).await;
        put_index(at.path(), None);
        whole(at.path(), disk.after_kill(), &context).await;
        if steps < n {
            assert!(n > 10, "{n} steps");
            return;
        }
    }
}
