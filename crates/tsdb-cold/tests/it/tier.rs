//! Convert, commit, hand over, sweep; fencing; stopping half-way.

use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use tsdb_cold::{Error, Progress};
use tsdb_core::{BlockId, Labels};

use crate::support::{DAY, NOW, all, block, convert, objects, open};

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
