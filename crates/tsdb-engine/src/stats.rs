//! Counts over all tiers.

use tsdb_cold::{CacheStats, ColdStats};
use tsdb_core::TimeRange;
use tsdb_hot::HotStats;

use crate::BackgroundStats;

/// Counts of an engine, from what it has in memory: nothing is read for them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineStats {
    /// The closed range of all timestamps, empty when there is no sample.
    pub time_range: TimeRange,
    /// Head, blocks and WAL.
    pub hot: HotStats,
    /// Cold files.
    pub cold: ColdStats,
    /// What is kept of cold files in memory.
    pub cache: CacheStats,
    /// The background worker.
    pub background: BackgroundStats,
}

impl EngineStats {
    /// Samples in all tiers. One that was replaced counts until compaction removes it.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.hot.head.samples + self.hot.blocks.samples + self.cold.samples
    }
}
