//! Convert, commit, hand over, sweep; fencing; stopping half-way.

use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use tsdb_cold::{ColdOptions, ColdTier, Error, Progress, Unconverted, VfsStore};
use tsdb_core::{BlockId, Labels, TimeRange};
use tsdb_vfs::RealFs;

use crate::support::{DAY, NOW, all, block, compact, convert, large_block, objects, open, tombstone, values};

#[tokio::test]
async fn blocks_of_a_day_become_one_file_and_are_handed_over() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    let blocks =
        [block(1, 0, &["a", "b"], 1.0), block(2, 0, &["b", "c"], 2.0), block(2, 86_400_000, &["a"], 3.0)];
    let mut handed_over = Vec::new();
    let take = |ids: &[BlockId]| {
        handed_over.push(ids.len());
        Ok::<_, Error>(())
    };
    tier.convert(&blocks.iter().collect::<Vec<_>>(), NOW, &Progress::default(), take).await.unwrap();
    assert_eq!(handed_over, [2, 1]);

    let snapshot = tier.snapshot();
    assert_eq!(snapshot.files.len(), 2);
    assert_eq!((snapshot.files[0].min_sequence, snapshot.files[0].max_sequence), (1, 2));
    // Series b is in both blocks at the same timestamps: the higher sequence won, in the file already.
    assert_eq!((snapshot.files[0].series, snapshot.files[0].samples), (3, 9));
    assert_eq!(snapshot.next_sequence, 3);
    // The second commit forgot what the first one handed over: by then those blocks were removed.
    assert_eq!(
        snapshot.handed_over.iter().map(|id| id.window_start_ms).collect::<Vec<_>>(),
        [DAY + 86_400_000]
    );
    assert_eq!(snapshot.promoted_labels, ["__name__", "job"]);

    let tier = open(store).await.unwrap();
    let series = all(&tier).await;
    assert_eq!(series.len(), 3);
    assert_eq!(series[1].labels, Labels::from_pairs([("__name__", "b"), ("job", "test")]).unwrap());
    assert_eq!(series[1].samples.values, [2.0; 3]);
    assert_eq!(series[0].samples.values, [1.0, 1.0, 1.0, 3.0, 3.0, 3.0]);
}

#[tokio::test]
async fn a_block_that_the_owner_could_not_remove_stays_handed_over() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    let block = block(1, 0, &["a"], 1.0);
    let failed =
        tier.convert(&[&block], NOW, &Progress::default(), |_| Err(Error::Fenced { number: 0 })).await;
    assert!(failed.is_err());
    let reopened = open(store).await.unwrap();
    assert!(reopened.snapshot().handed_over.contains(&block.meta().id));
    assert_eq!(all(&reopened).await.len(), 1);
}

#[tokio::test]
async fn a_writer_that_was_overtaken_is_fenced_off() {
    let store = Arc::new(InMemory::new());
    let old = open(store.clone()).await.unwrap();
    let new = open(store.clone()).await.unwrap();
    convert(&new, &[&block(1, 0, &["a"], 1.0)]).await.unwrap();
    let fenced = convert(&old, &[&block(1, 0, &["b"], 1.0)]).await;
    assert!(matches!(fenced, Err(Error::Fenced { .. })), "{fenced:?}");
    assert_eq!(all(&open(store).await.unwrap()).await.len(), 1);
}

#[tokio::test]
async fn orphans_of_ours_are_swept_and_strangers_stay() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    convert(&tier, &[&block(1, 0, &["a"], 1.0)]).await.unwrap();
    store
        .put(&Path::from("data/day=2026-01-01/01arz3ndektsv4rrffq69g5fav.parquet"), "half".into())
        .await
        .unwrap();
    store.put(&Path::from("data/day=2026-01-01/notes.parquet"), "mine".into()).await.unwrap();
    assert_eq!(tier.sweep_orphans(NOW, 0).await.unwrap(), 1);
    let left = objects(store.as_ref(), "data").await;
    assert_eq!(left.len(), 2);
    assert!(left.iter().any(|path| path.ends_with("notes.parquet")));
    assert_eq!(all(&tier).await.len(), 1);
}

