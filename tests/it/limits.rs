//! Limits and statistics of a query, a scan, a look-up, and what becomes of one that is dropped.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use tsdb_core::{Labels, TimeRange};
use tsdb_engine::arrow::array::RecordBatch;
use tsdb_engine::{
    Engine, EngineOptions, Error, LookupOptions, QueryLimit, QueryLimits, QueryOptions, ScanOptions,
};
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
    store.fail_next(StoreFault::Slow);
    let mut look_up = Box::pin(engine.label_values("i", &[], TimeRange::ALL));
    assert!(futures::poll!(&mut look_up).is_pending());
    let operations = store.operations();
    drop(look_up);
    tokio::task::yield_now().await;
    assert_eq!(store.operations(), operations);
    assert_eq!(engine.select(&[], TimeRange::ALL).try_collect::<Vec<_>>().await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_look_up_has_the_limits_and_the_statistics_of_a_query() {
    let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::new());
    let engine = engine(dir.path(), &store).await;
    let with = |set: fn(&mut LookupOptions)| {
        let mut options = LookupOptions::default();
        set(&mut options);
        options
    };
    let values = |options: LookupOptions| {
        let engine = &engine;
        async move {
            match engine.label_values_within("i", &[], TimeRange::ALL, &options).await {
                Ok(found) => Ok((found.found.len(), found.is_all)),
                Err(Error::LimitExceeded { limit }) => Err(limit),
                Err(error) => panic!("{error}"),
            }
        }
    };
    // First: afterwards the cache has what the file was read for.
    assert_eq!(values(with(|o| o.limits.bytes_read_max = Some(10))).await, Err(QueryLimit::BytesRead(10)));
    assert_eq!(values(with(|_| {})).await, Ok((5, true)));
    assert_eq!(values(with(|o| o.first = Some(3))).await, Ok((3, false)));
    assert_eq!(values(with(|o| o.first = Some(5))).await, Ok((5, true)));
    assert_eq!(values(with(|o| o.limits.values_max = Some(5))).await, Ok((5, true)));
    assert_eq!(values(with(|o| o.limits.values_max = Some(4))).await, Err(QueryLimit::Values(4)));
    let three_of_three = |o: &mut LookupOptions| (o.first, o.limits.values_max) = (Some(3), Some(3));
    assert_eq!(values(with(three_of_three)).await, Ok((3, false)));
    let time = values(with(|o| o.limits.time_max = Some(Duration::ZERO))).await;
    assert_eq!(time, Err(QueryLimit::Time(Duration::ZERO)));

    let options = with(|o| o.limits.series_max = Some(4));
    let error = engine.series_within(&[], TimeRange::ALL, &options).await.unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { limit: QueryLimit::Series(4) }), "{error}");
    let options = with(|o| (o.first, o.limits.series_max) = (Some(4), Some(4)));
    let found = engine.series_within(&[], TimeRange::ALL, &options).await.unwrap();
    assert_eq!((found.found.len(), found.is_all, found.statistics.series), (4, false, 4));
    let statistics = found.statistics;
    assert_eq!((statistics.heads, statistics.blocks, statistics.samples), (1, 0, 0));
    assert_eq!((statistics.cold.files_considered, statistics.cold.files_opened), (1, 1));
    assert_eq!(statistics.cold.pages_decoded, 0, "no sample is read");
    let names = engine.label_names_within(&[], TimeRange::ALL, &LookupOptions::default()).await.unwrap();
    assert_eq!(names.found, ["__name__", "i"]);
    assert_eq!((names.statistics.heads, names.statistics.cold.files_opened), (1, 1));
}

#[tokio::test]
async fn a_scan_looks_up_its_label_names_within_the_limits() {
    let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::new());
    let engine = engine(dir.path(), &store).await;
    let mut options = ScanOptions::default();
    options.limits.bytes_read_max = Some(10);
    let error = engine.scan(&[], TimeRange::ALL, &options).await.unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { limit: QueryLimit::BytesRead(10) }), "{error}");
    let scan = engine.scan(&[], TimeRange::ALL, &ScanOptions::default()).await.unwrap();
    assert_eq!(scan.statistics().cold.files_opened, 1, "what the look-up has opened counts");
    let rows: usize =
        scan.map_ok(|batch| batch.num_rows()).try_collect::<Vec<_>>().await.unwrap().iter().sum();
    assert_eq!(rows, 40);
}

/// A series that comes with a new label after the schema was made was not there at the call: it is left out.
#[tokio::test]
async fn a_scan_keeps_its_schema_while_the_head_takes_new_labels() {
    let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::new());
    let engine = engine(dir.path(), &store).await;
    let scan = engine.scan(&[], TimeRange::ALL, &ScanOptions::default()).await.unwrap();
    let schema = scan.schema();
    let mut batch = engine.appender();
    let labels = Labels::from_pairs([("__name__", "a"), ("new", "label")]).unwrap();
    batch.append(&labels, 1_767_225_600_000, 1.0).unwrap();
    batch.commit().unwrap();
    let batches: Vec<_> = scan.try_collect().await.unwrap();
    assert!(batches.iter().all(|batch| batch.schema() == schema));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 40);
    let scan = engine.scan(&[], TimeRange::ALL, &ScanOptions::default()).await.unwrap();
    assert!(scan.schema().column_with_name("new").is_some());
}

