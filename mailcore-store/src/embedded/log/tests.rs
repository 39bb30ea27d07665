//! The log under truncation, damage and failing writes.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use mailcore::testing::disk::{Fault, Ops, SimulatedDisk};
use proptest::prelude::*;
use tempfile::TempDir;

use super::directory::{LogDirectory, LogError, Place, Tail};
use super::frame::{HEADER_LEN, Lsn, StoreId};
use super::reader::{Damage, Group, Item, Loss};
use super::segment::{SEGMENT_HEADER, SegmentId};
use super::writer::{LogOptions, LogWriter};
use crate::embedded::fs::{DiskFileSystem, FileSystem};

const SMALL: LogOptions = LogOptions {
    segment_size: 64 << 10,
    zero_fill: 4096,
};

fn directory(at: &TempDir, files: Arc<dyn FileSystem>) -> LogDirectory {
    LogDirectory {
        files,
        path: at.path().to_owned(),
        store: StoreId([3; 16]),
        generations: Default::default(),
    }
}

/// A log on a disk in memory.
fn simulated(disk: &SimulatedDisk) -> LogDirectory {
    let path = PathBuf::from("/log");
    disk.create_dir_all(&path).unwrap();
    LogDirectory {
        files: Arc::new(disk.clone()),
        path,
        store: StoreId([3; 16]),
        generations: Default::default(),
    }
}

fn on_disk(at: &TempDir) -> LogDirectory {
    directory(at, Arc::new(DiskFileSystem))
}

fn read(log: &LogDirectory, vouched: Lsn) -> (Vec<Group>, Vec<Damage>, Tail) {
    let (mut groups, mut damage) = (Vec::new(), Vec::new());
    let tail = log
        .replay(Place::START, vouched, &mut |item| {
            match item {
                Item::Group(group) => groups.push(group),
                Item::Damage(it) => damage.push(it),
            }
            Ok::<(), LogError>(())
        })
        .unwrap();
    (groups, damage, tail)
}

fn open(log: &LogDirectory) -> LogWriter {
    log.secure(Place::START).unwrap();
    let (_, _, tail) = read(log, Lsn(0));
    LogWriter::open(log.clone(), SMALL, tail).unwrap()
}

fn body(n: u64) -> Bytes {
    Bytes::from(vec![n as u8; 100 + n as usize])
}

/// Pushes and flushes groups `range`, one flush each; the record is the number.
fn write(writer: &mut LogWriter, range: std::ops::Range<u64>) {
    for n in range {
        let record = n.to_le_bytes();
        if writer.is_full() {
            writer.roll().unwrap();
        }
        writer.push(&[body(n)], &record);
        writer.flush().unwrap();
    }
}

fn numbers(groups: &[Group]) -> Vec<u64> {
    groups
        .iter()
        .map(|group| u64::from_le_bytes(group.record.as_slice().try_into().unwrap()))
        .collect()
}

#[test]
fn what_was_flushed_is_there_after_reopening_over_several_segments() {
    let at = TempDir::new().unwrap();
    let log = on_disk(&at);
    write(&mut open(&log), 0..150);
    write(&mut open(&log), 150..400);
    let (groups, damage, tail) = read(&log, Lsn(0));
    assert_eq!(numbers(&groups), (0..400).collect::<Vec<_>>());
    assert_eq!(damage, []);
    assert_eq!(tail.torn, 0);
    assert!(log.segments().unwrap().len() > 1);
}

#[test]
fn every_truncation_leaves_a_prefix_of_the_groups() {
    let at = TempDir::new().unwrap();
    let log = on_disk(&at);
    write(&mut open(&log), 0..5);
    let path = SegmentId(1).path(at.path());
    let whole = std::fs::read(&path).unwrap();
    let (groups, _, tail) = read(&log, Lsn(0));
    let mut ends: Vec<u64> = groups.iter().map(|group| group.end).collect();
    assert_eq!(ends.last(), Some(&tail.place.offset));
    ends.insert(0, SEGMENT_HEADER);
    for cut in SEGMENT_HEADER..=tail.place.offset {
        std::fs::write(&path, &whole[..cut as usize]).unwrap();
        let (groups, damage, tail) = read(&log, Lsn(0));
        // The last octets of a group may be padding, which nobody misses.
        let want = ends
            .iter()
            .filter(|end| **end <= cut.next_multiple_of(8))
            .count()
            - 1;
        let got = groups.len();
        assert!(
            got == want || got + 1 == want,
            "cut at {cut}: {got} of {want}"
        );
        assert_eq!(numbers(&groups), (0..got as u64).collect::<Vec<_>>());
        assert_eq!(damage, [], "cut at {cut}");
        assert_eq!(tail.place.next, Lsn(got as u64 + 1));
    }
}

