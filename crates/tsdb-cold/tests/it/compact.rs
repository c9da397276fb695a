//! Compaction: what is merged, what is left out, what a running query keeps.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use tsdb_cold::{ColdOptions, ColdTier, CompactionMode, Error, Progress, Unconverted, merge_series};
use tsdb_core::{Matcher, TimeRange};
use tsdb_testkit::{FaultyStore, StoreFault};

use crate::support::{NOW, all, block, compact, convert, objects, open, values};

const HOUR: i64 = 3_600_000;

#[tokio::test]
async fn a_day_becomes_one_file_and_the_last_write_wins_in_its_bytes() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    for sequence in 1..=5 {
        convert(&tier, &[&block(sequence, 0, &["a", "b"], sequence as f64)]).await.unwrap();
        convert(&tier, &[&block(sequence, 86_400_000, &["a"], 1.0)]).await.unwrap();
    }
    convert(&tier, &[&block(6, 2 * HOUR, &["c"], 6.0)]).await.unwrap();
    let before = all(&tier).await;
    let compacted = compact(&tier).await.unwrap();
    assert_eq!((compacted.files_in, compacted.files_out), (11, 2));
    assert_eq!((compacted.samples_in, compacted.samples_out), (5 * 6 + 5 * 3 + 3, 6 + 3 + 3));
    let snapshot = tier.snapshot();
    let described: Vec<_> =
        snapshot.files.iter().map(|f| (f.min_sequence, f.max_sequence, f.level, f.samples)).collect();
    assert_eq!(described, [(1, 6, 1, 9), (1, 5, 1, 3)]);
    tsdb_testkit::assert_series_eq(&all(&tier).await, &before);
    assert_eq!(objects(store.as_ref(), "data").await.len(), 2);
    for file in &snapshot.files {
        tier.verify(file).await.unwrap();
    }
    // It converges.
    assert_eq!(compact(&tier).await.unwrap().files_in, 0);
    assert_eq!(values(&open(store).await.unwrap()).await[0].1, [5.0, 5.0, 5.0, 1.0, 1.0, 1.0]);
}

#[tokio::test]
async fn a_running_query_keeps_what_it_reads() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    convert(&tier, &[&block(1, 0, &["a"], 1.0)]).await.unwrap();
    convert(&tier, &[&block(2, 0, &["a"], 2.0)]).await.unwrap();
    let matchers: Arc<[Matcher]> = Arc::new([]);
    let mut query = merge_series(tier.sources::<Error>(&matchers, TimeRange::ALL));
    compact(&tier).await.unwrap();
    assert_eq!(objects(store.as_ref(), "data").await.len(), 3);
    // A sweep does not take what is read either.
    assert_eq!(tier.sweep_orphans(NOW, 0).await.unwrap(), 0);
    let read: Vec<_> = query.by_ref().try_collect().await.unwrap();
    assert_eq!(read[0].samples.values, [2.0; 3]);
    tier.remove_unneeded(&Unconverted::default()).await.unwrap();
    drop(query);
    tier.remove_unneeded(&Unconverted::default()).await.unwrap();
    assert_eq!(objects(store.as_ref(), "data").await.len(), 1);
}

#[tokio::test]
async fn a_commit_that_turns_out_to_be_done_takes_nothing_from_a_running_query() {
    let matchers: Arc<[Matcher]> = Arc::new([]);
    let mut in_doubt = 0;
    for operation in 0..12 {
        let store = Arc::new(FaultyStore::new());
        let tier = open(store.clone()).await.unwrap();
        for sequence in 1..=2 {
            convert(&tier, &[&block(sequence, 0, &["a"], sequence as f64)]).await.unwrap();
            convert(&tier, &[&block(sequence, 86_400_000, &["b"], sequence as f64)]).await.unwrap();
        }
        let query = merge_series(tier.sources::<Error>(&matchers, TimeRange::ALL));
        // The put is done and answers with an error, and cannot be read back: the next commit meets it.
        store.fail_at(store.operations() + operation, StoreFault::DoneButFails);
        store.fail_at(store.operations() + operation + 1, StoreFault::Fails);
        for _ in 0..3 {
            in_doubt += usize::from(compact(&tier).await.is_err());
        }
        store.heal();
        compact(&tier).await.unwrap();
        let read: Vec<_> = query.try_collect().await.unwrap();
        let values: Vec<_> = read.into_iter().map(|series| series.samples.values).collect();
        assert_eq!(values, [[2.0; 3], [2.0; 3]]);
    }
    assert!(in_doubt > 4, "{in_doubt}");
}

