//! The one error type of the crate: variants by what the caller can do about them.

use std::path::PathBuf;

/// The result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process, or another engine in this one, has the data directory open.
    #[error("the data directory {} is in use by another process: wait for it or stop it", dir.display())]
    InUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// There is no store, and the engine was told not to make one.
    #[error("there is no data directory {}: check the path; `import` makes a new one", dir.display())]
    NoStore {
        /// The data directory that was asked for.
        dir: PathBuf,
    },
    /// The data directory cannot be used.
    #[error("data directory {}: {source}", dir.display())]
    Directory {
        /// The data directory.
        dir: PathBuf,
        /// What the file system says, with the path.
        source: std::io::Error,
    },
    /// The hot tier: head, WAL or blocks.
    #[error(transparent)]
    Hot(#[from] tsdb_hot::Error),
    /// The cold tier: catalog or Parquet files.
    #[error(transparent)]
    Cold(#[from] tsdb_cold::Error),
    /// A label set, timestamp, histogram or matcher that is refused.
    #[error(transparent)]
    Core(#[from] tsdb_core::Error),
    /// A blocking call inside an async runtime, where it would stall the runtime's thread.
    #[error("tsdb_engine::blocking was called inside an async runtime: use tsdb_engine::Engine there")]
    InsideRuntime,
    /// The runtime of the blocking facade could not be started, or a task of the engine was cancelled.
    #[error("async runtime: {0}")]
    Runtime(String),
}
