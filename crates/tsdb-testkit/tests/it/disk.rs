//! The simulated disk: it conforms to the contract of the seam, and a power loss takes what it may and no more.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::Path;

use tsdb_testkit::{Fault, SimDisk, WatchedFs};
use tsdb_vfs::{Vfs, conformance};

/// Enough seeds for every kind of loss to happen; deterministic, so no test here is a matter of luck.
const MANY: std::ops::Range<u64> = 0..200;

/// A disk with one directory and, in it, one file with `synced` durable and `unsynced` not; its name is durable.
fn disk_with_file(synced: &[u8], unsynced: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("d")).unwrap();
    let file = disk.create(Path::new("d/f")).unwrap();
    disk.sync_dir(Path::new("d")).unwrap();
    file.append(synced).unwrap();
    file.sync().unwrap();
    file.append(unsynced).unwrap();
    disk
}

fn names(disk: &SimDisk) -> Vec<String> {
    disk.list(Path::new("d")).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn it_conforms() {
    let disk = SimDisk::new();
    conformance(&disk, Path::new("")).unwrap();
    conformance(&disk, Path::new("/absolute/paths/too")).unwrap();
    conformance(&WatchedFs::new(SimDisk::new().vfs(), |_| {}), Path::new("")).unwrap();
    assert_eq!(
        disk.list(Path::new("absolute/./paths")).unwrap().len(),
        1,
        "the same place, however it is spelt"
    );
}

#[test]
fn synced_bytes_never_vanish_and_unsynced_ones_vanish_or_tear() {
    let unsynced = [b'u'; 3000];
    let mut seen = HashSet::new();
    for seed in MANY {
        let bytes = disk_with_file(b"synced", &unsynced).crash(seed).read(Path::new("d/f")).unwrap();
        let tail = bytes.strip_prefix(b"synced").expect("synced bytes never vanish");
        assert!(tail.len() <= unsynced.len(), "nothing appears that was never appended");
        let kept = tail.iter().take_while(|b| **b == b'u').count();
        seen.insert(match (kept, &tail[kept..]) {
            (0, []) => "lost",
            (3000, []) => "kept",
            (_, []) => "cut",
            (_, rest) if rest.iter().all(|b| *b == 0) => "zeros",
            _ => "garbage",
        });
    }
    assert_eq!(seen, HashSet::from(["lost", "kept", "cut", "zeros", "garbage"]));
}

#[test]
fn the_first_two_seeds_are_the_extremes() {
    let after = |seed| disk_with_file(b"synced", b"unsynced").crash(seed).read(Path::new("d/f")).unwrap();
    assert_eq!(after(0), b"synced");
    assert_eq!(after(1), b"syncedunsynced");
}

#[test]
fn a_seed_gives_the_same_loss_each_time() {
    for seed in MANY {
        let after = || disk_with_file(b"s", &[7; 5000]).crash(seed).read(Path::new("d/f")).unwrap();
        assert_eq!(after(), after());
    }
}

#[test]
fn what_a_crash_left_is_durable() {
    for seed in MANY {
        let once = disk_with_file(b"s", &[7; 5000]).crash(seed);
        let left = once.read(Path::new("d/f")).unwrap();
        assert_eq!(once.crash(0).read(Path::new("d/f")).unwrap(), left);
    }
}

#[test]
fn a_name_that_was_not_synced_can_vanish_with_synced_bytes() {
    let after = |seed| {
        let disk = disk_with_file(b"", b"");
        let file = disk.create(Path::new("d/g")).unwrap();
        file.append(b"bytes").unwrap();
        file.sync().unwrap();
        disk.crash(seed)
    };
    assert_eq!(names(&after(0)), ["f"]);
    assert_eq!(names(&after(1)), ["f", "g"]);
    assert_eq!(after(1).read(Path::new("d/g")).unwrap(), b"bytes");
}

#[test]
fn changes_of_a_directory_are_lost_from_some_point_on() {
    let mut seen = HashSet::new();
    for seed in MANY {
        let disk = disk_with_file(b"", b"");
        for name in ["1", "2", "3"] {
            disk.create(&Path::new("d").join(name)).unwrap();
        }
        disk.remove_file(Path::new("d/f")).unwrap();
        seen.insert(names(&disk.crash(seed)).concat());
    }
    assert_eq!(seen, HashSet::from(["f", "1f", "12f", "123f", "123"].map(str::to_owned)));
}

#[test]
fn a_rename_without_a_sync_of_the_directory_can_be_undone() {
    let renamed = |sync: bool, seed| {
        let disk = disk_with_file(b"new", b"");
        let old = disk.create(Path::new("d/target")).unwrap();
        old.append(b"old").unwrap();
        old.sync().unwrap();
        disk.sync_dir(Path::new("d")).unwrap();
        disk.rename(Path::new("d/f"), Path::new("d/target")).unwrap();
        if sync {
            disk.sync_dir(Path::new("d")).unwrap();
        }
        let disk = disk.crash(seed);
        (names(&disk).join(" "), disk.read(Path::new("d/target")).unwrap())
    };
    let undone = ("f target".to_owned(), b"old".to_vec());
    let done = ("target".to_owned(), b"new".to_vec());
    assert_eq!(renamed(false, 0), undone);
    assert_eq!(renamed(false, 1), done);
    for seed in MANY {
        assert_eq!(renamed(true, seed), done, "a synced rename never comes undone");
        let either = renamed(false, seed);
        assert!(either == undone || either == done, "a rename is atomic: {either:?}");
    }
}

#[test]
fn a_rename_across_directories_never_loses_the_file() {
    for sync in [None, Some("d"), Some("e")] {
        for seed in MANY {
            let disk = disk_with_file(b"x", b"");
            disk.create_dir_all(Path::new("e")).unwrap();
            disk.create(Path::new("e/before")).unwrap();
            disk.rename(Path::new("d/f"), Path::new("e/f")).unwrap();
            if let Some(dir) = sync {
                disk.sync_dir(Path::new(dir)).unwrap();
            }
            let disk = disk.crash(seed);
            let (old, new) = (disk.read(Path::new("d/f")), disk.read(Path::new("e/f")));
            assert!(old.is_ok() != new.is_ok(), "exactly one name is there");
            assert!(sync.is_none() || new.is_ok(), "either directory's sync covers the rename");
        }
    }
}

#[test]
fn renaming_a_file_whose_bytes_were_not_synced_publishes_a_torn_file() {
    let disk = disk_with_file(b"", b"not synced");
    disk.rename(Path::new("d/f"), Path::new("d/published")).unwrap();
    disk.sync_dir(Path::new("d")).unwrap();
    assert_eq!(disk.crash(0).read(Path::new("d/published")).unwrap(), b"");
}

#[test]
fn links_share_their_bytes_through_a_crash() {
    let disk = disk_with_file(b"x", b"");
    disk.hard_link(Path::new("d/f"), Path::new("d/g")).unwrap();
    disk.sync_dir(Path::new("d")).unwrap();
    for disk in [disk.fork(), disk.crash(0)] {
        disk.truncate(Path::new("d/f"), 0).unwrap();
        assert_eq!(disk.file_len(Path::new("d/g")).unwrap(), 0, "two names, one file");
    }
}

#[test]
fn directories_are_durable_when_they_are_made() {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("a/b")).unwrap();
    assert!(disk.crash(0).list(Path::new("a/b")).unwrap().is_empty());
}

