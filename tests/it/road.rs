//! The road of a sample: memory, block, Parquet; the same answer from each, and from all at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tsdb_core::{Histogram, Labels, SampleValue, Series, TimeRange, parse_selector};
use tsdb_engine::EngineOptions;
use tsdb_engine::blocking::Engine;
use tsdb_testkit::{Oracle, assert_series_eq};
use tsdb_workload::Mixed;

fn select(engine: &Engine, selector: &str, range: TimeRange) -> Vec<Series> {
    engine.select(&parse_selector(selector).unwrap(), range).unwrap().map(Result::unwrap).collect()
}

/// Every query, over every range, against the oracle.
fn check(engine: &Engine, oracle: &Oracle) {
    let all = oracle.time_range().unwrap();
    let middle_ms = i64::midpoint(all.start_ms, all.end_ms);
    let selectors = [
        "{}",
        "node_cpu_seconds_total",
        r#"{job="api",code=~"5.."}"#,
        r#"{job!="node",le!=""}"#,
        r#"{pod=""}"#,
    ];
    let ranges = [
        TimeRange::ALL,
        TimeRange::new(all.start_ms, middle_ms),
        TimeRange::new(middle_ms, middle_ms + 60_000),
    ];
    for selector in selectors {
        for range in ranges {
            let expected = oracle.select(&parse_selector(selector).unwrap(), range);
            assert_series_eq(&select(engine, selector, range), &expected);
        }
    }
}

#[test]
fn the_answer_is_the_same_wherever_half_of_the_samples_lies() {
    let dir = tempfile::tempdir().unwrap();
    let workload = Mixed::new(600, 40).generate();
    let mut engine = Engine::open(dir.path()).unwrap();
    let mut oracle = Oracle::new();
    // Even steps first, odd ones later: the halves interleave in time.
    for half in 0..2 {
        let mut batch = engine.appender();
        for series in 0..workload.len() {
            let samples = workload.timestamps(series).iter().zip(workload.values(series));
            for (ms, value) in samples.skip(half).step_by(2) {
                batch.append(workload.labels(series), *ms, *value).unwrap();
                oracle.append(workload.labels(series), *ms, SampleValue::Float(*value));
            }
        }
        batch.commit().unwrap();
        check(&engine, &oracle);
        engine.close().unwrap();
        engine = Engine::open(dir.path()).unwrap();
        check(&engine, &oracle);
        if half == 0 {
            assert!(engine.flush().unwrap().files > 0);
            assert_eq!(engine.stats().hot.head.samples, 0);
            check(&engine, &oracle);
        }
    }
    assert!(engine.seal().unwrap() > 0);
    check(&engine, &oracle);
    engine.flush().unwrap();
    check(&engine, &oracle);
    assert_eq!(engine.count_series().unwrap(), oracle.series_count());
    engine.close().unwrap();
    check(&Engine::open(dir.path()).unwrap(), &oracle);
}

#[test]
fn after_a_flush_the_data_is_in_parquet_only() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    let labels = Labels::from_pairs([("__name__", "up")]).unwrap();
    let mut batch = engine.appender();
    batch.append(&labels, 1_767_225_600_000, 1.0).unwrap();
    batch.commit().unwrap();
    assert_eq!(files(dir.path(), "wal"), 1);

    assert_eq!(engine.flush().unwrap().samples, 1);
    let stats = engine.stats();
    assert_eq!((stats.hot.head.samples, stats.hot.blocks.count, stats.cold.files), (0, 0, 1));
    assert_eq!((files(dir.path(), "wal"), files(dir.path(), "blocks")), (0, 0));
    assert_eq!(files(dir.path(), "cold/data/day=2026-01-01"), 1);
    assert_eq!(engine.flush().unwrap().blocks, 0, "nothing is left to flush");
}

