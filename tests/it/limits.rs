//! Limits and statistics of a query, and what becomes of one that is dropped.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use tsdb_core::{Labels, TimeRange};
use tsdb_engine::{Engine, EngineOptions, Error, QueryLimit, QueryOptions};
use tsdb_testkit::{FaultyStore, StoreFault};

/// An engine over `store` with 5 series of 4 samples in a cold file, and as many in the head.
async fn engine(dir: &std::path::Path, store: &FaultyStore) -> Engine {
    let mut options = EngineOptions::default();
    options.background.interval = None;
    let builder = Engine::builder(dir).options(options).cold_store(Arc::new(store.clone()));
    let engine = builder.open().await.unwrap();
    for round in 0..2_i64 {
        let mut batch = engine.appender();
        for series in 0..5 {
            let labels = Labels::from_pairs([("__name__", "m"), ("i", &series.to_string())]).unwrap();
            for at in 0..4 {
                batch.append(&labels, 1_767_225_600_000 + round * 60_000 + at * 1_000, at as f64).unwrap();
            }
        }
        batch.commit().unwrap();
        if round == 0 {
            engine.flush().await.unwrap();
        }
    }
    engine
}

async fn limit(engine: &Engine, options: &QueryOptions) -> Option<QueryLimit> {
    let all = engine.query(&[], TimeRange::ALL, options).try_collect::<Vec<_>>().await;
    match all {
        Ok(_) => None,
        Err(Error::LimitExceeded { limit }) => Some(limit),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_query_that_goes_beyond_a_limit_says_which_and_how_to_raise_it() {
    let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::new());
    let engine = engine(dir.path(), &store).await;
    let with = |set: fn(&mut QueryOptions)| {
        let mut options = QueryOptions::default();
        set(&mut options);
        options
    };
    let bytes = with(|o| o.limits.bytes_read_max = Some(10));
    assert_eq!(limit(&engine, &bytes).await, Some(QueryLimit::BytesRead(10)));
    assert_eq!(limit(&engine, &QueryOptions::default()).await, None);
    assert_eq!(limit(&engine, &with(|o| o.limits.series_max = Some(5))).await, None);
    let four = with(|o| o.limits.series_max = Some(4));
    assert_eq!(limit(&engine, &four).await, Some(QueryLimit::Series(4)));
    assert_eq!(limit(&engine, &with(|o| o.limits.samples_max = Some(40))).await, None);
    let samples = with(|o| o.limits.samples_max = Some(39));
    assert_eq!(limit(&engine, &samples).await, Some(QueryLimit::Samples(39)));
    let time = with(|o| o.limits.time_max = Some(Duration::ZERO));
    assert_eq!(limit(&engine, &time).await, Some(QueryLimit::Time(Duration::ZERO)));

    let mut query = engine.query(&[], TimeRange::ALL, &four);
    for _ in 0..4 {
        assert_eq!(query.next().await.unwrap().unwrap().samples.len(), 8);
    }
    let error = query.next().await.unwrap().unwrap_err().to_string();
    assert!(error.contains("more than 4 series") && error.contains("QueryLimits::series_max"), "{error}");
    assert!(query.next().await.is_none(), "it ends at its first error");
}

#[tokio::test]
async fn the_statistics_say_what_a_query_has_cost() {
    let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::new());
    let engine = engine(dir.path(), &store).await;
    for first in [true, false] {
        let mut query = engine.query(&[], TimeRange::ALL, &QueryOptions::default());
        while query.try_next().await.unwrap().is_some() {}
        let found = query.statistics();
        assert_eq!((found.series, found.samples, found.heads, found.blocks), (5, 40, 1, 0));
        let cold = found.cold;
        assert_eq!((cold.files_considered, cold.files_pruned, cold.files_opened), (1, 0, 1));
        assert_eq!((cold.metadata_hits, cold.metadata_misses), if first { (0, 1) } else { (1, 0) });
        assert!(cold.bytes_read > 0 && cold.pages_decoded > 0 && cold.index_block_hits > 0, "{cold:?}");
        assert!(found.stages.total >= found.stages.cold, "{found:?}");
    }
    let mut query = engine.query(&[], TimeRange::new(0, 1), &QueryOptions::default());
    assert!(query.try_next().await.unwrap().is_none());
    let cold = query.statistics().cold;
    assert_eq!((cold.files_considered, cold.files_pruned, cold.files_opened, cold.range_reads), (1, 1, 0, 0));
}

#[tokio::test]
async fn a_dropped_query_reads_no_more_and_hinders_nobody() {
    let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::new());
    let engine = engine(dir.path(), &store).await;
    store.fail_next(StoreFault::Slow);
    let mut query = engine.query(&[], TimeRange::ALL, &QueryOptions::default());
    assert!(futures::poll!(query.next()).is_pending());
    let operations = store.operations();
    drop(query);
    tokio::task::yield_now().await;
    assert_eq!(store.operations(), operations);
    assert_eq!(engine.select(&[], TimeRange::ALL).try_collect::<Vec<_>>().await.unwrap().len(), 5);
}
