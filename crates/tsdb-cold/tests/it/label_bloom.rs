//! Label blooms: files without the value that a query asks for are not opened, and none with it is ever passed over.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use tsdb_cold::{ColdOptions, ColdReadStats, ColdReads, ColdTier, Error, Result, merge_series};
use tsdb_core::{MatchOp, Matcher, Series, TimeRange};
use tsdb_testkit::assert_series_eq;

use crate::support::{all, block, convert, open};

const DAY_MS: i64 = 86_400_000;
const DAYS: u64 = 5;

/// A file a day: each has the metric `everywhere` and one of its own.
async fn five_days(store: Arc<dyn ObjectStore>, options: ColdOptions) -> ColdTier {
    let tier = ColdTier::open(store, options).await.unwrap();
    for day in 0..DAYS {
        let names = ["everywhere".to_owned(), format!("only-{day}")];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        convert(&tier, &[&block(day + 1, day as i64 * DAY_MS, &names, 1.0)]).await.unwrap();
    }
    tier
}

async fn select(tier: &ColdTier, matchers: &[Matcher]) -> (Result<Vec<Series>>, ColdReadStats) {
    let (matchers, reads) = (Arc::from(matchers), Arc::<ColdReads>::default());
    let sources = tier.view().sources_counted::<Error>(&matchers, TimeRange::ALL, &reads);
    (merge_series(sources).try_collect().await, reads.stats())
}

fn name(op: MatchOp, value: &str) -> Matcher {
    Matcher::new(op, "__name__", value).unwrap()
}

#[tokio::test]
async fn only_files_that_can_have_a_value_are_opened() {
    let tier = five_days(Arc::new(InMemory::new()), ColdOptions::default()).await;
    let everything = all(&tier).await;
    use MatchOp::{Equal, NotEqual, Regex};
    // Each on a tier that knows nothing, then on one that knows the blooms.
    for (matcher, pruned) in [
        (name(Equal, "only-3"), DAYS - 1),
        (name(Equal, "everywhere"), 0),
        (name(Equal, "nowhere"), DAYS),
        (name(Regex, "only-1|only-2|nowhere"), DAYS - 2),
        (name(Regex, "only-1|"), 0),
        (name(Regex, "only-[13].*"), 0),
        (name(NotEqual, "only-3"), 0),
        (Matcher::equal("job", "test"), 0),
        (Matcher::equal("job", "other"), DAYS),
        (Matcher::equal("zone", "a"), DAYS),
        (Matcher::equal("zone", ""), 0),
    ] {
        let expected: Vec<_> =
            everything.iter().filter(|series| matcher.matches_labels(&series.labels)).cloned().collect();
        let fresh = five_days(Arc::new(InMemory::new()), ColdOptions::default()).await;
        for _ in 0..2 {
            let (found, reads) = select(&fresh, std::slice::from_ref(&matcher)).await;
            assert_series_eq(&found.unwrap(), &expected);
            let counts = (reads.files_considered, reads.files_pruned_by_labels, reads.files_opened);
            assert_eq!(counts, (DAYS, pruned, DAYS - pruned), "{matcher}");
        }
    }
}

#[tokio::test]
async fn what_was_asked_before_is_in_memory_and_goes_with_the_file() {
    let tier = five_days(Arc::new(InMemory::new()), ColdOptions::default()).await;
    let (_, first) = select(&tier, &[name(MatchOp::Equal, "nowhere")]).await;
    assert_eq!((first.files_opened, first.range_reads), (0, DAYS));
    let (_, second) = select(&tier, &[name(MatchOp::Equal, "neither")]).await;
    assert_eq!((second.files_opened, second.range_reads, second.bytes_read), (0, 0, 0));
    let cache = tier.cache_stats();
    assert_eq!((cache.blooms, cache.bloom_misses, cache.bloom_hits, cache.files), (DAYS, DAYS, DAYS, 0));
    assert!(cache.bytes > 0);
    tier.expire(i64::MAX).await.unwrap();
    assert_eq!((tier.cache_stats().blooms, tier.cache_stats().bytes), (0, 0));
}

/// One file as a rule has what is asked for: its bloom would be one read more.
#[tokio::test]
async fn the_only_file_of_a_range_is_opened_at_once() {
    let tier = five_days(Arc::new(InMemory::new()), ColdOptions::default()).await;
    let (matchers, reads) = (Arc::from([name(MatchOp::Equal, "nowhere")]), Arc::<ColdReads>::default());
    let day = TimeRange::new(crate::support::DAY, crate::support::DAY + DAY_MS - 1);
    let sources = tier.view().sources_counted::<Error>(&matchers, day, &reads);
    assert!(merge_series(sources).try_collect::<Vec<_>>().await.unwrap().is_empty());
    let reads = reads.stats();
    assert_eq!((reads.files_pruned, reads.files_pruned_by_labels, reads.files_opened), (DAYS - 1, 0, 1));
}

