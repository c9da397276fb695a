//! The one error type of the crate: variants by what the caller can do about them.

use std::path::PathBuf;

use crate::QueryLimit;

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
    /// A call that writes, on an engine that was opened to be read only.
    #[error("the store was opened to be read only: open it for writing to change it")]
    ReadOnly,
    /// A writer elsewhere has removed a cold file that this read-only engine was about to read: what was in it is in another
    /// file now, or has expired.
    #[error(
        "cold file {path} was removed by the process that writes to the store, after the store was opened here to be read \
         only: open it again"
    )]
    Outdated {
        /// The file's path in the cold store.
        path: String,
    },
    /// A writer elsewhere changes the store faster than it can be opened to be read.
    #[error("the data directory {} changed each of the {tries} times that it was read: try again", dir.display())]
    Unsettled {
        /// The data directory.
        dir: PathBuf,
        /// How many times it was read.
        tries: u32,
    },
    /// A query went beyond one of its [`QueryLimits`](crate::QueryLimits).
    #[error(
        "the query was stopped: {limit}. Narrow the matchers or the time range, or raise `QueryLimits::{}`",
        limit.setting()
    )]
    LimitExceeded {
        /// Which limit, and its value.
        limit: QueryLimit,
    },
    /// An aggregation whose windows have no length.
    #[error("windows of {step_ms} ms: `Aggregation::step_ms` is 1 or more")]
    InvalidStep {
        /// The step that was asked for.
        step_ms: i64,
    },
    /// The data directory cannot be used.
    #[error("data directory {}: {source}", dir.display())]
    Directory {
        /// The data directory.
        dir: PathBuf,
        /// What the file system says, with the path.
        source: std::io::Error,
    },
    /// What is known of metrics (type, help, unit) cannot be read or written.
    #[error(
        "the metadata of metrics, {}: {detail}. A damaged file can be restored from a copy, or removed: senders repeat what is in it",
        path.display()
    )]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, or what the file system says.
        detail: String,
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
    /// A scan whose table cannot be: more labels than a table can have columns, or a batch that is too large.
    #[error(transparent)]
    Schema(#[from] tsdb_schema::Error),
    /// A blocking call inside an async runtime, where it would stall the runtime's thread.
    #[error("tsdb_engine::blocking was called inside an async runtime: use tsdb_engine::Engine there")]
    InsideRuntime,
    /// The runtime of the blocking facade could not be started, or a task of the engine was cancelled.
    #[error("async runtime: {0}")]
    Runtime(String),
}

impl Error {
    /// Whether what was to be stored is at fault: it would be refused again.
    #[must_use]
    pub fn is_refused_input(&self) -> bool {
        use tsdb_hot::Error as Hot;
        matches!(
            self,
            Self::Core(_)
                | Self::Hot(
                    Hot::Invalid(_)
                        | Hot::LabelsTooLarge { .. }
                        | Hot::RecordTooLarge { .. }
                        | Hot::DuplicateSample { .. }
                )
        )
    }

    /// Whether the same call may succeed later, without anybody's doing: the disk is full, or the head is until its seal.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        use tsdb_hot::Error as Hot;
        matches!(self, Self::Hot(Hot::StorageFull(_) | Hot::TooManySeries { .. }))
    }

    /// What an error means to an engine that only reads.
    pub(crate) fn seen_read_only(self) -> Self {
        match &self {
            Self::Cold(error) => match error.missing_object() {
                Some(path) => Self::Outdated { path: path.to_owned() },
                None => self,
            },
            _ => self,
        }
    }
}
