//! A failed fsync, a full disk, settings that cannot work.

use std::time::Duration;

use tsdb_core::SampleValue;
use tsdb_hot::{Error, HotOptions, WalSync};
use tsdb_testkit::{Fault, SimDisk};

use crate::support::{all, append, labels, numbered_batch, open, small_segments, whole_batches};

/// The operation number of the next commit's fsync: an append, then the fsync.
fn next_sync(disk: &SimDisk) -> u64 {
    disk.operations() + 1
}

#[test]
fn a_failed_fsync_poisons_the_log_and_reads_go_on() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, HotOptions::default()).unwrap();
    append(&store, &numbered_batch(0)).unwrap();
    disk.fail_at(next_sync(&disk), Fault::Io);
    assert!(matches!(append(&store, &numbered_batch(1)), Err(Error::WalPoisoned(_))));
    assert!(disk.faults_struck()[0].contains("sync"), "{:?}", disk.faults_struck());
    let operations = disk.operations();
    for number in 2..5 {
        assert!(matches!(append(&store, &numbered_batch(number)), Err(Error::WalPoisoned(_))));
    }
    assert!(matches!(store.freeze(), Err(Error::WalPoisoned(_))) && store.sync().is_err());
    assert_eq!(
        disk.operations(),
        operations,
        "a failed fsync is never tried again, nor is anything written after it"
    );
    assert_eq!(whole_batches(&all(&store), 5).into_iter().collect::<Vec<_>>(), [0]);
    drop(store);

    // Opened again: the acknowledged batch is there, and writes work.
    let (store, _) = open(&disk.crash(0), HotOptions::default()).unwrap();
    assert!(whole_batches(&all(&store), 5).contains(&0));
    append(&store, &numbered_batch(9)).unwrap();
}

#[test]
fn closing_says_what_was_not_durable() {
    let disk = SimDisk::new();
    let options = HotOptions { wal_sync: WalSync::Os, ..HotOptions::default() };
    let (store, _) = open(&disk, options.clone()).unwrap();
    append(&store, &numbered_batch(0)).unwrap();
    disk.fail_at(disk.operations(), Fault::Io);
    assert!(matches!(store.close(), Err(Error::WalPoisoned(_))), "its fsync fails");
    assert!(matches!(store.close(), Err(Error::WalPoisoned(_))), "and is not tried again");
    drop(store);

    // Without the room for its last record all is durable, and closed.
    let disk = SimDisk::new();
    let (store, _) = open(&disk, options.clone()).unwrap();
    append(&store, &numbered_batch(0)).unwrap();
    disk.set_free_bytes(Some(0));
    store.close().unwrap();
    drop(store);
    let (store, recovery) = open(&disk.crash(0), options).unwrap();
    assert_eq!((recovery.torn_bytes, whole_batches(&all(&store), 1).len()), (0, 1));
}

#[test]
fn seals_that_keep_failing_make_no_more_generations() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, HotOptions::default()).unwrap();
    for number in 0..8 {
        append(&store, &numbered_batch(number)).unwrap();
        disk.set_free_bytes(Some(0));
        assert!(matches!(store.seal(), Err(Error::Io(_) | Error::StorageFull(_))));
        disk.set_free_bytes(None);
        assert!(store.snapshot().sources().len() <= 2 && store.needs_seal());
        assert_eq!(whole_batches(&all(&store), 8).len() as i64, number + 1);
    }
    store.seal().unwrap();
    assert_eq!((store.stats().head.samples, store.stats().wal.segments), (0, 0));
    assert_eq!(whole_batches(&all(&store), 8).len(), 8);
}

#[test]
fn a_full_disk_refuses_and_recovers_when_there_is_space() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, small_segments()).unwrap();
    let (mut kept, mut refused) = (Vec::new(), 0);
    let mut number = 0;
    for round in 0..6 {
        disk.set_free_bytes(Some(100 + 130 * round));
        for _ in 0..6 {
            match append(&store, &numbered_batch(number)) {
                Ok(_) => kept.push(number),
                Err(Error::StorageFull(message)) => {
                    refused += 1;
                    assert!(!message.is_empty());
                }
                Err(error) => panic!("{error}"),
            }
            number += 1;
        }
        disk.set_free_bytes(None);
        append(&store, &numbered_batch(number)).unwrap();
        kept.push(number);
        number += 1;
    }
    assert!(refused > 0);
    assert_eq!(whole_batches(&all(&store), number).into_iter().collect::<Vec<_>>(), kept);
    for disk in [disk.fork(), disk.fork().crash(0), disk.fork().crash(3)] {
        let (store, recovery) = open(&disk, small_segments()).unwrap();
        assert_eq!(recovery.torn_bytes, 0);
        assert_eq!(whole_batches(&all(&store), number).into_iter().collect::<Vec<_>>(), kept);
    }
}

#[test]
fn a_full_disk_during_a_seal_keeps_the_head() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, small_segments()).unwrap();
    for number in 0..5 {
        append(&store, &numbered_batch(number)).unwrap();
    }
    disk.set_free_bytes(Some(50));
    let full = std::io::ErrorKind::StorageFull;
    assert!(matches!(store.seal(), Err(Error::Io(error)) if error.kind() == full));
    assert_eq!(whole_batches(&all(&store), 5).len(), 5);
    assert!(store.needs_seal());
    disk.set_free_bytes(None);
    assert!(!store.seal().unwrap().is_empty());
    assert_eq!(whole_batches(&all(&store), 5).len(), 5);
    assert_eq!((store.stats().wal.segments, store.needs_seal()), (0, false));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let bad = [
        HotOptions { window_ms: 0, ..HotOptions::default() },
        HotOptions { window_ms: 7 * 3_600_000, ..HotOptions::default() },
        HotOptions { late_after_ms: -1, ..HotOptions::default() },
        HotOptions { wal_sync: WalSync::Interval(Duration::ZERO), ..HotOptions::default() },
    ];
    for options in bad {
        assert!(matches!(open(&SimDisk::new(), options), Err(Error::InvalidOption(_))));
    }
}

#[test]
fn what_no_store_can_hold_is_refused_at_the_door() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, HotOptions::default()).unwrap();
    let up = labels(&[("__name__", "up")]);
    let mut batch = store.appender();
    for timestamp_ms in [i64::MIN, i64::MAX, tsdb_core::MAX_TIMESTAMP_MS + 1] {
        assert!(matches!(batch.append_float(&up, timestamp_ms, 1.0), Err(Error::Invalid(_))));
    }
    let series = batch.append(&up, 5, SampleValue::Float(f64::NAN)).unwrap();
    assert!(batch.append_ref_float(series, i64::MIN, 0.0).is_err());
    let mut histogram = histogram();
    (histogram.schema, histogram.sum) = (99, 1.0); // Not the stale marker, of which all else is ignored.
    let value = SampleValue::Histogram(std::sync::Arc::new(histogram));
    assert!(matches!(batch.append(&up, 6, value.clone()), Err(Error::Invalid(_))));
    assert!(batch.append_ref(series, 6, value).is_err());
    assert_eq!((batch.len(), batch.commit().unwrap().samples), (1, 1));
}

fn histogram() -> tsdb_core::Histogram {
    use proptest::strategy::{Strategy, ValueTree};
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    tsdb_testkit::strategies::histogram().new_tree(&mut runner).unwrap().current()
}
