//! The life of data by itself: the background worker, retention, and what running queries and closing mean to it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tsdb_core::{Labels, SampleValue, TimeRange};
use tsdb_engine::blocking::Engine;
use tsdb_engine::{Clock, EngineOptions};
use tsdb_testkit::{FaultyStore, Oracle, StoreFault, assert_series_eq};

/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A clock that is set.
#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

fn options(interval: Option<Duration>) -> EngineOptions {
    let mut options = EngineOptions::default();
    options.background.interval = interval;
    options
}

fn open(dir: &Path, options: EngineOptions, now_ms: i64) -> Engine {
    let clock = Arc::new(SetClock(AtomicI64::new(now_ms)));
    Engine::open_with(tsdb_engine::Engine::builder(dir).options(options).clock(clock)).unwrap()
}

fn labels(series: i64) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("i", &series.to_string())]).unwrap()
}

fn append(engine: &Engine, oracle: &mut Oracle, series: i64, timestamp_ms: i64, value: f64) {
    let mut batch = engine.appender();
    batch.append(&labels(series), timestamp_ms, value).unwrap();
    batch.commit().unwrap();
    oracle.append(&labels(series), timestamp_ms, SampleValue::Float(value));
}

fn check(engine: &Engine, oracle: &Oracle) {
    let all: Vec<_> = engine.select(&[], TimeRange::ALL).unwrap().map(Result::unwrap).collect();
    assert_series_eq(&all, &oracle.all());
}

/// Waits for what the worker is to bring about; the deadline only ends a test that would hang.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn parquet_files(dir: &Path) -> usize {
    let days = std::fs::read_dir(dir.join("cold/data")).into_iter().flatten();
    days.map(|day| std::fs::read_dir(day.unwrap().path()).unwrap().count()).sum()
}

/// The roadmap's `StorageLifecycleTest`: a million points, nobody calls flush, the Parquet is there, the memory is free.
#[test]
fn storage_lifecycle_test() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(Some(Duration::from_millis(20)));
    options.hot.head_bytes_max = 1 << 20;
    options.lifecycle.seal_idle_after_ms = 0;
    let engine = open(dir.path(), options, START_MS + 2 * DAY_MS);
    let (series, samples) = (1_000, 1_000);
    for at in 0..samples {
        let mut batch = engine.appender();
        for series in 0..series {
            batch.append(&labels(series), START_MS + at * 30_000, (at * series) as f64).unwrap();
        }
        batch.commit().unwrap();
    }
    wait_until("everything is in Parquet", || {
        let stats = engine.stats();
        stats.hot.head.samples == 0 && stats.hot.blocks.count == 0
    });
    let stats = engine.stats();
    assert_eq!(stats.cold.samples, 1_000_000);
    assert!(parquet_files(dir.path()) > 0);
    assert_eq!(std::fs::read_dir(dir.path().join("blocks")).unwrap().count(), 0);
    assert_eq!((stats.hot.wal.segments, stats.background.last_error), (0, None));
    // What stays of a million samples in memory: the labels of a thousand series.
    assert!(stats.hot.head.bytes < 2 << 20, "{} bytes", stats.hot.head.bytes);
    let all =
        engine.select(&[], TimeRange::ALL).unwrap().map(|s| s.unwrap().samples.len()).collect::<Vec<_>>();
    assert_eq!(all, vec![samples as usize; series as usize]);
    engine.close().unwrap();
}

