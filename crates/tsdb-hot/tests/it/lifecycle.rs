//! Windows, sequences, statistics, snapshots, references, settings.

use std::path::Path;

use tsdb_core::{BlockId, SampleValue, TimeRange, parse_selector};
use tsdb_hot::{DAY_MS, DuplicatePolicy, Error, HotOptions, HotStore, SeriesRef, WalSync};
use tsdb_testkit::{SimDisk, assert_series_eq};

use crate::support::{Cold, DIR, all, append, labels, open};

const HOUR: i64 = 3_600_000;
/// A midnight, UTC.
const MIDNIGHT_MS: i64 = 1_700_006_400_000;

fn float(value: f64) -> SampleValue {
    SampleValue::Float(value)
}

fn commit(store: &HotStore, name: &str, timestamp_ms: i64, value: f64) -> tsdb_hot::Committed {
    append(store, &[(labels(&[("__name__", name)]), timestamp_ms, float(value))]).unwrap()
}

#[test]
fn a_seal_makes_a_block_for_each_window_and_for_each_old_day() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, HotOptions::default()).unwrap();
    let midnight = MIDNIGHT_MS;
    for hour in (-96..12).step_by(3) {
        commit(&store, "a", midnight + hour * HOUR, hour as f64);
        commit(&store, "b", midnight + hour * HOUR + 1, hour as f64);
    }
    let ids = store.seal().unwrap();
    assert!(ids.is_sorted());
    let lengths: Vec<i64> = ids.iter().map(|id| (id.window_end_ms - id.window_start_ms) / HOUR).collect();
    // The newest sample is at 09:00; a day before is yesterday, whose windows are short: 3 days, then 8 + 4 windows.
    assert_eq!(lengths, [&[24; 3][..], &[2; 12][..]].concat());
    for (block, id) in store.blocks().iter().zip(&ids) {
        let meta = block.block().meta();
        assert_eq!((meta.id, meta.series), (*id, 2));
        assert!(TimeRange::new(id.window_start_ms, id.window_end_ms - 1).covers(meta.time_range));
        assert_eq!((id.window_start_ms.rem_euclid(2 * HOUR), id.window_end_ms.rem_euclid(2 * HOUR)), (0, 0));
    }
    let stats = store.stats();
    assert_eq!((stats.blocks.count, stats.blocks.samples, stats.blocks.series), (15, 72, 30));
    assert_eq!((stats.head.samples, stats.head.series, stats.wal.segments), (0, 0, 0));
    assert_eq!(stats.time_range, TimeRange::new(midnight - 96 * HOUR, midnight + 9 * HOUR + 1));
    assert!(store.seal().unwrap().is_empty() && !store.freeze().unwrap());
}

#[test]
fn a_snapshot_holds_what_a_seal_and_a_removal_take_away() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, HotOptions::default()).unwrap();
    commit(&store, "a", 1, 1.0);
    let before = store.snapshot();
    let sealed = store.seal().unwrap();
    let between = store.snapshot();
    store.remove_block(&sealed[0]).unwrap();
    store.remove_block(&sealed[0]).unwrap();
    for (snapshot, sources) in [(before, 1), (between, 1), (store.snapshot(), 0)] {
        assert_eq!(snapshot.sources().len(), sources);
        for source in snapshot.sources() {
            let series: Vec<_> = source.select(&[], TimeRange::ALL).unwrap().map(Result::unwrap).collect();
            assert_eq!(
                (series.len(), series[0].samples.len(), source.sequence()),
                (1, 1, sealed[0].sequence)
            );
            assert_eq!(source.time_range(), TimeRange::new(1, 1));
        }
    }
    assert_eq!(disk.vfs().list(&Path::new(DIR).join("blocks")).unwrap(), []);
}

