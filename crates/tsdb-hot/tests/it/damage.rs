//! Every byte of a log flipped and every truncation: a typed error or whole batches, never anything else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tsdb_hot::{Error, HotStore, Recovery};
use tsdb_testkit::SimDisk;

use crate::support::{DIR, all, append, numbered_batch, open, small_segments, whole_batches};

pub(crate) const BATCHES: i64 = 9;
/// The bytes of the record, behind each write, that says how much is durable.
const MARK: usize = 9 + 8;

/// A log of several segments over two generations, and its files.
pub(crate) fn fixture(close: bool) -> Vec<(PathBuf, Vec<u8>)> {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, small_segments()).unwrap();
    for number in 0..BATCHES {
        append(&store, &numbered_batch(number)).unwrap();
        if number == 4 {
            store.freeze().unwrap();
        }
    }
    if close {
        store.close().unwrap();
    } else {
        drop(store);
    }
    let (vfs, dir) = (disk.vfs(), Path::new(DIR).join("wal"));
    let files: Vec<_> = vfs.list(&dir).unwrap().into_iter().map(|entry| dir.join(entry.name)).collect();
    assert!(files.len() >= 4, "{files:?}");
    files.into_iter().map(|path| (path.clone(), vfs.read(&path).unwrap())).collect()
}

/// A disk with a log of these files.
pub(crate) fn disk_with(files: &[(PathBuf, Vec<u8>)]) -> SimDisk {
    let disk = SimDisk::new();
    let vfs = disk.vfs();
    vfs.create_dir_all(&Path::new(DIR).join("wal")).unwrap();
    for (path, bytes) in files {
        let file = vfs.create(path).unwrap();
        file.append(bytes).unwrap();
        file.sync().unwrap();
    }
    vfs.sync_dir(&Path::new(DIR).join("wal")).unwrap();
    disk
}

fn open_with(files: &[(PathBuf, Vec<u8>)]) -> (SimDisk, Result<(HotStore, Recovery), Error>) {
    let disk = disk_with(files);
    let opened = open(&disk, small_segments());
    (disk, opened)
}