/// The roadmap's `BlockConversionTest`: a block becomes a Parquet file with the same samples, and goes.
#[test]
fn block_conversion_test() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path(), options(None), START_MS + DAY_MS);
    let mut oracle = Oracle::new();
    for minute in 0..180 {
        for series in 0..5 {
            append(&engine, &mut oracle, series, START_MS + minute * 60_000, (minute * series) as f64);
        }
    }
    engine.seal().unwrap();
    assert_eq!(engine.stats().hot.blocks.count, 2);
    // The second window ends at four hours: it is due two hours later, and a generation goes as a whole.
    assert_eq!(engine.convert_due(START_MS + 6 * HOUR_MS - 1).unwrap().blocks, 0);
    let converted = engine.convert_due(START_MS + 6 * HOUR_MS).unwrap();
    assert_eq!((converted.blocks, converted.files, converted.samples), (2, 1, 900));
    assert_eq!((engine.stats().hot.blocks.count, parquet_files(dir.path())), (0, 1));
    check(&engine, &oracle);
    assert!(engine.verify().unwrap().damaged.is_empty());
}

#[test]
fn with_ingest_stopped_there_is_one_file_for_each_day() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(Some(Duration::from_millis(5)));
    options.lifecycle.seal_idle_after_ms = 0;
    options.cold.compaction.rest_after_ms = 0;
    let engine = open(dir.path(), options, START_MS + 10 * DAY_MS);
    let mut oracle = Oracle::new();
    for hour in 0..60 {
        // In time, late, and over what is there.
        append(&engine, &mut oracle, 1, START_MS + hour * HOUR_MS, hour as f64);
        append(&engine, &mut oracle, 2, START_MS + hour * HOUR_MS / 2, hour as f64);
        append(&engine, &mut oracle, 1, START_MS + hour * HOUR_MS / 3, -hour as f64);
        if hour % 7 == 0 {
            engine.seal().unwrap();
        }
    }
    wait_until("one file for each of three days", || {
        let stats = engine.stats();
        stats.hot.head.samples + stats.hot.blocks.count == 0 && stats.cold.files == 3
    });
    check(&engine, &oracle);
    assert_eq!(engine.stats().cold.samples, oracle.sample_count(), "replaced samples are gone");
    wait_until("the merged files are removed", || parquet_files(dir.path()) == 3);
}

#[test]
fn retention_drops_whole_days_from_files_and_blocks_and_the_future_does_not_mislead_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(None);
    options.lifecycle.retention_ms = Some(3 * DAY_MS);
    let engine = open(dir.path(), options, START_MS + 10 * DAY_MS);
    let mut oracle = Oracle::new();
    for day in 0..10 {
        append(&engine, &mut oracle, 1, START_MS + day * DAY_MS, day as f64);
    }
    engine.flush().unwrap();
    append(&engine, &mut oracle, 2, START_MS + DAY_MS, 1.0);
    append(&engine, &mut oracle, 2, START_MS + 9 * DAY_MS, 1.0);
    engine.seal().unwrap();
    // Relative to the newest sample, which is older than the clock: day 9 less three.
    let (expired, blocks) = engine.expire(START_MS + 100 * DAY_MS).unwrap();
    assert_eq!((expired.files, blocks), (6, 1));
    oracle.delete(&[], TimeRange::new(i64::MIN, START_MS + 6 * DAY_MS - 1));
    check(&engine, &oracle);
    // One sample from the year 9999.
    append(&engine, &mut oracle, 3, 253_402_300_799_000, 1.0);
    let (expired, blocks) = engine.expire(START_MS + 9 * DAY_MS).unwrap();
    assert_eq!((expired.files, blocks), (0, 0));
    check(&engine, &oracle);
}

#[test]
fn a_worker_whose_store_fails_says_so_and_gets_on_when_it_works_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = FaultyStore::new();
    let mut options = options(Some(Duration::from_millis(5)));
    options.lifecycle.seal_idle_after_ms = 0;
    options.background.backoff_max = Duration::from_millis(20);
    let clock = Arc::new(SetClock(AtomicI64::new(START_MS + DAY_MS)));
    let builder = tsdb_engine::Engine::builder(dir.path()).options(options).clock(clock);
    let engine = Engine::open_with(builder.cold_store(Arc::new(store.clone()))).unwrap();
    let mut oracle = Oracle::new();
    store.fail_next(StoreFault::Gone);
    append(&engine, &mut oracle, 1, START_MS, 1.0);
    wait_until("the failure is told", || engine.stats().background.failures_in_a_row > 2);
    let told = engine.stats().background.last_error.unwrap_or_default();
    assert!(told.contains("no answer"), "{told}");
    // Ingest and queries of what is hot go on.
    append(&engine, &mut oracle, 2, START_MS + 1, 2.0);
    check(&engine, &oracle);
    store.heal();
    wait_until("the data is converted", || engine.stats().cold.samples == 2);
    wait_until("all is well", || engine.stats().background.last_error.is_none());
    check(&engine, &oracle);
}

