//! The one error type of the crate: variants by what the caller can do about them.

use std::io;
use std::path::{Path, PathBuf};

/// The result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the hot tier refused, or could not do, what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A sample, label set or histogram that cannot be stored. Nothing of the batch was stored.
    #[error(transparent)]
    Invalid(tsdb_core::Error),
    /// A call that writes, on a store that was opened to be read only.
    #[error("the hot tier was opened to be read only")]
    ReadOnly,
    /// A writer has sealed, or written to the log, while the store was opened to be read only, so that what was read is not of
    /// one moment.
    #[error("another process wrote to the hot tier while it was read: open it again")]
    Changed,
    /// A setting out of its range.
    #[error("invalid hot tier option: {0}")]
    InvalidOption(String),
    /// A label set whose canonical encoding is longer than the head takes.
    #[error("label set of {bytes} bytes; the limit is {max} bytes")]
    LabelsTooLarge {
        /// Its canonical length in bytes.
        bytes: usize,
        /// The longest that is taken.
        max: usize,
    },
    /// One item of a batch (a histogram) that does not fit in a record of the write-ahead log.
    #[error("a record of {bytes} bytes does not fit in the write-ahead log; the limit is {max} bytes")]
    RecordTooLarge {
        /// Its encoded length in bytes.
        bytes: usize,
        /// The longest that is taken.
        max: usize,
    },
    /// The head can number no more series until idle ones have left it, which a seal sees to.
    #[error("the head holds {max} series and can number no more")]
    TooManySeries {
        /// The most series that a head can have.
        max: u32,
    },
    /// A [`SeriesRef`](crate::SeriesRef) of another store, of an earlier opening of this one, or from before idle series
    /// were dropped.
    #[error("the series reference is not good in this store any more: append by labels to get a new one")]
    UnknownSeries,
    /// Under [`DuplicatePolicy::Reject`](crate::DuplicatePolicy::Reject): the head has another value at this
    /// timestamp. Nothing of the batch was stored.
    #[error("{labels} already has another value at timestamp {timestamp_ms} ms")]
    DuplicateSample {
        /// The series.
        labels: tsdb_core::Labels,
        /// The timestamp that has two values, milliseconds since the Unix epoch.
        timestamp_ms: i64,
    },
    /// The disk is full. Nothing of the batch was stored; once there is space, writes work again.
    #[error("the disk is full, the batch was refused: {0}")]
    StorageFull(String),
    /// A write or an fsync of the write-ahead log failed earlier, so that nobody can know what is durable. Reads go
    /// on; writes need the store to be opened again.
    #[error("the write-ahead log failed and takes no more writes until the store is opened again: {0}")]
    WalPoisoned(String),
    /// Bytes of the write-ahead log that were durable once are damaged or gone.
    #[error(
        "the write-ahead log is damaged: {} at byte {offset}: {detail}. Nothing was changed. Restore the file from \
         a copy; or give up the batches that cannot be read, and only those, with `tsdb verify --repair` (`repair_wal`)",
        path.display()
    )]
    WalDamaged {
        /// The damaged segment.
        path: PathBuf,
        /// Offset of the damage in the file, in bytes.
        offset: u64,
        /// What was found.
        detail: String,
    },
    /// A file of a format version that this build does not read.
    #[error(
        "{} has {what} version {found}; this build reads {oldest} to {newest}: a higher one needs a newer tsdb",
        path.display()
    )]
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// What of it has the version.
        what: &'static str,
        /// The version it has.
        found: u32,
        /// The oldest version that this build reads.
        oldest: u32,
        /// The newest version that this build reads.
        newest: u32,
    },
    /// A sealed block that is damaged.
    #[error("the block {} is damaged: {source}. Restore it from a copy, or move it away to go on without it", path.display())]
    BlockDamaged {
        /// The block's file.
        path: PathBuf,
        /// What the decoder found.
        source: tsdb_core::Error,
    },
    /// A tombstone that is damaged: what it deleted would be visible again.
    #[error(
        "the tombstone {} is damaged: {source}. Restore it from a copy, or remove it to see again what it deleted",
        path.display()
    )]
    TombstoneDamaged {
        /// The tombstone's file.
        path: PathBuf,
        /// What the decoder found.
        source: tsdb_core::Error,
    },
    /// An operation of the file system failed; the message names the operation and the path.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<tsdb_core::Error> for Error {
    /// A block's encoder hands on what its file said: that is no fault of the input.
    fn from(error: tsdb_core::Error) -> Self {
        match error {
            tsdb_core::Error::Io(error) => Self::Io(error),
            error => Self::Invalid(error),
        }
    }
}

impl Error {
    /// An error of a block's decoder or encoder, with the file it is about.
    pub(crate) fn block(path: &Path, source: tsdb_core::Error) -> Self {
        Self::of_version(path, source, |path, source| Self::BlockDamaged { path, source })
    }

    /// An error of a tombstone's decoder.
    pub(crate) fn tombstone(path: &Path, source: tsdb_core::Error) -> Self {
        Self::of_version(path, source, |path, source| Self::TombstoneDamaged { path, source })
    }

    /// A file of another version is not `damaged`, and nobody should move it away.
    fn of_version(
        path: &Path,
        source: tsdb_core::Error,
        damaged: impl FnOnce(PathBuf, tsdb_core::Error) -> Self,
    ) -> Self {
        let path = path.to_owned();
        match source {
            tsdb_core::Error::UnsupportedVersion { what, found, oldest, newest } => {
                Self::UnsupportedVersion { path, what, found, oldest, newest }
            }
            source => damaged(path, source),
        }
    }
}

/// Whether an I/O error says that there is no space left.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