/// Opens a damaged log. `Some` batches if it opened, and they are a prefix.
fn outcome(files: &[(PathBuf, Vec<u8>)], what: &str) -> Option<i64> {
    let (disk, opened) = open_with(files);
    match opened {
        Ok((store, _)) => {
            let present = whole_batches(&all(&store), BATCHES);
            let count = present.len() as i64;
            assert_eq!(present, (0..count).collect::<BTreeSet<_>>(), "{what}");
            // The cut holds: the next opening finds nothing to cut, and new batches have a place.
            append(&store, &numbered_batch(BATCHES)).unwrap();
            drop(store);
            let (store, recovery) = open(&disk, small_segments()).unwrap();
            assert_eq!(recovery.torn_bytes, 0, "{what}");
            assert_eq!(whole_batches(&all(&store), BATCHES + 1).len() as i64, count + 1, "{what}");
            Some(count)
        }
        Err(Error::WalDamaged { path, .. }) => {
            assert!(files.iter().any(|(file, _)| *file == path), "{what}");
            None
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn the_fixture_is_whole() {
    for close in [false, true] {
        assert_eq!(outcome(&fixture(close), "nothing"), Some(BATCHES));
    }
}

#[test]
fn every_flipped_byte_is_an_error_or_cuts_the_newest_segment() {
    for close in [false, true] {
        let files = fixture(close);
        let (mut refused, mut cut) = (0, 0);
        for file in 0..files.len() {
            for at in 0..files[file].1.len() {
                for mask in [0x01, 0x80] {
                    let mut damaged = files.clone();
                    damaged[file].1[at] ^= mask;
                    let what =
                        format!("file {file} of {}, byte {at}, mask {mask:#x}, closed {close}", files.len());
                    match outcome(&damaged, &what) {
                        None => refused += 1,
                        Some(batches) => {
                            let newest = file + 1 == files.len();
                            assert!(newest, "{what}: damage of an older segment was not seen");
                            // Only the last batch and the record behind it are not vouched for; after a close, only
                            // that record.
                            let whole = close || at >= files[file].1.len() - MARK;
                            assert_eq!(batches, if whole { BATCHES } else { BATCHES - 1 }, "{what}");
                            cut += 1;
                        }
                    }
                }
            }
        }
        assert!(refused > cut && cut > 0, "{refused} refused, {cut} cut");
    }
}

#[test]
fn every_truncation_is_an_error_or_cuts_the_newest_segment() {
    let files = fixture(false);
    for file in 0..files.len() {
        for len in 0..files[file].1.len() {
            let mut damaged = files.clone();
            damaged[file].1.truncate(len);
            let what = format!("file {file} of {}, cut to {len}", files.len());
            let batches = outcome(&damaged, &what);
            if file + 1 < files.len() {
                assert_eq!(batches, None, "{what}");
            } else {
                let lost = len < files[file].1.len() - MARK;
                assert!(batches.is_some_and(|batches| (batches < BATCHES) == lost), "{what}: {batches:?}");
            }
        }
    }
}

#[test]
fn a_missing_segment_is_an_error_unless_it_is_the_newest() {
    let files = fixture(false);
    for file in 0..files.len() {
        let mut damaged = files.clone();
        damaged.remove(file);
        let batches = outcome(&damaged, &format!("without file {file}"));
        let newest = file + 1 == files.len();
        assert_eq!(batches.is_some(), newest, "without file {file}");
    }
}

#[test]
fn a_hole_in_the_tail_is_a_torn_tail_and_before_durable_bytes_it_is_damage() {
    let files = fixture(false);
    let newest = files.len() - 1;
    let len = files[newest].1.len();
    // Zeros and garbage after the last batch: what a power loss leaves of a write that nobody waited for. Zeros are also what
    // a prepared segment ends in.
    for (tail, torn_bytes) in [(vec![0; 50], 0), (vec![0xa5; 50], 50)] {
        let mut torn = files.clone();
        torn[newest].1.extend_from_slice(&tail);
        let (_, opened) = open_with(&torn);
        let (store, recovery) = opened.unwrap();
        assert_eq!(recovery.torn_bytes, torn_bytes);
        assert_eq!(whole_batches(&all(&store), BATCHES).len() as i64, BATCHES);
    }
    // A hole before bytes that a later record calls durable.
    let mut holed = files.clone();
    holed[newest].1[60..80].fill(0);
    let (_, opened) = open_with(&holed);
    match opened {
        Err(error @ Error::WalDamaged { offset: 52, .. }) => {
            let message = error.to_string();
            assert!(
                message.contains(&files[newest].0.display().to_string()) && message.contains("byte 52"),
                "{message}"
            );
        }
        other => panic!("a hole of {len} bytes: {:?}", other.map(|opened| opened.1)),
    }
}

#[test]
fn a_newer_version_says_so() {
    let mut files = fixture(false);
    for (_, bytes) in &mut files {
        bytes[8..12].copy_from_slice(&7u32.to_le_bytes());
        let crc = crc32c_of(&bytes[..48]);
        bytes[48..52].copy_from_slice(&crc.to_le_bytes());
    }
    let (_, opened) = open_with(&files);
    assert!(matches!(opened, Err(Error::UnsupportedVersion { found: 7, oldest: 1, newest: 1, .. })));
}

#[test]
fn files_that_are_not_ours_are_left_alone() {
    let mut files = fixture(false);
    files.push((Path::new(DIR).join("wal/notes.txt"), b"keep me".to_vec()));
    let (disk, opened) = open_with(&files);
    let (store, _) = opened.unwrap();
    store.seal().unwrap();
    assert_eq!(disk.vfs().read(&Path::new(DIR).join("wal/notes.txt")).unwrap(), b"keep me");
}

/// CRC32C bit by bit: the checksum the format names, from its definition.
fn crc32c_of(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}