#[test]
fn closing_stops_the_worker_in_the_middle_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut oracle = Oracle::new();
    for round in 0..20 {
        let mut options = options(Some(Duration::from_millis(1)));
        options.lifecycle.seal_idle_after_ms = 0;
        options.cold.compaction.rest_after_ms = 0;
        let engine = open(dir.path(), options, START_MS + DAY_MS);
        check(&engine, &oracle);
        for at in 0..50 {
            append(&engine, &mut oracle, at % 3, START_MS + at * 60_000, (round * at) as f64);
        }
        if round % 2 == 0 {
            engine.close().unwrap();
        }
    }
    let engine = open(dir.path(), options(None), START_MS + DAY_MS);
    check(&engine, &oracle);
}

#[test]
fn deletes_go_through_every_tier_and_a_conversion_does_not_bring_them_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut oracle = Oracle::new();
    let engine = open(dir.path(), options(None), START_MS + DAY_MS);
    let half = TimeRange::new(START_MS, START_MS + 60_000);
    let matchers = tsdb_core::parse_selector(r#"{i=~"1|2"}"#).unwrap();
    for tier in 0..3 {
        for minute in 0..4 {
            for series in 0..4 {
                append(&engine, &mut oracle, series, START_MS + minute * 60_000 + tier, tier as f64);
            }
        }
        match tier {
            0 => drop(engine.flush().unwrap()),
            1 => drop(engine.seal().unwrap()),
            _ => {}
        }
    }
    engine.delete(&matchers, half).unwrap();
    oracle.delete(&matchers, half);
    check(&engine, &oracle);
    append(&engine, &mut oracle, 1, START_MS, 9.0);
    check(&engine, &oracle);
    assert_eq!(engine.series(&matchers, half).unwrap().len(), 1);
    engine.flush().unwrap();
    check(&engine, &oracle);
    engine.close().unwrap();
    let engine = open(dir.path(), options(None), START_MS + DAY_MS);
    check(&engine, &oracle);
    engine.compact().unwrap();
    check(&engine, &oracle);
    assert_eq!(engine.stats().cold.samples, oracle.sample_count());
    assert_eq!(engine.stats().cold.tombstones, 0);
}

#[test]
fn deletes_while_the_worker_seals_converts_and_compacts_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(Some(Duration::from_millis(1)));
    options.lifecycle.seal_idle_after_ms = 0;
    options.cold.compaction.rest_after_ms = 0;
    let engine = open(dir.path(), options, START_MS + DAY_MS);
    let mut oracle = Oracle::new();
    for round in 0..60_i64 {
        for at in 0..10 {
            append(&engine, &mut oracle, at % 4, START_MS + (round * 7 + at) % 50 * 1_000, round as f64);
        }
        let matchers = tsdb_core::parse_selector(&format!(r#"{{i="{}"}}"#, round % 4)).unwrap();
        let range = TimeRange::new(START_MS + round % 10 * 2_000, START_MS + 40_000);
        engine.delete(&matchers, range).unwrap();
        oracle.delete(&matchers, range);
        check(&engine, &oracle);
    }
    wait_until("all is applied", || {
        let stats = engine.stats();
        stats.hot.head.samples + stats.hot.blocks.count + stats.cold.tombstones == 0 && stats.cold.files == 1
    });
    check(&engine, &oracle);
    assert_eq!(engine.stats().cold.samples, oracle.sample_count());
}
