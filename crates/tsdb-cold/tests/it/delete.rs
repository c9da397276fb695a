//! Deletes: tombstones over files and over what is converted later.

use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tsdb_cold::{Error, Unconverted};
use tsdb_core::TimeRange;

use crate::support::{DAY, block, compact, convert, objects, open, tombstone, values};

fn nothing() -> Unconverted {
    Unconverted::default()
}

#[tokio::test]
async fn a_delete_hides_lower_sequences_at_once_and_after_a_restart() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    convert(&tier, &[&block(1, 0, &["a", "b"], 1.0)]).await.unwrap();
    tier.delete(tombstone("a", 2), &nothing()).await.unwrap();
    let left = vec![("b".to_owned(), vec![1.0; 3])];
    assert_eq!(values(&tier).await, left);
    assert_eq!(values(&open(store.clone()).await.unwrap()).await, left);
    // What comes later is visible.
    convert(&tier, &[&block(2, 0, &["a"], 2.0)]).await.unwrap();
    assert_eq!(values(&tier).await[0], ("a".to_owned(), vec![2.0; 3]));
    assert!(tier.next_sequence() >= 2);
}

#[tokio::test]
async fn a_delete_that_concerns_nothing_leaves_no_object() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    convert(&tier, &[&block(5, 0, &["a"], 1.0)]).await.unwrap();
    tier.delete(tombstone("a", 5), &nothing()).await.unwrap();
    let mut past = tombstone("a", 9);
    past.range = TimeRange::new(0, DAY - 1);
    tier.delete(past, &nothing()).await.unwrap();
    assert!(objects(store.as_ref(), "tombstones").await.is_empty());
}

#[tokio::test]
async fn what_is_converted_after_the_delete_comes_without_what_it_deletes() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    let block = block(1, 0, &["a", "b"], 1.0);
    let elsewhere = Unconverted { live_sequence: 2, sources: vec![(1, block.meta().time_range)] };
    tier.delete(tombstone("a", 2), &elsewhere).await.unwrap();
    assert_eq!(tier.stats().tombstones, 1);
    tier.remove_unneeded(&elsewhere).await.unwrap();
    assert_eq!(tier.stats().tombstones, 1, "the block is still there");
    convert(&tier, &[&block]).await.unwrap();
    assert_eq!(tier.stats().samples, 3, "in the file's bytes, too");
    tier.remove_unneeded(&Unconverted { live_sequence: 2, sources: vec![] }).await.unwrap();
    assert_eq!(tier.stats().tombstones, 0);
    assert!(objects(store.as_ref(), "tombstones").await.is_empty());
    // A number is not given again as long as a file remembers it.
    let tier = open(store.clone()).await.unwrap();
    tier.delete(tombstone("b", 3), &nothing()).await.unwrap();
    assert!(values(&tier).await.is_empty());
    assert_eq!(objects(store.as_ref(), "tombstones").await, ["tombstones/00000000000000000001.tombstone"]);
}

#[tokio::test]
async fn a_tombstone_that_is_newer_than_what_was_looked_at_does_not_retire() {
    let tier = open(Arc::new(InMemory::new())).await.unwrap();
    let elsewhere = Unconverted { live_sequence: 9, sources: vec![(8, TimeRange::ALL)] };
    tier.delete(tombstone("a", 9), &elsewhere).await.unwrap();
    // Looked at before generation 8 was frozen.
    tier.remove_unneeded(&Unconverted { live_sequence: 8, sources: vec![] }).await.unwrap();
    assert_eq!(tier.stats().tombstones, 1);
    tier.remove_unneeded(&Unconverted { live_sequence: 9, sources: vec![] }).await.unwrap();
    assert_eq!(tier.stats().tombstones, 0);
}

#[tokio::test]
async fn compaction_applies_deletes_also_to_a_file_alone_and_they_retire() {
    let store = Arc::new(InMemory::new());
    let tier = open(store.clone()).await.unwrap();
    convert(&tier, &[&block(1, 0, &["a", "b"], 1.0)]).await.unwrap();
    tier.delete(tombstone("a", 2), &nothing()).await.unwrap();
    let compacted = compact(&tier).await.unwrap();
    assert_eq!((compacted.files_in, compacted.files_out, compacted.samples_out), (1, 1, 3));
    assert_eq!((tier.stats().files, tier.stats().tombstones, tier.stats().samples), (1, 0, 3));
    assert_eq!(compact(&tier).await.unwrap().files_in, 0, "it is done once");
    // A file of which nothing is left is no file.
    tier.delete(tombstone("b", 2), &nothing()).await.unwrap();
    assert_eq!(compact(&tier).await.unwrap().files_out, 0);
    assert_eq!((tier.stats().files, objects(store.as_ref(), "data").await.len()), (0, 0));
}

#[tokio::test]
async fn a_damaged_tombstone_is_an_error_that_names_it() {
    let store = Arc::new(InMemory::new());
    let path = Path::from("tombstones/00000000000000000007.tombstone");
    let whole = tombstone("a", 2).encode();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        store.put(&path, damaged.into()).await.unwrap();
        match open(store.clone() as Arc<dyn ObjectStore>).await {
            Err(Error::TombstoneDamaged { path, .. }) => assert!(path.contains("0007"), "{path}"),
            other => panic!("byte {at}: {other:?}"),
        }
    }
}
