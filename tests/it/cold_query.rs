//! The roadmap's `ColdQueryTest`: everything lies in cold files, on the disk or in a remote store, and is asked of an engine
//! that writes, of one that only reads, and with less memory than the data has.

use std::sync::Arc;

use tsdb_core::{Labels, TimeRange, parse_selector};
use tsdb_engine::QueryOptions;
use tsdb_engine::blocking::Engine;
use tsdb_testkit::{FaultyStore, Oracle, SimDisk};

use crate::hybrid_query::{history, queries};
use crate::ways::{Way, builder, check_every_query, oracle};

const DAY_MS: i64 = 86_400_000;
/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;

#[test]
fn cold_query_test() {
    let (history, oracle) = (history(), oracle(&history()));
    for (way, is_remote) in [(Way::Cold, false), (Way::ManyFiles, true), (Way::Compacted, false)] {
        let (disk, store) = (SimDisk::new(), FaultyStore::new());
        let home = || match is_remote {
            true => builder(&disk).cold_store(Arc::new(store.clone())),
            false => builder(&disk),
        };
        let engine = way.fill(Engine::open_with(home()).unwrap(), &history);
        for (matchers, range) in queries() {
            check_every_query(&engine, &oracle, &matchers, range);
            let mut query = engine.query(&matchers, range, &QueryOptions::default()).unwrap();
            query.by_ref().for_each(|series| drop(series.unwrap()));
            let found = query.statistics();
            assert_eq!((found.heads, found.blocks), (0, 0), "only cold files are asked");
            assert_eq!(found.cold.files_opened, found.cold.files_considered - found.cold.files_pruned);
        }
        let reader = Engine::open_read_only_with(home()).unwrap();
        check_every_query(&reader, &oracle, &[], TimeRange::ALL);
        engine.close().unwrap();
        let engine = Engine::open_with(home()).unwrap();
        check_every_query(&engine, &oracle, &[], TimeRange::ALL);
    }
}

#[test]
fn cold_query_test_reads_only_the_days_that_it_asks_for() {
    let (engine, oracle) = days(7, 3, 1 << 20);
    for day in 0..7 {
        let range = TimeRange::new(START_MS + day * DAY_MS, START_MS + (day + 1) * DAY_MS - 1);
        let mut query = engine.query(&[], range, &QueryOptions::default()).unwrap();
        assert_eq!(query.by_ref().map(Result::unwrap).count(), 3);
        let cold = query.statistics().cold;
        assert_eq!((cold.files_considered, cold.files_pruned, cold.files_opened), (7, 6, 1));
        check_every_query(&engine, &oracle, &[], range);
    }
}

/// Random queries over more data than the cache holds: the answers stay right, and the bound holds after each.
#[test]
fn cold_query_test_with_a_cache_that_is_smaller_than_the_data() {
    let (series, cache_bytes) = (40, 96 << 10);
    let (engine, oracle) = days(30, series, cache_bytes);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for _ in 0..60 {
        let (first, days) = (next(30) as i64, next(5) as i64);
        let range = TimeRange::new(START_MS + first * DAY_MS, START_MS + (first + days) * DAY_MS);
        let selector = match next(3) {
            0 => format!(r#"{{id="{}"}}"#, next(series)),
            1 => format!(r#"{{id=~"{}.*"}}"#, next(10)),
            _ => format!(r#"{{id!~"{}|{}"}}"#, next(series), next(series)),
        };
        check_every_query(&engine, &oracle, &parse_selector(&selector).unwrap(), range);
        let cache = engine.stats().cache;
        assert!(cache.bytes <= cache_bytes && cache.bytes_max == cache_bytes, "{cache:?}");
    }
    let cache = engine.stats().cache;
    assert!(cache.file_misses > 60, "the data does not fit, so files are loaded again and again: {cache:?}");
    assert!(cache.files > 0 && cache.files < 30, "{cache:?}");
}

/// A store of so many days, a cold file each.
fn days(days: i64, series: u64, cache_bytes: u64) -> (Engine, Oracle) {
    let mut options = tsdb_engine::EngineOptions::default();
    options.background.interval = None;
    options.cold.cache_bytes = cache_bytes;
    let engine = Engine::open_with(builder(&SimDisk::new()).options(options)).unwrap();
    let mut oracle = Oracle::new();
    let mut batch = engine.appender();
    for id in 0..series {
        let labels = Labels::from_pairs([("__name__", "m"), ("id", &id.to_string())]).unwrap();
        for hour in 0..days * 6 {
            let (timestamp_ms, value) = (START_MS + hour * DAY_MS / 6, (id as i64 * hour) as f64);
            batch.append(&labels, timestamp_ms, value).unwrap();
            oracle.append(&labels, timestamp_ms, tsdb_core::SampleValue::Float(value));
        }
    }
    batch.commit().unwrap();
    engine.flush().unwrap();
    assert_eq!(engine.stats().cold.files, days as u64);
    (engine, oracle)
}
