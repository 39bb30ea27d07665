//! What the disk promises to those who test on it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use super::{Fault, Ops, SimulatedDisk};
use crate::files::FileSystem;

fn disk() -> SimulatedDisk {
    let disk = SimulatedDisk::new(7);
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk
}

fn read(disk: &SimulatedDisk, path: &str) -> Option<Vec<u8>> {
    let file = disk.open_read(Path::new(path)).ok()?;
    let mut octets = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(&mut octets, 0).unwrap();
    Some(octets)
}

#[test]
fn what_was_synced_is_kept_and_the_rest_in_every_mixture() {
    let disk = disk();
    let path = Path::new("/d/f");
    let file = disk.create_new(path).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file.write_all_at(&[1; 1024], 0).unwrap();
    file.sync_data().unwrap();
    file.write_all_at(&[2; 1536], 512).unwrap();
    let mut found = BTreeSet::new();
    for seed in 0..400 {
        let octets = read(&disk.power_on(seed), "/d/f").unwrap();
        assert!(octets.len() == 1024 || octets.len() == 2048, "seed {seed}");
        assert_eq!(octets[..512], [1; 512], "seed {seed}");
        let sectors: Vec<u8> = octets.chunks(512).map(|it| it[0]).collect();
        for chunk in octets.chunks(512) {
            assert!(chunk.iter().all(|it| it == &chunk[0]), "a sector is whole");
        }
        found.insert(sectors);
    }
    // Two lengths; the second sector old or new, the others zeros or new.
    let all = [
        vec![1, 1],
        vec![1, 2],
        vec![1, 1, 0, 0],
        vec![1, 2, 0, 0],
        vec![1, 1, 2, 0],
        vec![1, 2, 2, 0],
        vec![1, 1, 0, 2],
        vec![1, 2, 0, 2],
        vec![1, 1, 2, 2],
        vec![1, 2, 2, 2],
    ];
    assert_eq!(found, all.into_iter().collect());
}

#[test]
fn names_are_durable_with_their_directory_and_a_rename_is_whole() {
    let disk = disk();
    let (new, name) = (Path::new("/d/new"), Path::new("/d/name"));
    let old = disk.create_new(name).unwrap();
    old.write_all_at(b"old", 0).unwrap();
    old.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    let file = disk.create_new(new).unwrap();
    file.write_all_at(b"new", 0).unwrap();
    file.sync_data().unwrap();
    disk.rename(new, name).unwrap();
    let found: BTreeSet<_> = (0..100)
        .map(|seed| read(&disk.power_on(seed), "/d/name").expect("never without the name"))
        .collect();
    assert_eq!(found.len(), 2, "{found:?}");
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.unlink(name).unwrap();
    let found: BTreeSet<_> = (0..100)
        .map(|seed| read(&disk.power_on(seed), "/d/name"))
        .collect();
    assert_eq!(found, [None, Some(b"new".to_vec())].into());
    disk.sync_dir(Path::new("/d")).unwrap();
    assert!((0..100).all(|seed| read(&disk.power_on(seed), "/d/name").is_none()));
    // The handle still reads what has no name.
    let mut octets = [0; 3];
    assert_eq!(file.read_at(&mut octets, 0).unwrap(), 3);
}

#[test]
fn a_kill_loses_nothing_and_syncs_nothing() {
    let disk = disk();
    let file = disk.create_new(Path::new("/d/f")).unwrap();
    file.write_all_at(b"abc", 0).unwrap();
    disk.cut_after(0);
    file.sync_data().unwrap_err();
    let after = disk.after_kill();
    assert_eq!(read(&after, "/d/f").unwrap(), b"abc");
    assert!((0..100).any(|seed| read(&after.power_on(seed), "/d/f").is_none()));
    after.open(Path::new("/d/f")).unwrap().sync_data().unwrap();
    after.sync_dir(Path::new("/d")).unwrap();
    assert!((0..100).all(|seed| read(&after.power_on(seed), "/d/f").unwrap() == b"abc"));
}

#[test]
fn after_a_failed_sync_no_later_one_saves_what_it_lost() {
    let disk = disk();
    let file = disk.create_new(Path::new("/d/f")).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.fail_nth(Ops::SYNC, 1, Fault::Io);
    file.write_all_at(&[5; 1 << 16], 0).unwrap();
    file.sync_data().unwrap_err();
    file.sync_data().unwrap();
    assert_eq!(read(&disk, "/d/f").unwrap(), [5; 1 << 16]);
    let kept = read(&disk.power_on(1), "/d/f").unwrap();
    assert!(kept.contains(&0) && kept.contains(&5));
    assert_eq!(Some(kept), read(&disk.power_on(2), "/d/f"));
}

#[test]
fn a_full_disk_takes_what_fits_and_gives_back_what_is_removed() {
    let disk = disk();
    let file = disk.create_new(Path::new("/d/f")).unwrap();
    disk.fill(8_192);
    let error = file.write_all_at(&[1; 10_000], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 8_192);
    file.write_all_at(&[2; 8_192], 0).unwrap();
    let other = disk.create_new(Path::new("/d/g")).unwrap();
    other.write_all_at(&[1], 0).unwrap_err();
    disk.unlink(Path::new("/d/f")).unwrap();
    other.write_all_at(&[1], 0).unwrap_err();
    drop(file);
    other.write_all_at(&[1], 0).unwrap();
}

#[test]
fn faults_strike_where_they_are_told_and_the_cut_ends_everything() {
    let disk = disk();
    let file = disk.create_new(Path::new("/d/f")).unwrap();
    disk.fail_nth(Ops::WRITE | Ops::SYNC, 2, Fault::ReadOnly);
    file.write_all_at(b"a", 0).unwrap();
    let error = file.sync_data().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem);
    file.sync_data().unwrap();
    disk.fail_from(Ops::OPEN, 2, Fault::Descriptors);
    disk.open(Path::new("/d/f")).unwrap();
    for _ in 0..3 {
        let error = disk.open(Path::new("/d/f")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(24));
    }
    disk.heal();
    disk.open(Path::new("/d/f")).unwrap();
    disk.cut_after(1);
    file.write_all_at(b"b", 1).unwrap();
    file.write_all_at(b"c", 2).unwrap_err();
    assert!(disk.is_cut());
    file.read_at(&mut [0], 0).unwrap_err();
    disk.list(Path::new("/d")).unwrap_err();
    assert!(disk.open_read(Path::new("/d/f")).is_err());
}

#[test]
fn a_flipped_bit_is_found_before_and_after_a_cut() {
    let disk = disk();
    let path = Path::new("/d/f");
    let file = disk.create_new(path).unwrap();
    file.write_all_at(b"AB", 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.flip(path, 9).unwrap();
    assert_eq!(read(&disk, "/d/f").unwrap(), b"A@");
    assert_eq!(read(&disk.power_on(1), "/d/f").unwrap(), b"A@");
    assert_eq!(
        disk.flip(path, 16).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}