#[test]
fn the_last_write_wins_over_all_tiers() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    let labels = Labels::from_pairs([("__name__", "x")]).unwrap();
    let write = |value: f64| {
        let mut batch = engine.appender();
        batch.append(&labels, 1_000, value).unwrap();
        batch.commit().unwrap();
    };
    let read = || select(&engine, "x", TimeRange::ALL)[0].samples.values.clone();
    write(1.0);
    engine.flush().unwrap();
    write(2.0);
    assert_eq!(read(), [2.0], "head over cold");
    engine.seal().unwrap();
    assert_eq!(read(), [2.0], "block over cold");
    write(3.0);
    assert_eq!(read(), [3.0], "head over block");
    engine.flush().unwrap();
    assert_eq!(read(), [3.0], "cold over cold");
}

#[test]
fn bits_and_histograms_survive_every_tier() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    let labels =
        Labels::from_pairs([("__name__", "odd"), ("ключ", "значение"), ("day", "1"), ("Day", "2")]).unwrap();
    let payloads =
        [0x7ff0_0000_0000_0002_u64, 0x7ff8_0000_0000_0001, 0xfff8_dead_beef_0001, (-0.0_f64).to_bits(), 1];
    let mut oracle = Oracle::new();
    let mut batch = engine.appender();
    let histogram = Arc::new(histogram());
    for (n, bits) in payloads.into_iter().enumerate() {
        let values =
            [SampleValue::Float(f64::from_bits(bits)), SampleValue::Histogram(Arc::clone(&histogram))];
        for (k, value) in values.into_iter().enumerate() {
            let ms = (2 * n + k) as i64 * 1000;
            batch.append_value(&labels, ms, value.clone()).unwrap();
            oracle.append(&labels, ms, value);
        }
    }
    batch.commit().unwrap();
    let check = |what: &str| {
        println!("{what}");
        assert_series_eq(&select(&engine, "{}", TimeRange::ALL), &oracle.all());
    };
    check("head");
    engine.seal().unwrap();
    check("block");
    engine.flush().unwrap();
    check("parquet");
}

fn histogram() -> Histogram {
    use tsdb_core::{Buckets, ResetHint, Span};
    Histogram {
        reset_hint: ResetHint::NoReset,
        schema: 3,
        zero_threshold: 1e-128,
        sum: 18.5,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        negative_spans: vec![Span { offset: 0, length: 1 }],
        // Above 2^53, where a float would lose the last bit.
        buckets: Buckets::Int {
            count: (1 << 60) + 10,
            zero_count: 2,
            positive: vec![1, 3, 4],
            negative: vec![1 << 60],
        },
        custom_bounds: Default::default(),
    }
}

fn files(dir: &std::path::Path, sub: &str) -> usize {
    std::fs::read_dir(dir.join(sub)).map_or(0, Iterator::count)
}

#[test]
fn a_head_over_its_budget_is_sealed_in_the_background_and_closing_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = EngineOptions::default();
    options.hot.head_bytes_max = 60_000;
    let mut oracle = Oracle::new();
    let mut batches = 0..;
    for _ in 0..3 {
        let builder = tsdb_engine::Engine::builder(dir.path()).options(options.clone());
        let engine = Engine::open_with(builder).unwrap();
        let sealed = engine.stats().hot.blocks.count;
        let deadline = Instant::now() + Duration::from_secs(60);
        while engine.stats().hot.blocks.count == sealed {
            assert!(Instant::now() < deadline, "nothing was sealed");
            let number = batches.next().unwrap();
            let mut batch = engine.appender();
            for series in 0..100 {
                let labels = Labels::from_pairs([("__name__", "m"), ("i", &series.to_string())]).unwrap();
                let (timestamp_ms, value) = (number * 1_000, (number as f64).sqrt() + f64::from(series));
                batch.append(&labels, timestamp_ms, value).unwrap();
                oracle.append(&labels, timestamp_ms, SampleValue::Float(value));
            }
            batch.commit().unwrap();
        }
        // Perhaps in the middle of the next one.
        drop(engine);
    }
    let engine = Engine::open(dir.path()).unwrap();
    assert_series_eq(&select(&engine, "{}", TimeRange::ALL), &oracle.all());
}
