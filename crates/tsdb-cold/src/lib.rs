#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod block_set;
mod cache;
mod catalog;
mod compact;
mod convert;
mod error;
mod index;
mod merge;
mod open;
mod partition;
mod progress;
mod read;
mod reads;
mod rebuild;
mod store;
mod tier;
mod tombstones;
mod write;

pub use block_set::BlockSet;
pub use cache::CacheStats;
pub use catalog::{CatalogSnapshot, ColdFile, FileId};
pub use compact::{CompactionMode, CompactionOptions, Unconverted};
pub use convert::BlockToParquetConverter;
pub use error::{Error, Result};
pub use index::ColdBlockIndex;
pub use merge::{SeriesSource, merge_series};
pub use partition::Partition;
pub use progress::Progress;
pub use reads::{ColdReadStats, ColdReads};
pub use rebuild::{Rebuilt, rebuild_catalog};
pub use store::VfsStore;
pub use tier::{ColdOptions, ColdStats, ColdTier, ColdView, Compacted, Expired};

// The crates whose types this one's signatures show, so that a consumer gets them in the right versions.
pub use {futures, object_store, tsdb_core, tsdb_parquet_io};