#[tokio::test]
async fn look_ups_ask_them_too() {
    let tier = five_days(Arc::new(InMemory::new()), ColdOptions::default()).await;
    let (view, reads) = (tier.view(), Arc::<ColdReads>::default());
    let matchers = Arc::from([name(MatchOp::Equal, "only-2")]);
    let values = view.label_values("job", &matchers, TimeRange::ALL, &reads);
    assert_eq!(values.try_concat().await.unwrap(), ["test"]);
    let names = view.label_names(&matchers, TimeRange::ALL, &reads);
    assert_eq!(names.try_concat().await.unwrap().len(), 2);
    let series = merge_series(view.series_labels::<Error>(&matchers, TimeRange::ALL, &reads));
    assert_eq!(series.try_collect::<Vec<_>>().await.unwrap().len(), 1);
    let cache = tier.cache_stats();
    assert_eq!((cache.blooms, cache.files), (DAYS, 1));
}

#[tokio::test]
async fn a_file_without_one_is_opened() {
    let mut options = ColdOptions::default();
    options.parquet.series_index = false;
    let tier = five_days(Arc::new(InMemory::new()), options).await;
    assert!(tier.snapshot().files.iter().all(|file| file.label_bloom.is_none()));
    let (found, reads) = select(&tier, &[name(MatchOp::Equal, "only-3")]).await;
    assert_eq!((found.unwrap().len(), reads.files_pruned_by_labels, reads.files_opened), (1, 0, DAYS));
}

#[tokio::test]
async fn every_flipped_byte_of_one_is_damage_and_no_series_is_missed() {
    let store = Arc::new(InMemory::new());
    let tier = five_days(store.clone(), ColdOptions::default()).await;
    let file = Arc::clone(&tier.snapshot().files[2]);
    let (place, path) = (file.label_bloom.unwrap(), file.path.path());
    let sound = store.get(&path).await.unwrap().bytes().await.unwrap();
    let range = place.offset as usize..place.offset as usize + place.bytes as usize;
    assert!(range.len() > 32 && range.end < sound.len());
    for at in range {
        let mut flipped = sound.to_vec();
        flipped[at] ^= 1 << (at % 8);
        store.put(&path, flipped.into()).await.unwrap();
        for asked in ["only-2", "only-0", "nowhere"] {
            let fresh = open(store.clone()).await.unwrap();
            match select(&fresh, &[name(MatchOp::Equal, asked)]).await.0 {
                Err(Error::File { path: named, source }) => {
                    assert_eq!(named, path.as_ref());
                    let detail = source.to_string();
                    assert!(
                        detail.contains("label bloom") && detail.contains(&place.offset.to_string()),
                        "{detail}"
                    );
                }
                other => panic!("byte {at}: {other:?}"),
            }
        }
        let fresh = open(store.clone()).await.unwrap();
        // Who asks for nothing that it knows does not look at it.
        assert_series_eq(&select(&fresh, &[]).await.0.unwrap(), &all(&tier).await);
        assert!(matches!(fresh.verify(&file).await, Err(Error::Verification { .. })), "byte {at}");
    }
    // A file that is shorter than the catalog says.
    store.put(&path, sound.slice(..place.offset as usize + 10).into()).await.unwrap();
    let fresh = open(store.clone()).await.unwrap();
    assert!(select(&fresh, &[name(MatchOp::Equal, "only-2")]).await.0.is_err());
    store.put(&path, sound.into()).await.unwrap();
    assert_eq!(select(&fresh, &[name(MatchOp::Equal, "only-2")]).await.0.unwrap().len(), 1);
}

/// A catalog that was written by hand: the place is another one than the file's own.
#[tokio::test]
async fn verify_compares_the_catalog_with_the_file() {
    let tier = five_days(Arc::new(InMemory::new()), ColdOptions::default()).await;
    let file = Arc::clone(&tier.snapshot().files[0]);
    tier.verify(&file).await.unwrap();
    let mut other = tsdb_cold::ColdFile::clone(&file);
    other.label_bloom = tier.snapshot().files[1].label_bloom.map(|mut place| {
        place.checksum ^= 1;
        place
    });
    let error = tier.verify(&Arc::new(other)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Verification { detail, .. } if detail.contains("label bloom")),
        "{error}"
    );
}
