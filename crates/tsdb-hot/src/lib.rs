#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod appender;
mod batch;
mod blocks;
mod error;
mod head;
mod options;
mod registry;
mod seal;
mod snapshot;
mod stats;
mod store;
mod wal;

pub use appender::{Appender, SeriesRef};
pub use blocks::SealedBlock;
pub use error::{Error, Result};
pub use head::Committed;
pub use options::{
    DAY_MS, DEFAULT_HEAD_BYTES_MAX, DEFAULT_LATE_AFTER_MS, DEFAULT_WAL_SEGMENT_BYTES, DEFAULT_WINDOW_MS,
    DuplicatePolicy, HotOptions, SEAL_BYTES_DIVISOR, WalSync,
};
pub use registry::LABELS_BYTES_MAX;
pub use snapshot::{HotSnapshot, HotSource, SelectIter};
pub use stats::{BlockStats, HeadStats, HotStats, HotVerified, OlderSources, Recovery, WalStats};
pub use store::{HotStore, list_blocks, repair_wal, verify};
/// The data model that the signatures speak of.
pub use tsdb_core;
/// The file system that the store is given.
pub use tsdb_vfs;
pub use wal::RepairedSegment;