#[tokio::test]
async fn old_snapshots_are_pruned_and_the_newest_is_the_truth() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    for sequence in 1..20 {
        convert(&tier, &[&block(sequence, 0, &["a"], sequence as f64)]).await.unwrap();
    }
    let snapshots = objects(store.as_ref(), "catalog").await;
    assert_eq!(snapshots.len(), 8);
    assert_eq!(snapshots.last().unwrap(), "catalog/00000000000000000020.json");
    let reopened = open(store).await.unwrap();
    assert_eq!(reopened.snapshot(), tier.snapshot());
    assert_eq!(all(&reopened).await[0].samples.values, [19.0; 3]);
}

#[tokio::test]
async fn orphans_are_left_alone_until_they_are_old_enough() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    store
        .put(&Path::from("data/day=2026-01-01/01arz3ndektsv4rrffq69g5fav.parquet"), "half".into())
        .await
        .unwrap();
    let path = Path::from("data/day=2026-01-01/01arz3ndektsv4rrffq69g5fav.parquet");
    let changed_ms = store.head(&path).await.unwrap().last_modified.timestamp_millis();
    assert_eq!(tier.sweep_orphans(changed_ms + 999, 1000).await.unwrap(), 0);
    assert_eq!(tier.sweep_orphans(changed_ms + 1000, 1000).await.unwrap(), 1);
}

#[tokio::test]
async fn a_conversion_can_be_stopped_and_leaves_nothing() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    let block = block(1, 0, &["a"], 1.0);
    let progress = Progress::default();
    progress.cancel();
    let stopped = tier.convert(&[&block], NOW, &progress, |_| Ok(())).await;
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    assert_eq!((objects(store.as_ref(), "data").await.len(), progress.samples()), (0, 0));
    let progress = Progress::default();
    tier.convert(&[&block], NOW, &progress, |_| Ok::<_, Error>(())).await.unwrap();
    assert_eq!(progress.samples(), 3);
}

/// A writer that does not know yet that it was overtaken must not take the other's files for orphans.
#[tokio::test]
async fn a_writer_that_was_overtaken_removes_nothing_of_the_others() {
    let store = Arc::new(InMemory::new());
    let old = open(store.clone()).await.unwrap();
    convert(&old, &[&block(1, 0, &["a"], 1.0)]).await.unwrap();
    let new = open(store.clone()).await.unwrap();
    convert(&new, &[&block(2, 0, &["a", "b"], 2.0)]).await.unwrap();
    let before = (values(&new).await, objects(store.as_ref(), "").await);
    // Long after any grace.
    let swept = old.sweep_orphans(i64::MAX, 3_600_000).await;
    assert!(matches!(swept, Err(Error::Fenced { .. })), "{swept:?}");
    assert_eq!((values(&new).await, objects(store.as_ref(), "").await), before);
}

/// Nor may it delete what the other has, or remove the other's tombstones.
#[tokio::test]
async fn a_writer_that_was_overtaken_deletes_nothing() {
    let store = Arc::new(InMemory::new());
    let old = open(store.clone()).await.unwrap();
    convert(&old, &[&block(1, 0, &["a"], 1.0)]).await.unwrap();
    let new = open(store.clone()).await.unwrap();
    convert(&new, &[&block(2, 0, &["a", "b"], 2.0)]).await.unwrap();
    let deleted = old.delete(tombstone("a", 100), &Unconverted::default()).await;
    assert!(matches!(deleted, Err(Error::Fenced { .. })), "{deleted:?}");
    assert_eq!(objects(store.as_ref(), "tombstones").await, [""; 0]);
    assert_eq!(all(&open(store.clone()).await.unwrap()).await.len(), 2);

    // A tombstone over a block, which the old one has no more, and the new one has.
    let store = Arc::new(InMemory::new());
    let old = open(store.clone()).await.unwrap();
    let unconverted = Unconverted { live_sequence: 5, sources: vec![(3, TimeRange::new(DAY, DAY + 1))] };
    old.delete(tombstone("a", 5), &unconverted).await.unwrap();
    let new = open(store.clone()).await.unwrap();
    convert(&new, &[&block(1, 0, &["b"], 2.0)]).await.unwrap();
    let removed = old.remove_unneeded(&Unconverted::default()).await;
    assert!(matches!(removed, Err(Error::Fenced { .. })), "{removed:?}");
    assert_eq!(objects(store.as_ref(), "tombstones").await.len(), 1);
    convert(&new, &[&block(3, 0, &["a"], 1.0)]).await.unwrap();
    assert_eq!(values(&open(store).await.unwrap()).await, [("b".to_owned(), vec![2.0; 3])]);
}