#[test]
fn sequences_only_grow() {
    let disk = SimDisk::new();
    let sequences = |store: &HotStore| -> Vec<u64> {
        store.snapshot().sources().iter().map(tsdb_hot::HotSource::sequence).collect()
    };
    let (store, _) = open(&disk, HotOptions::default()).unwrap();
    commit(&store, "a", 1, 1.0);
    store.freeze().unwrap();
    commit(&store, "a", 1, 2.0);
    assert_eq!(sequences(&store), [0, 1]);
    // A value of a lower sequence never counts.
    assert_eq!(all(&store)[0].samples.values, [2.0]);
    store.seal().unwrap();
    assert_eq!(all(&store)[0].samples.values, [2.0]);
    store.close().unwrap();

    let open_at = |min| HotStore::open(disk.vfs(), Path::new(DIR), HotOptions::default(), &|_| false, min);
    let (store, recovery) = open_at(0).unwrap();
    assert_eq!((recovery.blocks, recovery.samples), (2, 0));
    commit(&store, "a", 1, 3.0);
    assert_eq!(sequences(&store), [0, 1, 2]);
    drop(store);
    // The live generation goes on, unless the caller knows of higher ones.
    let (store, _) = open_at(2).unwrap();
    commit(&store, "b", 1, 3.0);
    assert_eq!(sequences(&store), [0, 1, 2]);
    drop(store);
    let (store, recovery) = open_at(10).unwrap();
    assert_eq!((recovery.samples, store.needs_seal()), (2, true));
    commit(&store, "a", 1, 4.0);
    assert_eq!(sequences(&store), [0, 1, 2, 10]);
    assert_eq!((store.stats().head.series, store.stats().head.samples), (2, 3));
    assert_eq!(all(&store)[0].samples.values, [4.0]);
    drop(store);
    let (store, _) = open_at(0).unwrap();
    assert_eq!(all(&store)[0].samples.values, [4.0]);
}

#[test]
fn handed_over_blocks_and_leftovers_go_at_opening() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, HotOptions::default()).unwrap();
    commit(&store, "a", 1, 1.0);
    let first = store.seal().unwrap()[0];
    commit(&store, "a", 2, 2.0);
    let second = store.seal().unwrap()[0];
    store.close().unwrap();
    let vfs = disk.vfs();
    let blocks = Path::new(DIR).join("blocks");
    vfs.create(&blocks.join("00000000000000000009-0-7200000.tmp")).unwrap().append(b"half a block").unwrap();
    let (store, recovery) =
        HotStore::open(disk.vfs(), Path::new(DIR), HotOptions::default(), &|id: &BlockId| *id == first, 1)
            .unwrap();
    assert_eq!((recovery.blocks, recovery.blocks_handed_over, recovery.unfinished_files), (1, 1, 1));
    assert_eq!(store.blocks().iter().map(|block| *block.id()).collect::<Vec<_>>(), [second]);
    assert_eq!(vfs.list(&blocks).unwrap().len(), 1);
    assert_eq!(store.blocks()[0].bytes(), vfs.file_len(store.blocks()[0].path()).unwrap());
}

#[test]
fn a_damaged_block_is_named() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, HotOptions::default()).unwrap();
    commit(&store, "a", 1, 1.0);
    store.seal().unwrap();
    let path = store.blocks()[0].path().to_owned();
    drop(store);
    let vfs = disk.vfs();
    vfs.truncate(&path, vfs.file_len(&path).unwrap() - 1).unwrap();
    match open(&disk, HotOptions::default()) {
        Err(error @ Error::BlockDamaged { .. }) => {
            assert!(error.to_string().contains(&*path.to_string_lossy()));
        }
        other => panic!("{:?}", other.map(|opened| opened.1)),
    }
}

