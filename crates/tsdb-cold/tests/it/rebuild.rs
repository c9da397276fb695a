//! The catalog made anew from the files.

use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use tsdb_cold::{Error, Unconverted, rebuild_catalog};
use tsdb_core::BlockId;

use crate::support::{NOW, all, block, compact, convert, objects, open, tombstone};

async fn lose_catalog(store: &InMemory) {
    for path in objects(store, "catalog").await {
        store.delete(&Path::from(path)).await.unwrap();
    }
}

#[tokio::test]
async fn a_catalog_that_is_gone_or_damaged_is_rebuilt_from_files_and_tombstones() {
    for damage in [false, true] {
        let store = Arc::new(InMemory::new());
        let tier = open(store.clone()).await.unwrap();
        for sequence in 1..4 {
            convert(&tier, &[&block(sequence, 0, &["a", "b"], sequence as f64)]).await.unwrap();
        }
        compact(&tier).await.unwrap();
        convert(&tier, &[&block(4, 0, &["b"], 4.0), &block(4, 86_400_000, &["b"], 4.0)]).await.unwrap();
        tier.delete(tombstone("a", 5), &Unconverted::default()).await.unwrap();
        let (before, answer) = (tier.snapshot(), all(&tier).await);
        drop(tier);
        if damage {
            let newest = Path::from(objects(store.as_ref(), "catalog").await.pop().unwrap());
            store.put(&newest, "{".into()).await.unwrap();
            assert!(matches!(open(store.clone()).await, Err(Error::CatalogDamaged { .. })));
        } else {
            lose_catalog(&store).await;
            assert!(matches!(open(store.clone()).await, Err(Error::CatalogMissing { .. })));
        }

        let blocks: Vec<BlockId> = [(4, 0), (5, 0), (4, 7_200_000), (4, 2 * 86_400_000)]
            .map(|(s, w)| block(s, w, &[], 0.0).meta().id)
            .into();
        let rebuilt = rebuild_catalog(store.clone(), &blocks).await.unwrap();
        assert_eq!((rebuilt.files, rebuilt.replaced.len(), rebuilt.damaged.len()), (3, 0, 0));
        let tier = open(store.clone()).await.unwrap();
        let after = tier.snapshot();
        assert_eq!(after.files, before.files);
        assert_eq!(after.promoted_labels, before.promoted_labels);
        assert_eq!(after.next_sequence, before.next_sequence);
        assert_eq!(after.handed_over, [blocks[0], blocks[2]].into(), "what the files hold already");
        tsdb_testkit::assert_series_eq(&all(&tier).await, &answer);
    }
}

#[tokio::test]
async fn files_that_were_replaced_do_not_come_back_and_bad_ones_are_named() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    for sequence in 1..3 {
        convert(&tier, &[&block(sequence, 0, &["a"], sequence as f64)]).await.unwrap();
    }
    // A compaction whose inputs could not be removed.
    let pinned = tier.snapshot();
    compact(&tier).await.unwrap();
    assert_eq!(objects(store.as_ref(), "data").await.len(), 3);
    let answer = all(&tier).await;
    drop((tier, pinned));
    let bad = "data/day=2026-01-01/01arz3ndektsv4rrffq69g5fav.parquet";
    store.put(&Path::from(bad), "half".into()).await.unwrap();
    store.put(&Path::from("data/day=2026-01-01/notes.parquet"), "mine".into()).await.unwrap();
    lose_catalog(&store).await;

    let rebuilt = rebuild_catalog(store.clone(), &[]).await.unwrap();
    assert_eq!((rebuilt.files, rebuilt.samples, rebuilt.replaced.len()), (1, 3, 2));
    assert!(rebuilt.damaged[0].to_string().contains(bad), "{:?}", rebuilt.damaged);
    let tier = open(store.clone()).await.unwrap();
    tsdb_testkit::assert_series_eq(&all(&tier).await, &answer);
    // The bad one is kept; the replaced ones go.
    assert_eq!(tier.sweep_orphans(NOW, 0).await.unwrap(), 2);
    assert_eq!(objects(store.as_ref(), "damaged").await, [format!("damaged/{bad}")]);
    assert_eq!(objects(store.as_ref(), "data").await.len(), 2);
}
