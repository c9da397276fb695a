//! acknowledged <= recovered <= attempted, nothing twice: with the power going away at every operation of the
//! whole road, and with errors of the disk at every operation.

use tsdb_core::{Labels, SampleValue, TimeRange};
use tsdb_engine::Engine as AsyncEngine;
use tsdb_engine::blocking::Engine;
use tsdb_engine::{EngineOptions, Error};
use tsdb_testkit::{
    Fault, Oracle, SimDisk, assert_series_eq, crash_at_every_operation, fault_at_every_operation, series_diff,
};

const DIR: &str = "/data";
/// 2026-01-01T23:00:00Z: an hour before midnight, so that the script crosses windows and days.
const START_MS: i64 = 1_767_308_400_000;

type Batch = Vec<(Labels, i64, f64)>;

/// One step of the script.
enum Step {
    Append(Batch),
    Seal,
    Flush,
    Restart,
}

/// What the script knows when it stops.
#[derive(Default)]
struct Outcome {
    attempted: usize,
    acknowledged: usize,
}

fn open(disk: &SimDisk) -> Result<Engine, Error> {
    let mut options = EngineOptions::default();
    // Small segments, so that the WAL rotates within the script.
    options.hot.wal_segment_bytes = 400;
    Engine::open_with(AsyncEngine::builder(DIR).vfs(disk.vfs()).options(options))
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
    use Step::{Append, Flush, Restart, Seal};
    let mut steps = Vec::new();
    let mut next = 0..;
    let mut append = |steps: &mut Vec<Step>, count| {
        steps.extend(next.by_ref().take(count).map(|n| Append(batch(n))));
    };
    append(&mut steps, 3);
    steps.push(Seal);
    append(&mut steps, 2);
    steps.push(Flush);
    append(&mut steps, 1);
    steps.push(Restart);
    append(&mut steps, 1);
    steps.push(Flush);
    append(&mut steps, 1);
    steps
}

fn batches() -> Vec<Batch> {
    let appended = |step| if let Step::Append(batch) = step { Some(batch) } else { None };
    script().into_iter().filter_map(appended).collect()
}

/// Runs the script until something fails; after a fault that is not a crash it goes on where it can.
fn run(disk: &SimDisk) -> Outcome {
    let mut outcome = Outcome::default();
    let Ok(mut engine) = open(disk) else { return outcome };
    for step in script() {
        let done = match step {
            Step::Append(batch) => {
                outcome.attempted += 1;
                let appended = append(&engine, &batch);
                outcome.acknowledged += usize::from(appended.is_ok());
                appended
            }
            Step::Seal => engine.seal().map(drop),
            Step::Flush => engine.flush().map(drop),
            Step::Restart => {
                drop(engine);
                match open(disk) {
                    Ok(opened) => engine = opened,
                    Err(_) => return outcome,
                }
                Ok(())
            }
        };
        if done.is_err() {
            return outcome;
        }
    }
    outcome
}

fn append(engine: &Engine, batch: &Batch) -> Result<(), Error> {
    let mut appender = engine.appender();
    for (labels, timestamp_ms, value) in batch {
        appender.append(labels, *timestamp_ms, *value)?;
    }
    appender.commit().map(drop)
}

/// What the store holds after the first `count` batches.
fn oracle(count: usize) -> Oracle {
    let mut oracle = Oracle::new();
    for (labels, timestamp_ms, value) in batches().into_iter().take(count).flatten() {
        oracle.append(&labels, timestamp_ms, SampleValue::Float(value));
    }
    oracle
}

fn check(disk: &SimDisk, outcome: &Outcome) {
    let engine = open(disk).unwrap_or_else(|e| panic!("the store does not open after the crash: {e}"));
    let recovered: Vec<_> = engine.select(&[], TimeRange::ALL).unwrap().map(Result::unwrap).collect();
    let is_state_after = |count: &usize| series_diff(&recovered, &oracle(*count).all()).is_none();
    let Some(count) = (outcome.acknowledged..=outcome.attempted).find(is_state_after) else {
        assert_series_eq(&recovered, &oracle(outcome.acknowledged).all());
        unreachable!("one of the two must panic");
    };

    // The same data, once each, is what other tools find after the next flush.
    engine.flush().unwrap();
    let expected = oracle(count);
    let stats = engine.stats();
    assert_eq!(stats.cold.samples, expected.sample_count(), "samples in cold files");
    assert_eq!((stats.hot.head.samples, stats.hot.blocks.count), (0, 0));
    let flushed: Vec<_> = engine.select(&[], TimeRange::ALL).unwrap().map(Result::unwrap).collect();
    assert_series_eq(&flushed, &expected.all());
    drop(engine);
    assert_eq!(parquet_files(disk), stats.cold.files, "no orphan stays beside the live files");
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
    crash_at_every_operation(run, check);
}

#[test]
fn a_crash_during_recovery_is_recovered_from() {
    let disk = SimDisk::new();
    let outcome = run(&disk);
    let crashed = disk.crash(0);
    let reopen = |disk: &SimDisk| {
        let flushed = open(disk).and_then(|engine| engine.flush());
        drop(flushed);
        Outcome { ..outcome }
    };
    fault_at_every_operation(&crashed, Fault::Crash, reopen, check);
}

#[test]
fn an_error_of_the_disk_at_any_operation_loses_nothing_acknowledged() {
    for fault in [Fault::Io, Fault::NoSpace] {
        fault_at_every_operation(&SimDisk::new(), fault, run, check);
    }
}

#[test]
fn the_script_runs_to_its_end_when_nothing_fails() {
    let disk = SimDisk::new();
    let outcome = run(&disk);
    assert_eq!((outcome.attempted, outcome.acknowledged), (batches().len(), batches().len()));
    check(&disk, &outcome);
}