#[test]
fn a_directory_that_a_crash_takes_takes_its_files_along() {
    let disk = SimDisk::new();
    // Operation 0 makes the directory, operation 1 would sync its parent.
    disk.fail_at(1, Fault::Io);
    disk.create_dir_all(Path::new("a")).unwrap_err();
    disk.create(Path::new("a/f")).unwrap();
    disk.sync_dir(Path::new("a")).unwrap();
    assert!(disk.crash(0).list(Path::new("")).unwrap().is_empty());
    assert_eq!(disk.fork().crash(1).list(Path::new("a")).unwrap().len(), 1);
}

#[test]
fn truncations_are_durable_by_path_and_after_a_sync_by_handle() {
    let disk = disk_with_file(b"0123456789", b"");
    disk.truncate(Path::new("d/f"), 4).unwrap();
    assert_eq!(disk.crash(0).read(Path::new("d/f")).unwrap(), b"0123");

    let by_handle = |sync: bool| {
        let disk = SimDisk::new();
        let file = disk.create(Path::new("f")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        file.append(b"0123456789").unwrap();
        file.sync().unwrap();
        file.truncate(4).unwrap();
        if sync {
            file.sync().unwrap();
        }
        disk
    };
    assert_eq!(by_handle(true).crash(0).read(Path::new("f")).unwrap(), b"0123");
    assert_eq!(by_handle(false).crash(0).read(Path::new("f")).unwrap(), b"0123456789", "not synced: undone");
    assert_eq!(by_handle(false).crash(1).read(Path::new("f")).unwrap(), b"0123");
}

#[test]
fn what_a_failed_sync_covered_is_lost_although_later_syncs_succeed() {
    let disk = SimDisk::new();
    let path = Path::new("f");
    let file = disk.create(path).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    file.append(b"good").unwrap();
    file.sync().unwrap();
    file.append(b"doomed").unwrap();
    disk.fail_at(disk.operations(), Fault::Io);
    file.sync().unwrap_err();
    file.append(b"late").unwrap();
    file.sync().unwrap();
    assert_eq!(disk.read(path).unwrap(), b"gooddoomedlate", "the running system does not notice");
    for seed in MANY {
        assert_eq!(disk.fork().crash(seed).read(path).unwrap(), b"good\0\0\0\0\0\0late");
    }
}

#[test]
fn locks_exclude_end_with_their_guard_and_end_with_the_power() {
    let disk = disk_with_file(b"", b"");
    let path = Path::new("d/LOCK");
    let guard = disk.lock(path).unwrap();
    assert_eq!(
        disk.clone().lock(Path::new("/d/./LOCK")).map(drop).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let after = disk.crash(0);
    let _new_owner = after.lock(path).unwrap();
    drop(guard);
    assert_eq!(
        after.lock(path).map(drop).unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "the old guard is void"
    );
}

#[test]
fn faults_strike_their_operation_and_say_so() {
    for (fault, kind, written) in [
        (Fault::Io, None, 0),
        (Fault::ShortWrite, None, 4),
        (Fault::NoSpace, Some(ErrorKind::StorageFull), 4),
        (Fault::Crash, None, 0),
    ] {
        let disk = SimDisk::new();
        let file = disk.create(Path::new("f")).unwrap();
        assert_eq!(disk.operations(), 1);
        disk.fail_at(2, fault);
        file.append(b"fine").unwrap();
        let error = file.append(b"12345678").unwrap_err();
        assert!(error.to_string().contains("append to f"), "{error}");
        assert!(kind.is_none_or(|kind| kind == error.kind()), "{error:?}");
        assert_eq!(file.len(), 4 + written, "{fault:?}");
        assert_eq!(disk.faults_struck(), [format!("{fault:?} at write 2: append to f")]);
        assert_eq!(file.append(b"next").is_ok(), fault != Fault::Crash, "only a crash lasts");
        assert_eq!(disk.read(Path::new("f")).is_ok(), fault != Fault::Crash, "without power nothing reads");
    }
}

#[test]
fn reads_fail_by_their_own_count() {
    let disk = disk_with_file(b"x", b"");
    disk.fail_read_at(disk.reads() + 1, Fault::Io);
    let file = disk.open(Path::new("d/f")).unwrap();
    let error = file.read_at(0, 1).unwrap_err();
    assert!(error.to_string().contains("d/f"), "{error}");
    assert_eq!(&file.read_at(0, 1).unwrap()[..], b"x");
}

#[test]
fn a_full_disk_takes_what_fits_and_recovers() {
    let disk = SimDisk::new();
    let file = disk.create(Path::new("f")).unwrap();
    disk.set_free_bytes(Some(3));
    assert_eq!(file.append(b"12345").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.len(), 3);
    assert_eq!(disk.create(Path::new("g")).map(drop).unwrap_err().kind(), ErrorKind::StorageFull);
    disk.set_free_bytes(None);
    file.truncate(0).unwrap();
    file.append(b"12345").unwrap();
    assert_eq!(disk.read(Path::new("f")).unwrap(), b"12345");
}

#[test]
fn the_clock_stamps_files_as_they_change() {
    let disk = SimDisk::new();
    disk.set_now_ms(1000);
    let file = disk.create(Path::new("f")).unwrap();
    disk.set_now_ms(2000);
    let modified = || disk.metadata(Path::new("f")).unwrap().modified_ms;
    assert_eq!(modified(), 1000);
    file.append(b"x").unwrap();
    assert_eq!(modified(), 2000);
}

#[test]
#[should_panic(expected = "a mapped file must not change")]
fn changing_a_mapped_file_panics() {
    let disk = disk_with_file(b"x", b"");
    let _map = disk.map(Path::new("d/f")).unwrap();
    let _ = disk.truncate(Path::new("d/f"), 0);
}
