//! Settings of the engine: plain data. Components (file system, cold store) go through the builder.

use tsdb_cold::ColdOptions;
use tsdb_hot::HotOptions;

/// Settings of an [`Engine`](crate::Engine), each with its documented default.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EngineOptions {
    /// The hot tier: windows, WAL sync, memory budget.
    pub hot: HotOptions,
    /// The cold tier: how Parquet is written, which labels become columns.
    pub cold: ColdOptions,
}