/// A commit of one's own that is under way is not another writer's.
#[test]
fn deletes_beside_conversions_of_the_same_writer_are_not_fenced_off() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(VfsStore::new(Arc::new(RealFs), dir.path()));
    let tier = runtime().block_on(open(store)).unwrap();
    std::thread::scope(|scope| {
        let converting = scope.spawn(|| {
            for n in 1..60 {
                runtime().block_on(convert(&tier, &[&block(n, 0, &["a"], 1.0)])).unwrap();
            }
        });
        while !converting.is_finished() {
            let elsewhere = Unconverted { live_sequence: 100, sources: vec![(99, TimeRange::ALL)] };
            runtime().block_on(tier.delete(tombstone("a", 100), &elsewhere)).unwrap();
        }
    });
}

/// Other tasks of the thread go on beside a conversion and a compaction, whose work is for a processor.
#[tokio::test]
async fn long_work_lets_other_tasks_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = VfsStore::new(Arc::new(RealFs), dir.path());
    let tier = open(Arc::new(store)).await.unwrap();
    let turns = std::cell::Cell::new(0);
    let others = async {
        loop {
            turns.set(turns.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    // Several batches of rows each.
    let blocks = [large_block(1, 300_000), large_block(2, 300_000)];
    let work = async {
        for block in &blocks {
            convert(&tier, &[block]).await.unwrap();
        }
        let converted = turns.get();
        compact(&tier).await.unwrap();
        (converted, turns.get() - converted)
    };
    tokio::select! {
        biased;
        (converted, compacted) = work => assert!(converted >= 6 && compacted >= 3, "{converted}, {compacted}"),
        () = others => unreachable!(),
    }
}

#[tokio::test]
async fn a_tier_that_only_reads_refuses_to_write_and_writes_nothing() {
    let store = Arc::new(InMemory::new());
    let options = ColdOptions::default;
    let empty = ColdTier::open_read_only(store.clone(), options()).await.unwrap();
    assert!(all(&empty).await.is_empty() && empty.is_current().await.unwrap());
    assert_eq!(objects(store.as_ref(), "").await, [""; 0]);

    let writer = open(store.clone()).await.unwrap();
    convert(&writer, &[&block(1, 0, &["a"], 1.0)]).await.unwrap();
    assert!(!empty.is_current().await.unwrap());
    let reader = ColdTier::open_read_only(store.clone(), options()).await.unwrap();
    assert_eq!(values(&reader).await, [("a".to_owned(), vec![1.0; 3])]);
    let before = objects(store.as_ref(), "").await;
    let another = block(2, 0, &["b"], 1.0);
    let refused = [
        convert(&reader, &[&another]).await,
        reader.delete(tombstone("a", 100), &Unconverted::default()).await,
        compact(&reader).await.map(drop),
        reader.expire(i64::MAX).await.map(drop),
        reader.sweep_orphans(i64::MAX, 0).await.map(drop),
        reader.remove_unneeded(&Unconverted::default()).await,
    ];
    assert!(refused.iter().all(|refused| matches!(refused, Err(Error::ReadOnly))), "{refused:?}");
    assert_eq!(objects(store.as_ref(), "").await, before);
    assert!(reader.is_current().await.unwrap());
    writer.delete(tombstone("a", 100), &Unconverted::default()).await.unwrap();
    assert!(!reader.is_current().await.unwrap(), "a delete is a change, too");
}
