//! acknowledged <= recovered <= attempted, nothing twice: with the power going away at every operation of the whole
//! life of data (append, seal, convert, delete, compact, expire, restart), with errors of the disk at every operation,
//! and with an object store that goes away at every one of its own.

use std::sync::Arc;

use tsdb_core::{Labels, SampleValue, Series, TimeRange, parse_selector};
use tsdb_engine::Engine as AsyncEngine;
use tsdb_engine::blocking::Engine;
use tsdb_engine::{EngineOptions, Error};
use tsdb_testkit::{
    Fault, FaultyStore, Oracle, SEEDS, SimDisk, StoreFault, assert_series_eq, crash_at_every_operation,
    fault_at_every_operation, series_diff, store_fault_at_every_operation,
};

const DIR: &str = "/data";
/// 2026-01-01T23:00:00Z: an hour before midnight, so that the script crosses windows and days.
const START_MS: i64 = 1_767_308_400_000;
/// 2026-01-02T00:00:00Z.
const MIDNIGHT_MS: i64 = START_MS + 3_600_000;
/// Long after the script's samples.
const NOW_MS: i64 = START_MS + 10 * 86_400_000;

type Batch = Vec<(Labels, i64, f64)>;

/// One step of the script.
#[derive(Clone)]
enum Step {
    Append(Batch),
    Seal,
    Flush,
    Restart,
    Delete(&'static str, TimeRange),
    Compact,
    /// Everything before midnight, of what is sealed.
    Expire,
    /// A round of the background worker.
    Maintain,
}

/// What the script knows when it stops.
struct Outcome {
    /// Steps that were acknowledged.
    acknowledged: usize,
    /// Where the cold tier is, unless it is on the disk.
    store: Option<FaultyStore>,
    disk: SimDisk,
}

fn open(disk: &SimDisk, store: Option<&FaultyStore>) -> Result<Engine, Error> {
    let mut options = EngineOptions::default();
    // Small segments, so that the WAL rotates within the script.
    options.hot.wal_segment_bytes = 400;
    options.lifecycle.retention_ms = Some(3_600_000);
    options.lifecycle.orphan_grace_ms = 0;
    options.background.interval = None;
    let builder = AsyncEngine::builder(DIR).vfs(disk.vfs()).options(options);
    Engine::open_with(match store {
        Some(store) => builder.cold_store(Arc::new(store.clone())),
        None => builder,
    })
}

fn batch(n: i64) -> Batch {
    let sample = |series: i64| {
        let name = format!("series_{series}");
        let labels = Labels::from_pairs([("__name__", name.as_str()), ("job", "crash")]).unwrap();
        // Half an hour a batch: over two-hour windows and over midnight. Series 2 comes late.
        let late = if series == 2 { 4_000_000 } else { 0 };
        (labels, START_MS + n * 1_800_000 - late + series, n as f64)
    };
    (0..3).map(sample).collect()
}

fn script() -> Vec<Step> {
    use Step::{Append, Compact, Delete, Expire, Flush, Maintain, Restart, Seal};
    let recent = TimeRange::new(START_MS + 2 * 1_800_000, i64::MAX);
    vec![
        Append(batch(0)),
        Append(batch(1)),
        Seal,
        Append(batch(2)),
        Flush,
        Append(batch(3)),
        // In all three: a file, a block, and the head.
        Seal,
        Append(batch(4)),
        Delete("series_0", recent),
        Append(batch(5)),
        Restart,
        Flush,
        Compact,
        Append(batch(6)),
        Seal,
        Maintain,
        Append(batch(7)),
        Delete("{}", TimeRange::new(START_MS + 5 * 1_800_000, START_MS + 6 * 1_800_000)),
        Seal,
        Expire,
        Append(batch(8)),
        Compact,
    ]
}

/// Runs the script until something fails.
fn run(disk: &SimDisk, store: Option<FaultyStore>) -> Outcome {
    let acknowledged = steps_done(disk, store.as_ref());
    Outcome { acknowledged, store, disk: disk.clone() }
}

fn steps_done(disk: &SimDisk, store: Option<&FaultyStore>) -> usize {
    let Ok(mut engine) = open(disk, store) else { return 0 };
    let script = script();
    for (number, step) in script.iter().enumerate() {
        let done = match step {
            Step::Append(batch) => append(&engine, batch),
            Step::Seal => engine.seal().map(drop),
            Step::Flush => engine.flush().map(drop),
            Step::Delete(selector, range) => engine.delete(&parse_selector(selector).unwrap(), *range),
            Step::Compact => engine.compact().map(drop),
            Step::Expire => engine.expire(NOW_MS).map(drop),
            Step::Maintain => engine
                .convert_due(NOW_MS)
                .and_then(|_| engine.compact_due(NOW_MS))
                .and_then(|_| engine.sweep(NOW_MS))
                .map(drop),
            Step::Restart => {
                drop(engine);
                match open(disk, store) {
                    Ok(opened) => engine = opened,
                    Err(_) => return number,
                }
                Ok(())
            }
        };
        if done.is_err() {
            return number;
        }
    }
    script.len()
}

fn append(engine: &Engine, batch: &Batch) -> Result<(), Error> {
    let mut appender = engine.appender();
    for (labels, timestamp_ms, value) in batch {
        appender.append(labels, *timestamp_ms, *value)?;
    }
    appender.commit().map(drop)
}

/// What the store holds after the first `count` steps.
fn oracle(count: usize) -> Oracle {
    let mut oracle = Oracle::new();
    for step in script().into_iter().take(count) {
        match step {
            Step::Append(batch) => {
                for (labels, timestamp_ms, value) in batch {
                    oracle.append(&labels, timestamp_ms, SampleValue::Float(value));
                }
            }
            Step::Delete(selector, range) => _ = oracle.delete(&parse_selector(selector).unwrap(), range),
            Step::Expire => _ = oracle.delete(&[], TimeRange::new(i64::MIN, MIDNIGHT_MS - 1)),
            _ => {}
        }
    }
    oracle
}

fn samples(series: &[Series]) -> Vec<(String, i64, u64)> {
    let of = |s: &Series| {
        let samples = s.samples.timestamps_ms.iter().zip(&s.samples.values);
        samples.map(|(ms, value)| (s.labels.to_string(), *ms, value.to_bits())).collect::<Vec<_>>()
    };
    series.iter().flat_map(of).collect()
}

/// Whether a step was done in part: deletes and expiry may be, and then have shown nothing that was gone.
fn is_between(recovered: &[Series], count: usize) -> bool {
    let (before, after) = (samples(&oracle(count).all()), samples(&oracle(count + 1).all()));
    let recovered = samples(recovered);
    let has = |all: &[(String, i64, u64)], one: &(String, i64, u64)| all.contains(one);
    after.len() < before.len()
        && recovered.iter().all(|sample| has(&before, sample))
        && after.iter().all(|sample| has(&recovered, sample))
}

fn check(disk: &SimDisk, outcome: &Outcome) {
    let store = outcome.store.as_ref();
    let engine = open(disk, store).unwrap_or_else(|e| panic!("the store does not open after the crash: {e}"));
    let select = || engine.select(&[], TimeRange::ALL).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    let (recovered, acknowledged) = (select(), outcome.acknowledged);
    let is_state_after = |count: usize| series_diff(&recovered, &oracle(count).all()).is_none();
    if ![acknowledged, acknowledged + 1].into_iter().any(is_state_after)
        && !is_between(&recovered, acknowledged)
    {
        assert_series_eq(&recovered, &oracle(acknowledged).all());
    }

    // The same data, once each and nothing that was deleted, is what other tools find after a flush and a compaction.
    engine.flush().unwrap();
    engine.compact().unwrap();
    assert_series_eq(&select(), &recovered);
    let stats = engine.stats();
    assert_eq!(stats.cold.samples, samples(&recovered).len() as u64, "samples in cold files");
    assert_eq!((stats.hot.head.samples, stats.hot.blocks.count, stats.cold.tombstones), (0, 0, 0));
    assert!(stats.cold.files <= 2, "one for each day");
    drop(engine);
    if store.is_none() {
        assert_eq!(parquet_files(disk), stats.cold.files, "no orphan stays beside the live files");
    }
}

fn parquet_files(disk: &SimDisk) -> u64 {
    let vfs = disk.vfs();
    let data = std::path::Path::new(DIR).join("cold/data");
    let Ok(days) = vfs.list(&data) else { return 0 };
    let files = days.iter().map(|day| vfs.list(&data.join(&day.name)).unwrap().len() as u64);
    files.sum()
}

#[test]
fn a_crash_at_any_operation_loses_nothing_acknowledged_and_shows_nothing_twice() {
    crash_at_every_operation(|disk| run(disk, None), check);
}

#[test]
fn a_crash_with_an_object_store_loses_nothing_acknowledged_and_shows_nothing_twice() {
    crash_at_every_operation(|disk| run(disk, Some(FaultyStore::new())), check);
}

#[test]
fn an_object_store_that_goes_away_at_any_operation_loses_nothing_acknowledged() {
    for fault in [StoreFault::Gone, StoreFault::DoneThenGone] {
        store_fault_at_every_operation(
            fault,
            |store| run(&SimDisk::new(), Some(store.clone())),
            |store, outcome| {
                for seed in SEEDS {
                    let store = Some(store.fork());
                    check(
                        &outcome.disk.crash(seed),
                        &Outcome { store, disk: outcome.disk.clone(), ..*outcome },
                    );
                }
            },
        );
    }
}

#[test]
fn a_crash_during_recovery_is_recovered_from() {
    let disk = SimDisk::new();
    let done = run(&disk, None).acknowledged;
    let crashed = disk.crash(0);
    let reopen = |disk: &SimDisk| {
        let flushed = open(disk, None).and_then(|engine| engine.flush());
        drop(flushed);
        Outcome { acknowledged: done, store: None, disk: disk.clone() }
    };
    fault_at_every_operation(&crashed, Fault::Crash, reopen, check);
}

#[test]
fn an_error_of_the_disk_at_any_operation_loses_nothing_acknowledged() {
    for fault in [Fault::Io, Fault::NoSpace] {
        fault_at_every_operation(&SimDisk::new(), fault, |disk| run(disk, None), check);
    }
}

#[test]
fn the_script_runs_to_its_end_when_nothing_fails() {
    for store in [None, Some(FaultyStore::new())] {
        let disk = SimDisk::new();
        let outcome = run(&disk, store);
        assert_eq!(outcome.acknowledged, script().len());
        check(&disk, &outcome);
    }
}