#[test]
fn counts_tell_late_duplicate_and_replaced() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, HotOptions::default()).unwrap();
    let a = labels(&[("__name__", "a")]);
    let sample = |t: i64, v: f64| (a.clone(), t, float(v));
    let first = append(&store, &[sample(10, 1.0), sample(20, 2.0), sample(20, 2.0), sample(5, 0.5)]).unwrap();
    assert_eq!((first.samples, first.late, first.replaced, first.duplicates), (3, 1, 0, 1));
    let second = append(&store, &[sample(10, 1.0), sample(20, 3.0), sample(30, 4.0)]).unwrap();
    assert_eq!((second.samples, second.late, second.replaced, second.duplicates), (2, 1, 1, 1));
    assert_eq!(store.stats().head.samples, 4);
    assert_eq!(all(&store)[0].samples.values, [0.5, 1.0, 3.0, 4.0]);
    assert_eq!(store.appender().commit().unwrap(), tsdb_hot::Committed::default());
}

#[test]
fn reject_refuses_a_second_value_and_stores_nothing_of_the_batch() {
    let disk = SimDisk::new();
    let options = HotOptions { duplicate_policy: DuplicatePolicy::Reject, ..HotOptions::default() };
    let (store, _) = open(&disk, options).unwrap();
    commit(&store, "a", 1, 1.0);
    store.freeze().unwrap();
    let (a, b) = (labels(&[("__name__", "a")]), labels(&[("__name__", "b")]));
    for conflict in
        [vec![(a.clone(), 1, float(2.0))], vec![(a.clone(), 9, float(1.0)), (a.clone(), 9, float(2.0))]]
    {
        let batch = [vec![(b.clone(), 1, float(1.0))], conflict].concat();
        let refused = append(&store, &batch);
        assert!(matches!(refused, Err(Error::DuplicateSample { ref labels, .. }) if *labels == a));
    }
    assert_eq!(all(&store).len(), 1);
    assert_eq!(append(&store, &[(a, 1, float(1.0)), (b, 1, float(1.0))]).unwrap().samples, 2);
}

#[test]
fn a_reference_is_good_for_its_opening_only() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, HotOptions::default()).unwrap();
    let mut batch = store.appender();
    let series = batch.append_float(&labels(&[("__name__", "a")]), 1, 1.0).unwrap();
    batch.append_ref_float(series, 2, 2.0).unwrap();
    batch.append_ref(series, 3, float(3.0)).unwrap();
    batch.commit().unwrap();
    store.seal().unwrap();
    let mut batch = store.appender();
    batch.append_ref_float(series, 4, 4.0).unwrap();
    batch.commit().unwrap();
    drop(store);
    let (store, _) = open(&disk, HotOptions::default()).unwrap();
    assert_eq!(all(&store)[0].samples.values, [1.0, 2.0, 3.0, 4.0]);
    assert!(matches!(store.appender().append_ref_float(series, 5, 5.0), Err(Error::UnknownSeries)));
}

/// Samples of `count` series at `t`, with labels of their own for each `round`. References to the series.
fn churn(store: &HotStore, round: i64, count: i64, t: i64) -> Vec<SeriesRef> {
    let mut batch = store.appender();
    let series = (0..count)
        .map(|i| {
            let labels = labels(&[("__name__", "m"), ("pod", &format!("{round}-{i}"))]);
            batch.append_float(&labels, t, i as f64).unwrap()
        })
        .collect();
    batch.commit().unwrap();
    series
}

#[test]
fn idle_series_leave_the_head_and_busy_ones_stay() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, HotOptions { wal_sync: WalSync::Os, ..HotOptions::default() }).unwrap();
    let busy = labels(&[("__name__", "busy")]);
    let mut bytes = Vec::new();
    for round in 0..8 {
        churn(&store, round, 5_000, round);
        let mut batch = store.appender();
        batch.append_float(&busy, round, 0.5).unwrap();
        batch.commit().unwrap();
        store.seal().unwrap();
        bytes.push(store.stats().head.bytes);
    }
    // One generation's idle series are there at most, and not those of all eight.
    assert!(bytes[7] < bytes[0] * 3, "{bytes:?}");
    assert_eq!(all(&store).len(), 8 * 5_000 + 1);
    let query = Cold::default().merged(&store, &parse_selector("busy").unwrap(), TimeRange::ALL);
    assert_eq!(query[0].samples.len(), 8);
    // And a log that was written over several such changes is read back.
    churn(&store, 100, 10, 100);
    drop(store);
    let (store, recovery) = open(&disk, HotOptions::default()).unwrap();
    assert_eq!((recovery.series, all(&store).len()), (10, 8 * 5_000 + 11));
}