#[tokio::test]
async fn nothing_is_merged_over_a_block_that_lies_between() {
    let tier = open(Arc::new(InMemory::new())).await.unwrap();
    for sequence in [1, 2, 8, 9] {
        convert(&tier, &[&block(sequence, 0, &["a"], sequence as f64)]).await.unwrap();
    }
    let between = block(5, 0, &["a"], 5.0).meta().time_range;
    let elsewhere = Unconverted { live_sequence: 10, sources: vec![(5, between)] };
    tier.compact(&elsewhere, CompactionMode::Full, NOW, &Progress::default()).await.unwrap();
    let mut ranges: Vec<_> = tier.snapshot().files.iter().map(|f| (f.min_sequence, f.max_sequence)).collect();
    ranges.sort_unstable();
    assert_eq!(ranges, [(1, 2), (8, 9)]);
    // A block of another day is no hindrance.
    let elsewhere = Unconverted { live_sequence: 10, sources: vec![(5, TimeRange::new(0, 1))] };
    tier.compact(&elsewhere, CompactionMode::Full, NOW, &Progress::default()).await.unwrap();
    assert_eq!(tier.stats().files, 1);
}

#[tokio::test]
async fn what_is_due_waits_for_rest() {
    let tier = open(Arc::new(InMemory::new())).await.unwrap();
    convert(&tier, &[&block(1, 0, &["a"], 1.0)]).await.unwrap();
    convert(&tier, &[&block(2, 2 * HOUR, &["a"], 2.0)]).await.unwrap();
    let due = async |now_ms, unconverted: &Unconverted| {
        tier.compact(unconverted, CompactionMode::Due, now_ms, &Progress::default()).await.unwrap().files_in
    };
    let nothing = Unconverted::default();
    let coming =
        Unconverted { live_sequence: 4, sources: vec![(3, block(3, 0, &["a"], 1.0).meta().time_range)] };
    assert_eq!(due(NOW + HOUR, &nothing).await, 0, "two files, and more may come");
    assert_eq!(due(NOW + 4 * HOUR, &coming).await, 0, "a block of the day is to come");
    assert_eq!(due(NOW + 4 * HOUR, &nothing).await, 2);
}

#[tokio::test]
async fn no_file_grows_over_the_cap() {
    let mut options = ColdOptions::default();
    options.compaction.file_bytes_max = 1;
    let tier = ColdTier::open(Arc::new(InMemory::new()), options).await.unwrap();
    for sequence in 1..5 {
        convert(&tier, &[&block(sequence, 0, &["a"], 1.0)]).await.unwrap();
    }
    assert_eq!(compact(&tier).await.unwrap().files_in, 0);
}

#[tokio::test]
async fn a_compaction_that_is_stopped_leaves_everything_as_it_was() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    for sequence in 1..4 {
        convert(&tier, &[&block(sequence, 0, &["a"], 1.0)]).await.unwrap();
    }
    let progress = Progress::default();
    progress.cancel();
    let stopped = tier.compact(&Unconverted::default(), CompactionMode::Full, NOW, &progress).await;
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    assert_eq!((tier.stats().files, objects(store.as_ref(), "data").await.len()), (3, 3));
}

#[tokio::test]
async fn expiry_drops_whole_files_and_the_catalog_shrinks() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    for day in 0..20 {
        convert(&tier, &[&block(day as u64 + 1, day * 86_400_000, &["a"], day as f64)]).await.unwrap();
    }
    let bytes = async || {
        let newest = objects(store.as_ref(), "catalog").await.pop().unwrap();
        object_store::ObjectStoreExt::head(store.as_ref(), &newest.as_str().into()).await.unwrap().size
    };
    let before = bytes().await;
    let cutoff = crate::support::DAY + 18 * 86_400_000;
    let expired = tier.expire(cutoff).await.unwrap();
    assert_eq!((expired.files, expired.samples), (18, 54));
    assert_eq!(values(&tier).await[0].1, [18.0, 18.0, 18.0, 19.0, 19.0, 19.0]);
    assert_eq!(objects(store.as_ref(), "data").await.len(), 2);
    assert!(bytes().await < before / 4);
    assert_eq!(tier.expire(cutoff).await.unwrap().files, 0);
    assert_eq!(tier.next_sequence(), 21, "a gone sequence is not used again");
}