/// Drives a future on no runtime at all.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        std::thread::park();
    }
}

/// Each kind of query, on a store that does not answer.
#[test]
fn the_limit_on_time_ends_a_wait_and_needs_no_runtime() {
    // A runtime to open the store, without timers; the queries run on none.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::new());
    let engine = runtime.block_on(engine(dir.path(), &store));
    let max = Duration::from_millis(20);
    let (mut query, mut scan, mut look_up) =
        (QueryOptions::default(), ScanOptions::default(), LookupOptions::default());
    (query.limits.time_max, scan.limits.time_max, look_up.limits.time_max) =
        (Some(max), Some(max), Some(max));
    let stuck = || store.fail_next(StoreFault::Stuck);
    let too_late = |error: Option<Error>| {
        let limit = match error {
            Some(Error::LimitExceeded { limit }) => limit,
            other => panic!("{other:?}"),
        };
        assert_eq!(limit, QueryLimit::Time(max));
    };
    stuck();
    too_late(block_on(engine.query(&[], TimeRange::ALL, &query).try_collect::<Vec<_>>()).err());
    stuck();
    too_late(block_on(engine.scan(&[], TimeRange::ALL, &scan)).err());
    stuck();
    too_late(block_on(engine.label_values_within("i", &[], TimeRange::ALL, &look_up)).err());
    stuck();
    too_late(block_on(engine.series_within(&[], TimeRange::ALL, &look_up)).err());
    // On a runtime that has no timers, too.
    stuck();
    too_late(runtime.block_on(engine.query(&[], TimeRange::ALL, &query).try_collect::<Vec<_>>()).err());
    query.limits.time_max = Some(Duration::from_secs(3600));
    let all = block_on(engine.query(&[], TimeRange::ALL, &query).try_collect::<Vec<_>>()).unwrap();
    assert_eq!(all.len(), 5);
}

/// A store in `dir` whose 3,000 series of 100 samples are all in one cold file.
async fn large(dir: &std::path::Path) {
    let engine = with_threads(dir, 1).await;
    let mut batch = engine.appender();
    for series in 0..3_000 {
        let labels = Labels::from_pairs([("__name__", "m"), ("i", &format!("{series:04}"))]).unwrap();
        for at in 0..100 {
            batch.append(&labels, 1_767_225_600_000 + at * 1_000, (series * at) as f64).unwrap();
        }
    }
    batch.commit().unwrap();
    engine.flush().await.unwrap();
    engine.close().await.unwrap();
}

async fn with_threads(dir: &std::path::Path, threads: usize) -> Engine {
    let mut options = EngineOptions::default();
    options.background.interval = None;
    options.read_threads = threads;
    Engine::builder(dir).options(options).open().await.unwrap()
}

#[tokio::test]
async fn threads_that_read_ahead_keep_limits_counts_and_cancellation() {
    let dir = tempfile::tempdir().unwrap();
    large(dir.path()).await;
    let mut answers = Vec::new();
    for threads in [1, 2, 8] {
        let engine = with_threads(dir.path(), threads).await;
        let mut query = engine.query(&[], TimeRange::ALL, &QueryOptions::default());
        let all: Vec<_> = query.by_ref().try_collect().await.unwrap();
        let found = query.statistics();
        assert_eq!((found.series, found.samples), (3_000, 300_000));
        let cold = found.cold;
        answers.push((all, cold.range_reads, cold.bytes_read, cold.pages_decoded));

        // Half-way, and away: what was decoded ahead is nobody's, and the places are free for the next.
        for _ in 0..4 {
            let mut dropped = engine.query(&[], TimeRange::ALL, &QueryOptions::default());
            for _ in 0..700 {
                assert!(dropped.next().await.unwrap().is_ok());
            }
        }
        // What comes before the limit is right, and is all that comes.
        let mut options = QueryOptions::default();
        options.limits.samples_max = Some(150_050);
        let mut limited = engine.query(&[], TimeRange::ALL, &options);
        for expected in &answers[0].0[..1_500] {
            let series = limited.next().await.unwrap().unwrap();
            assert!(series.labels == expected.labels && series.samples.bits_eq(&expected.samples));
        }
        let error = limited.next().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::LimitExceeded { limit: QueryLimit::Samples(150_050) }), "{error}");
        assert!(limited.next().await.is_none());
        options.limits = QueryLimits::default();
        options.limits.bytes_read_max = Some(cold.bytes_read / 2);
        let stopped = engine.query(&[], TimeRange::ALL, &options).try_collect::<Vec<_>>().await;
        assert!(matches!(stopped, Err(Error::LimitExceeded { limit: QueryLimit::BytesRead(_) })));
        engine.close().await.unwrap();
    }
    let (alone, others) = answers.split_first().unwrap();
    for other in others {
        tsdb_testkit::assert_series_eq(&other.0, &alone.0);
        assert_eq!((other.1, other.2, other.3), (alone.1, alone.2, alone.3), "the same was read");
    }
}

#[test]
fn without_a_runtime_a_large_query_is_decoded_by_whoever_asks() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let engine = runtime.block_on(async {
        large(dir.path()).await;
        with_threads(dir.path(), 4).await
    });
    let all = block_on(engine.select(&[], TimeRange::ALL).try_collect::<Vec<_>>()).unwrap();
    assert_eq!(all.len(), 3_000);
    runtime.block_on(engine.close()).unwrap();
}