#[test]
fn a_torn_group_never_comes_back_when_the_log_goes_on() {
    let at = TempDir::new().unwrap();
    let log = on_disk(&at);
    let mut writer = open(&log);
    write(&mut writer, 0..3);
    // Two groups in one write, of which the first is torn and the second whole.
    let torn = writer.place().offset;
    writer.push(&[body(3)], &3u64.to_le_bytes());
    writer.push(&[body(4)], &4u64.to_le_bytes());
    writer.flush().unwrap();
    flip(&at, torn + 70);
    let (groups, damage, tail) = read(&log, Lsn(3));
    assert_eq!(numbers(&groups), [0, 1, 2]);
    assert_eq!(damage, []);
    assert!(tail.torn > 0);
    write(
        &mut LogWriter::open(log.clone(), SMALL, tail).unwrap(),
        10..12,
    );
    let (groups, damage, _) = read(&log, Lsn(0));
    assert_eq!(numbers(&groups), [0, 1, 2, 10, 11]);
    assert_eq!(damage, []);
}

fn flip(at: &TempDir, offset: u64) {
    let path = SegmentId(1).path(at.path());
    let mut octets = std::fs::read(&path).unwrap();
    octets[offset as usize] ^= 1;
    std::fs::write(&path, octets).unwrap();
}

#[test]
fn damage_below_the_synced_mark_is_named_and_the_rest_kept() {
    let at = TempDir::new().unwrap();
    let log = on_disk(&at);
    write(&mut open(&log), 0..10);
    let (groups, _, _) = read(&log, Lsn(0));
    let record_of_4 = groups[4].end - 72;
    flip(&at, record_of_4 + 3);
    let (groups, damage, _) = read(&log, Lsn(0));
    assert_eq!(numbers(&groups), [0, 1, 2, 3, 5, 6, 7, 8, 9]);
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0].loss, Loss::Groups(Lsn(5), Lsn(5)));

    // A body alone: the record still counts.
    flip(&at, record_of_4 + 3);
    flip(&at, groups[6].bodies[0].unwrap() + HEADER_LEN as u64);
    let (groups, damage, _) = read(&log, Lsn(0));
    assert_eq!(groups.len(), 10);
    assert!(matches!(
        damage[..],
        [Damage {
            loss: Loss::Body(_, 0),
            ..
        }]
    ));
}

#[test]
fn the_index_vouches_for_the_last_group() {
    let at = TempDir::new().unwrap();
    let log = on_disk(&at);
    write(&mut open(&log), 0..3);
    let (groups, _, _) = read(&log, Lsn(0));
    flip(&at, groups[2].end - 72);
    assert_eq!(read(&log, Lsn(0)).1, []);
    let (groups, damage, _) = read(&log, Lsn(3));
    assert_eq!(groups.len(), 2);
    assert_eq!(damage[0].loss, Loss::Groups(Lsn(3), Lsn(3)));
}

#[test]
fn a_lost_segment_and_a_lost_header_are_named() {
    let at = TempDir::new().unwrap();
    let log = on_disk(&at);
    write(&mut open(&log), 0..600);
    let all = read(&log, Lsn(0)).0.len();
    let ids = log.segments().unwrap();
    assert!(ids.len() >= 4);
    let path = ids[1].path(at.path());
    let mut octets = std::fs::read(&path).unwrap();
    octets[20] ^= 1;
    std::fs::write(&path, octets).unwrap();
    let (groups, damage, _) = read(&log, Lsn(0));
    assert_eq!(groups.len(), all);
    assert!(
        matches!(
            damage[..],
            [Damage {
                loss: Loss::Header,
                ..
            }]
        ),
        "{damage:?}"
    );
    std::fs::remove_file(&path).unwrap();
    let (groups, damage, _) = read(&log, Lsn(0));
    assert!(groups.len() < all && !groups.is_empty());
    assert!(
        damage
            .iter()
            .any(|it| it.loss == Loss::Segment && it.segment == ids[1].id)
    );
    assert!(damage.iter().any(|it| matches!(it.loss, Loss::Groups(..))));
}

/// Each operation fails in turn: a group whose flush failed never appears, one
/// whose flush succeeded always does, also after the power was cut.
#[test]
fn a_failed_write_or_sync_refuses_for_good_and_loses_nothing_else() {
    for n in 1.. {
        let disk = SimulatedDisk::new(n);
        let log = simulated(&disk);
        let mut writer = open(&log);
        let before = disk.count(Ops::CHANGES);
        disk.fail_nth(Ops::CHANGES, n, Fault::Io);
        let mut kept = Vec::new();
        for number in 0..12u64 {
            let record = number.to_le_bytes();
            let large = Bytes::from(vec![0; 20 << 10]);
            if writer.recover().is_err() {
                continue;
            }
            if writer.is_full() && writer.roll().is_err() {
                continue;
            }
            writer.push(&[large], &record);
            if writer.flush().is_ok() {
                kept.push(number);
            }
        }
        let changes = disk.count(Ops::CHANGES) - before;
        drop(writer);
        disk.heal();
        let disks = std::iter::once(disk.clone()).chain((0..8).map(|seed| disk.power_on(seed)));
        for (at, disk) in disks.enumerate() {
            let (groups, damage, _) = read(&simulated(&disk), Lsn(0));
            assert_eq!(numbers(&groups), kept, "fault {n}, disk {at}");
            assert_eq!(damage, [], "fault {n}, disk {at}");
        }
        if changes < n {
            assert_eq!(kept.len(), 12);
            return;
        }
        assert!(
            kept.len() >= 11,
            "fault {n}: one fault cost more than one group"
        );
    }
}

