//! Blocks, and a tier to give them to.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use tsdb_cold::{
    ColdOptions, ColdTier, Compacted, CompactionMode, Progress, Result, Unconverted, merge_series,
};
use tsdb_core::{
    Append, Block, BlockId, BlockWriter, ChunkBuilder, ChunkEncoding, Labels, Matcher, Series, TimeRange,
    Tombstone,
};

/// 2026-01-01T00:00:00Z.
pub(crate) const DAY: i64 = 1_767_225_600_000;

/// A block of the window that begins `window_ms` after [`DAY`]: for each name samples of `value`, a minute apart.
pub(crate) fn block(sequence: u64, window_ms: i64, names: &[&str], value: f64) -> Block {
    let start = DAY + window_ms;
    let id = BlockId { sequence, window_start_ms: start, window_end_ms: start + 7_200_000 };
    let mut writer = BlockWriter::new(Vec::new(), id).unwrap();
    for name in names {
        let mut chunk = ChunkBuilder::new(ChunkEncoding::Float);
        for minute in 0..3 {
            assert_eq!(chunk.append_float(start + minute * 60_000, value), Append::Appended);
        }
        let labels = Labels::from_pairs([("__name__", *name), ("job", "test")]).unwrap();
        writer.add_series(&labels, &[chunk.finish()]).unwrap();
    }
    Block::open(writer.finish().unwrap().1.into()).unwrap()
}

/// A block of the first window after [`DAY`] with one series of so many samples, in chunks.
pub(crate) fn large_block(sequence: u64, samples: i64) -> Block {
    let id = BlockId { sequence, window_start_ms: DAY, window_end_ms: DAY + 7_200_000 };
    let mut writer = BlockWriter::new(Vec::new(), id).unwrap();
    for series in 0..samples / 1_000 {
        let chunk = |first: i64| {
            let mut chunk = ChunkBuilder::new(ChunkEncoding::Float);
            for at in first..first + 100 {
                assert_eq!(chunk.append_float(DAY + at, (at * series) as f64), Append::Appended);
            }
            chunk.finish()
        };
        let chunks: Vec<_> = (0..10).map(|n| chunk(n * 100)).collect();
        let labels = Labels::from_pairs([("__name__", "large"), ("i", &format!("{series:09}"))]).unwrap();
        writer.add_series(&labels, &chunks).unwrap();
    }
    Block::open(writer.finish().unwrap().1.into()).unwrap()
}

/// All series of the tier's live files.
pub(crate) async fn all(tier: &ColdTier) -> Vec<Series> {
    let matchers: Arc<[Matcher]> = Arc::new([]);
    merge_series(tier.sources::<tsdb_cold::Error>(&matchers, TimeRange::ALL)).try_collect().await.unwrap()
}

/// Some time after [`DAY`]: when files are made.
pub(crate) const NOW: i64 = DAY + 3 * 86_400_000;

/// Converts blocks that nobody needs to hear of.
pub(crate) async fn convert(tier: &ColdTier, blocks: &[&Block]) -> Result<()> {
    tier.convert(blocks, NOW, &Progress::default(), |_| Ok(())).await
}

pub(crate) async fn open(store: Arc<dyn ObjectStore>) -> Result<ColdTier> {
    ColdTier::open(store, ColdOptions::default()).await
}

/// Merges everything there is.
pub(crate) async fn compact(tier: &ColdTier) -> Result<Compacted> {
    tier.compact(&Unconverted::default(), CompactionMode::Full, NOW, &Progress::default()).await
}

/// A delete of the metric `name` in sources below a sequence, at all times.
pub(crate) fn tombstone(name: &str, below_sequence: u64) -> Tombstone {
    Tombstone { below_sequence, range: TimeRange::ALL, matchers: vec![Matcher::equal("__name__", name)] }
}

/// The paths of the objects under a directory.
pub(crate) async fn objects(store: &dyn ObjectStore, prefix: &str) -> Vec<String> {
    let listed: Vec<_> = store.list(Some(&Path::from(prefix))).try_collect().await.unwrap();
    listed.into_iter().map(|meta| meta.location.to_string()).collect()
}

/// Name and values of each series.
pub(crate) async fn values(tier: &ColdTier) -> Vec<(String, Vec<f64>)> {
    let all = all(tier).await;
    all.into_iter().map(|s| (s.labels.get("__name__").unwrap().to_owned(), s.samples.values)).collect()
}
