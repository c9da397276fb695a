//! What is kept of cold files in memory: read once, for many askers, within the bound.

use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::join_all;
use tsdb_cold::{ColdOptions, ColdTier, merge_series};
use tsdb_core::{Matcher, TimeRange};
use tsdb_testkit::{FaultyStore, StoreFault};

use crate::support::{all, block, compact, convert, open};

const DAY_MS: i64 = 86_400_000;

/// The operations of the store that a query of everything takes.
async fn operations(store: &FaultyStore, tier: &ColdTier) -> u64 {
    let before = store.operations();
    assert!(!all(tier).await.is_empty());
    store.operations() - before
}

#[tokio::test]
async fn a_second_query_reads_no_footer_and_no_index() {
    let store = FaultyStore::new();
    let tier = open(Arc::new(store.clone())).await.unwrap();
    for day in 0..3 {
        convert(&tier, &[&block(1 + day as u64, day * DAY_MS, &["a", "b"], 1.0)]).await.unwrap();
    }
    let first = operations(&store, &tier).await;
    let after_first = tier.cache_stats();
    assert_eq!((after_first.files, after_first.file_hits, after_first.file_misses), (3, 0, 3));
    let second = operations(&store, &tier).await;
    let after_second = tier.cache_stats();
    assert_eq!((after_second.files, after_second.file_hits, after_second.file_misses), (3, 3, 3));
    assert_eq!(after_second.block_misses, after_first.block_misses);
    // Of each file one read less, that of its end; the pages are read again.
    assert_eq!((first, second), (6, 3));
}

#[tokio::test]
async fn many_askers_load_a_file_once() {
    let store = FaultyStore::new();
    let tier = open(Arc::new(store.clone())).await.unwrap();
    convert(&tier, &[&block(1, 0, &["a"], 1.0)]).await.unwrap();
    store.fail_next(StoreFault::Slow);
    let before = store.operations();
    let answers = join_all((0..8).map(|_| all(&tier))).await;
    assert!(answers.iter().all(|answer| answer.len() == 1));
    assert_eq!(store.operations() - before, 1 + 8, "one end of the file, and eight times its pages");
    let cache = tier.cache_stats();
    assert_eq!((cache.file_hits, cache.file_misses), (7, 1));
}

/// The one who loads gives up: another one does it in its place.
#[tokio::test]
async fn a_load_that_is_dropped_keeps_nobody_waiting() {
    let store = FaultyStore::new();
    let tier = open(Arc::new(store.clone())).await.unwrap();
    convert(&tier, &[&block(1, 0, &["a"], 1.0)]).await.unwrap();
    store.fail_next(StoreFault::Slow);
    let mut loading = Box::pin(all(&tier));
    assert!(futures::poll!(&mut loading).is_pending());
    let mut waiting = Box::pin(all(&tier));
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(loading);
    assert_eq!(waiting.await.len(), 1);
    assert_eq!(tier.cache_stats().file_misses, 2);
}

#[tokio::test]
async fn a_load_that_fails_is_not_kept() {
    let store = FaultyStore::new();
    let tier = open(Arc::new(store.clone())).await.unwrap();
    convert(&tier, &[&block(1, 0, &["a"], 1.0)]).await.unwrap();
    store.fail_next(StoreFault::Fails);
    let matchers: Arc<[Matcher]> = Arc::new([]);
    let query = merge_series(tier.sources::<tsdb_cold::Error>(&matchers, TimeRange::ALL));
    assert!(query.try_collect::<Vec<_>>().await.is_err());
    assert_eq!(tier.cache_stats().files, 0);
    assert_eq!(all(&tier).await.len(), 1);
    assert_eq!(tier.cache_stats().files, 1);
}

#[tokio::test]
async fn the_bound_holds_over_many_files() {
    let store = FaultyStore::new();
    let mut options = ColdOptions::default();
    options.cache_bytes = 96 << 10;
    let tier = ColdTier::open(Arc::new(store), options).await.unwrap();
    for day in 0..40 {
        convert(&tier, &[&block(1 + day as u64, day * DAY_MS, &["a", "b", "c"], 1.0)]).await.unwrap();
    }
    for _ in 0..3 {
        assert_eq!(all(&tier).await.len(), 3);
        let cache = tier.cache_stats();
        assert!(cache.bytes <= cache.bytes_max && cache.bytes_max == 96 << 10, "{cache:?}");
        assert!(cache.files > 0 && cache.files < 40, "{cache:?}");
    }
}

#[tokio::test]
async fn files_that_are_gone_are_forgotten() {
    let store = FaultyStore::new();
    let tier = open(Arc::new(store)).await.unwrap();
    for sequence in 1..=4 {
        convert(&tier, &[&block(sequence, 0, &["a"], 1.0)]).await.unwrap();
    }
    // A query that began before the files go, and brings them back into the cache.
    let matchers: Arc<[Matcher]> = Arc::new([]);
    let begun = merge_series(tier.sources::<tsdb_cold::Error>(&matchers, TimeRange::ALL));
    all(&tier).await;
    assert_eq!(tier.cache_stats().files, 4);
    assert_eq!(compact(&tier).await.unwrap().files_out, 1);
    assert_eq!(tier.cache_stats().files, 0);
    assert_eq!(begun.try_collect::<Vec<_>>().await.unwrap().len(), 1);
    assert_eq!(tier.cache_stats().files, 4);
    tier.remove_unneeded(&tsdb_cold::Unconverted::default()).await.unwrap();
    assert_eq!(tier.cache_stats().files, 0);
    all(&tier).await;
    assert_eq!(tier.cache_stats().files, 1);
}