/// The power goes while a segment is made: its torn header is no damage.
#[test]
fn a_segment_that_was_never_finished_is_not_damaged() {
    for cut in 0..6 {
        let disk = SimulatedDisk::new(cut);
        let log = simulated(&disk);
        let mut writer = open(&log);
        write(&mut writer, 0..2);
        disk.cut_after(cut);
        let rolled = writer.roll().is_ok();
        for seed in 0..60 {
            let disk = disk.power_on(seed);
            let (groups, damage, _) = read(&simulated(&disk), Lsn(0));
            assert_eq!(numbers(&groups), [0, 1], "cut {cut}, seed {seed}");
            assert_eq!(damage, [], "cut {cut}, seed {seed}");
        }
        assert!(cut > 0 || !rolled);
    }
}

/// A segment whose maker was killed before its name was durable.
#[test]
fn what_is_written_after_a_kill_is_not_lost_with_the_segments_name() {
    for cut in 0..6 {
        let disk = SimulatedDisk::new(cut);
        let log = simulated(&disk);
        disk.cut_after(cut);
        if log.secure(Place::START).is_ok() {
            let (_, _, tail) = read(&log, Lsn(0));
            drop(LogWriter::open(log, SMALL, tail));
        }
        let disk = disk.after_kill();
        let log = simulated(&disk);
        write(&mut open(&log), 0..3);
        for seed in 0..40 {
            let (groups, damage, _) = read(&simulated(&disk.power_on(seed)), Lsn(0));
            assert_eq!(numbers(&groups), [0, 1, 2], "cut {cut}, seed {seed}");
            assert_eq!(damage, [], "cut {cut}, seed {seed}");
        }
    }
}

/// A group whose sync failed is read whole by the next process: what that goes on
/// with is there after a power cut, whichever of its steps is cut short first.
#[test]
fn what_the_system_only_holds_in_memory_is_written_again_before_it_counts() {
    let mut found = 0;
    for n in 0..40 {
        let disk = SimulatedDisk::new(n);
        let log = simulated(&disk);
        let mut writer = open(&log);
        write(&mut writer, 0..(n % 4));
        // From the write or the sync on all fails, so that no segment is made.
        disk.fail_from(Ops::CHANGES, 1 + n % 2, Fault::Io);
        writer.push(&[body(70)], &70u64.to_le_bytes());
        writer.push(&[body(71)], &71u64.to_le_bytes());
        writer.flush().unwrap_err();
        drop(writer);
        disk.heal();
        let mut disk = disk.after_kill();
        // The next process fails or is killed in the midst of it.
        match n % 5 {
            0 => {}
            1 | 2 => {
                disk.fail_nth(Ops::CHANGES, n % 5, Fault::Io);
                drop(simulated(&disk).secure(Place::START));
                disk = disk.after_kill();
            }
            cut => {
                disk.cut_after(cut - 3);
                drop(simulated(&disk).secure(Place::START));
                disk = disk.after_kill();
            }
        }
        disk.heal();
        let log = simulated(&disk);
        let mut writer = open(&log);
        let kept = numbers(&read(&log, Lsn(0)).0);
        found += usize::from(kept.contains(&70));
        write(&mut writer, 80..83);
        let expected: Vec<u64> = kept.into_iter().chain(80..83).collect();
        for seed in 0..8 {
            let (groups, damage, _) = read(&simulated(&disk.power_on(seed)), Lsn(0));
            assert_eq!(numbers(&groups), expected, "case {n}, seed {seed}");
            assert_eq!(damage, [], "case {n}, seed {seed}");
        }
    }
    assert!(found > 5, "{found}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever octets are changed, reading ends, and every group that is
    /// returned is one that was written, in order.
    #[test]
    fn damage_anywhere_never_yields_a_group_that_was_not_written(
        spots in prop::collection::vec((SEGMENT_HEADER..8000, any::<u8>()), 1..6)
    ) {
        let at = TempDir::new().unwrap();
        let log = on_disk(&at);
        write(&mut open(&log), 0..12);
        let path = SegmentId(1).path(at.path());
        let mut octets = std::fs::read(&path).unwrap();
        for (offset, value) in spots {
            octets[offset as usize] = value;
        }
        std::fs::write(&path, octets).unwrap();
        let (groups, _, _) = read(&log, Lsn(12));
        for group in groups {
            let number = u64::from_le_bytes(group.record.as_slice().try_into().unwrap());
            prop_assert_eq!(group.lsn, Lsn(number + 1));
        }
    }
}
