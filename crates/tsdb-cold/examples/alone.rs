//! The cold tier alone: a block becomes a Parquet file in a catalog, and is read back. Needs `tokio` for a runtime.

use std::error::Error;
use std::sync::Arc;

use tsdb_cold::futures::TryStreamExt;
use tsdb_cold::object_store::memory::InMemory;
use tsdb_cold::tsdb_core::{
    Append, Block, BlockId, BlockWriter, ChunkBuilder, ChunkEncoding, Labels, Matcher, Series, TimeRange,
};
use tsdb_cold::{ColdOptions, ColdTier, Progress, merge_series};

fn main() -> Result<(), Box<dyn Error>> {
    let block = block()?;
    let store = Arc::new(InMemory::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let tier = ColdTier::open(store.clone(), ColdOptions::default()).await?;
        let mut handed_over = Vec::new();
        let take = |ids: &[BlockId]| {
            handed_over.extend_from_slice(ids);
            Ok::<_, tsdb_cold::Error>(())
        };
        tier.convert(&[&block], 0, &Progress::default(), take).await?;
        assert_eq!(handed_over, [block.meta().id]);
        drop(tier);

        // Another tier over the same store finds the same data through the catalog.
        let tier = ColdTier::open(store, ColdOptions::default()).await?;
        let matchers: Arc<[Matcher]> = Arc::new([Matcher::equal("job", "api")]);
        let sources = tier.sources::<tsdb_cold::Error>(&matchers, TimeRange::ALL);
        let series: Vec<Series> = merge_series(sources).try_collect().await?;
        assert_eq!(series.len(), 1);
        assert_eq!(series[0].samples.timestamps_ms, [0, 15_000, 30_000]);
        println!("{} samples in {} bytes", tier.stats().samples, tier.stats().bytes);
        Ok(())
    })
}

/// A sealed block of two series, as the hot tier writes them.
fn block() -> Result<Block, Box<dyn Error>> {
    let id = BlockId { sequence: 1, window_start_ms: 0, window_end_ms: 7_200_000 };
    let mut writer = BlockWriter::new(Vec::new(), id)?;
    for job in ["api", "web"] {
        let mut chunk = ChunkBuilder::new(ChunkEncoding::Float);
        for n in 0..3_u8 {
            assert_eq!(chunk.append_float(i64::from(n) * 15_000, f64::from(n)), Append::Appended);
        }
        writer.add_series(&Labels::from_pairs([("__name__", "up"), ("job", job)])?, &[chunk.finish()])?;
    }
    let (_, bytes) = writer.finish()?;
    Ok(Block::open(bytes.into())?)
}