#[test]
fn a_batch_begun_before_idle_series_left_is_committed_whole() {
    let disk = SimDisk::new();
    let options = HotOptions { duplicate_policy: DuplicatePolicy::Reject, ..HotOptions::default() };
    let (store, _) = open(&disk, options.clone()).unwrap();
    let references = churn(&store, 0, 5_000, 1);
    store.seal().unwrap();
    let mut old = store.appender();
    for (&series, i) in references[..10].iter().zip(0..) {
        old.append_ref_float(series, 2, f64::from(i)).unwrap();
    }
    // Few series came in this generation: the next one numbers anew.
    churn(&store, 1, 10, 1);
    store.freeze().unwrap();
    assert!(!store.appender().knows(references[0]) && old.knows(references[0]));
    assert_eq!(old.commit().unwrap().samples, 10);
    let refused = append(&store, &[(labels(&[("__name__", "m"), ("pod", "1-3")]), 1, float(9.0))]);
    assert!(matches!(refused, Err(Error::DuplicateSample { .. })), "the frozen head is looked at too");
    let mut batch = store.appender();
    assert!(matches!(batch.append_ref_float(references[0], 3, 0.0), Err(Error::UnknownSeries)));
    drop(batch);
    // Of the head's series none is counted twice, though two registries know them.
    churn(&store, 1, 10, 2);
    assert_eq!((store.stats().head.series, store.stats().head.samples), (20, 30));
    let before = all(&store);
    assert_eq!(before.len(), 5_010);
    drop(store);
    let (store, recovery) = open(&disk, options).unwrap();
    assert_eq!((recovery.series, store.stats().head.series), (20, 20));
    assert_series_eq(&all(&store), &before);
}

#[test]
fn a_dropped_batch_leaves_nothing() {
    let disk = SimDisk::new();
    let (store, _) = open(&disk, HotOptions::default()).unwrap();
    let mut batch = store.appender();
    batch.append_float(&labels(&[("__name__", "a")]), 1, 1.0).unwrap();
    drop(batch);
    assert!(all(&store).is_empty() && store.snapshot().sources().is_empty());
    assert_eq!((store.stats().head.series, store.stats().wal.segments), (0, 0));
    assert!(!store.freeze().unwrap());
}

#[test]
fn the_head_wants_a_seal_when_it_is_large_or_long_and_worth_it() {
    let open = |options| open(&SimDisk::new(), options).unwrap().0;
    let fill = |store: &HotStore, samples: i64, step_ms: i64| {
        let mut batch = store.appender();
        let series = labels(&[("__name__", "a")]);
        for i in 0..samples {
            batch.append_float(&series, i * step_ms, (i as f64).sqrt()).unwrap();
        }
        batch.commit().unwrap();
    };
    let base = HotOptions { wal_sync: WalSync::Os, head_bytes_max: 80_000, ..HotOptions::default() };
    let short = open(base.clone());
    fill(&short, 100, 1_000);
    assert!(!short.needs_seal());
    let long_but_small = open(base.clone());
    fill(&long_but_small, 4, DAY_MS);
    assert!(!long_but_small.needs_seal());
    let long = open(base.clone());
    fill(&long, 2_000, 60_000);
    assert!(long.needs_seal());
    long.seal().unwrap();
    assert!(!long.needs_seal());
    let large = open(base);
    fill(&large, 20_000, 1);
    assert!(large.needs_seal());
    large.seal().unwrap();
    assert!(!large.needs_seal() && large.stats().head.bytes < 10_000);
}
