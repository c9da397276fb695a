//! Repair: what can be read of a damaged log comes back, in whole batches, and the damaged files are kept.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tsdb_hot::{Error, repair_wal};
use tsdb_testkit::{Fault, SimDisk, fault_at_every_operation};

use crate::damage::{BATCHES, disk_with, fixture};
use crate::support::{DIR, all, append, numbered_batch, open, small_segments, whole_batches};

type Files = Vec<(PathBuf, Vec<u8>)>;

fn repair(disk: &SimDisk) -> Result<Vec<tsdb_hot::RepairedSegment>, Error> {
    repair_wal(disk.vfs().as_ref(), Path::new(DIR))
}

/// Opens what a repair left: its batches. They stay, and the store takes more.
fn reopen(disk: &SimDisk, what: &str) -> BTreeSet<i64> {
    let (store, _) = open(disk, small_segments()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let present = whole_batches(&all(&store), BATCHES);
    append(&store, &numbered_batch(BATCHES)).unwrap();
    drop(store);
    assert!(repair(disk).unwrap().is_empty(), "{what}: repaired twice");
    let (store, _) = open(disk, small_segments()).unwrap();
    assert_eq!(whole_batches(&all(&store), BATCHES + 1).len(), present.len() + 1, "{what}");
    present
}

/// Repairs a log that does not open. The number of batches that are lost; `None` if it opens as it is.
fn lost(files: &Files, what: &str) -> Option<usize> {
    let disk = disk_with(files);
    match open(&disk, small_segments()) {
        Ok(_) => return None,
        Err(Error::WalDamaged { .. }) => {}
        Err(error) => panic!("{what}: {error}"),
    }
    let repaired = repair(&disk).unwrap();
    assert!(!repaired.is_empty(), "{what}");
    let vfs = disk.vfs();
    for segment in &repaired {
        let (_, was) = files.iter().find(|(path, _)| *path == segment.path).unwrap();
        assert_eq!(vfs.read(&segment.kept).unwrap(), was.as_slice(), "{what}: the damaged file is kept");
        assert!(segment.new_header || !segment.unreadable.is_empty() || segment.batches_without_labels > 0);
    }
    Some(BATCHES as usize - reopen(&disk, what).len())
}

#[test]
fn a_whole_log_is_left_alone() {
    for close in [false, true] {
        let disk = disk_with(&fixture(close));
        let operations = disk.operations();
        assert!(repair(&disk).unwrap().is_empty());
        assert_eq!(disk.operations(), operations, "nothing was written");
        assert_eq!(reopen(&disk, "whole").len() as i64, BATCHES);
    }
}

#[test]
fn of_every_flipped_byte_little_is_lost() {
    let files = fixture(true);
    let first_of_generation: Vec<bool> = (0..files.len())
        .map(|file| file == 0 || generation(&files[file].0) != generation(&files[file - 1].0))
        .collect();
    let mut worst = 0;
    for file in 0..files.len() {
        for at in 0..files[file].1.len() {
            let mut damaged = files.clone();
            damaged[file].1[at] ^= 0x04;
            let what = format!("file {file}, byte {at}");
            let Some(lost) = lost(&damaged, &what) else { continue };
            // The first segment of a generation has the labels of a series that all batches share.
            let most = if first_of_generation[file] { BATCHES as usize } else { 2 };
            assert!(lost <= most, "{what}: {lost} lost");
            worst = worst.max(lost);
        }
    }
    assert!(worst > 0);
}

#[test]
fn of_a_cut_or_missing_segment_the_others_are_kept() {
    let files = fixture(false);
    for file in 0..files.len() - 1 {
        let mut damaged = files.clone();
        let gone = damaged.remove(file);
        let lost_without = lost(&damaged, &format!("without file {file}")).unwrap();
        assert!(lost_without < BATCHES as usize, "{file}: {lost_without} lost");
        for len in [0, 30, 52, gone.1.len() / 2, gone.1.len() - 1] {
            let mut damaged = files.clone();
            damaged[file].1.truncate(len);
            let lost = lost(&damaged, &format!("file {file} cut to {len}")).unwrap();
            assert!(lost <= lost_without, "{file} cut to {len}: {lost} lost, without it {lost_without}");
        }
    }
}

#[test]
fn damage_before_a_segment_that_was_being_created_is_repaired() {
    // Whatever the newest whole segment says of its end: once a younger one was begun, it was durable.
    let mut files = fixture(false);
    let newest = files.last().unwrap().0.file_name().unwrap().to_str().unwrap().to_owned();
    let (generation, number) = newest.split_once('-').unwrap();
    let number: u32 = number.trim_end_matches(".wal").parse().unwrap();
    let next = Path::new(DIR).join(format!("wal/{generation}-{:010}.wal", number + 1));
    let damaged = files.len() - 1;
    for unborn in [Vec::new(), b"TSDBWAL".to_vec()] {
        for at in 52..files[damaged].1.len() {
            files[damaged].1[at] ^= 0x20;
            let mut files_now = files.clone();
            files_now.push((next.clone(), unborn.clone()));
            let lost = lost(&files_now, &format!("byte {at}")).expect("an older segment is damaged");
            assert!(lost <= 2, "byte {at}: {lost} lost");
            files[damaged].1[at] ^= 0x20;
        }
    }
}

#[test]
fn power_loss_at_every_operation_of_a_repair() {
    let mut files = fixture(true);
    for (_, bytes) in &mut files[1..4] {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
    }
    let want = {
        let disk = disk_with(&files);
        repair(&disk).unwrap();
        reopen(&disk, "without a power loss")
    };
    assert!(!want.is_empty() && (want.len() as i64) < BATCHES);
    for fault in [Fault::Crash, Fault::Io, Fault::NoSpace] {
        fault_at_every_operation(
            &disk_with(&files),
            fault,
            |disk| drop(repair(disk)),
            |disk, ()| {
                repair(disk).unwrap();
                assert_eq!(reopen(disk, "after a power loss"), want);
            },
        );
    }
}

fn generation(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap()[..20].to_owned()
}
