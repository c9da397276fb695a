#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod catalog;
mod convert;
mod error;
mod index;
mod merge;
mod partition;
mod store;
mod tier;

pub use catalog::{CatalogSnapshot, ColdFile, FileId};
pub use convert::{BlockSet, BlockToParquetConverter};
pub use error::{Error, Result};
pub use index::ColdBlockIndex;
pub use merge::{SeriesSource, merge_series};
pub use partition::Partition;
pub use store::VfsStore;
pub use tier::{ColdOptions, ColdStats, ColdTier};

// The crates whose types this one's signatures show, so that a consumer gets them in the right versions.
pub use {futures, object_store, tsdb_core, tsdb_parquet_io};
