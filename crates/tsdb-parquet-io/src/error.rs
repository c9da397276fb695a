//! The one error type of the crate: variants by what the caller can do about them.
//!
//! Errors of the reader name the file, because one query reads many.

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use crate::series_index::IndexError;

/// The result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is no Parquet file: too short, or without Parquet's magic bytes.
    #[error("{path} is not a Parquet file: {detail}")]
    NotParquet {
        /// The file.
        path: String,
        /// What was found.
        detail: String,
    },
    /// The file is Parquet, but its bytes cannot be right: a checksum that does not match, a page that does
    /// not decode, rows out of order in a file that says they are sorted. Restore the file.
    #[error("{path} is damaged: {detail}")]
    Damaged {
        /// The file.
        path: String,
        /// What was found and what was expected.
        detail: String,
    },
    /// The file is ours, of a version that this build does not read.
    #[error(
        "{path} has {format} version {found}; this build reads {oldest} to {newest}: \
         a higher one needs a newer tsdb"
    )]
    UnsupportedVersion {
        /// The file.
        path: String,
        /// What is of this version: the cold file format, the series index in it, or its label bloom.
        format: &'static str,
        /// The version found.
        found: u32,
        /// The oldest version read.
        oldest: u32,
        /// The newest version read.
        newest: u32,
    },
    /// The file is sound Parquet, but its columns or cells do not hold samples.
    #[error("{path} does not hold samples that can be read: {source}")]
    NotSamples {
        /// The file.
        path: String,
        /// What does not fit.
        source: Box<tsdb_schema::Error>,
    },
    /// A foreign file has different samples of one series and time, and columns that are no part of a sample. If
    /// these tell series apart, cast them to text, so that they are labels; if not, drop one of the rows, or them.
    #[error(
        "{path} has different samples of {series} at {timestamp_ms} ms, and no label in the column(s) {}: \
         cast those that tell series apart to text, and leave the others out",
        ignored.join(", ")
    )]
    Ambiguous {
        /// The file.
        path: String,
        /// The series, as written in a selector.
        series: String,
        /// The time of the samples, milliseconds since the Unix epoch.
        timestamp_ms: i64,
        /// The columns of the file that are no part of a sample.
        ignored: Vec<String>,
    },
    /// A column that the caller asked for is not in the file.
    #[error("{path} has no column `{column}`")]
    NoColumn {
        /// The file.
        path: String,
        /// The column asked for.
        column: String,
    },
    /// The object store failed. Worth a retry when the cause is.
    #[error("reading {path}: {source}")]
    Store {
        /// The file.
        path: String,
        /// What the store says.
        source: Box<object_store::Error>,
    },
    /// The rows given to the writer are not sorted by label set, then time. The file must be dropped.
    #[error("rows must be sorted by label set, then time: {0}")]
    OutOfOrder(String),
    /// A setting that no file can be written with.
    #[error("invalid setting: {0}")]
    InvalidConfig(String),
    /// A batch given to the writer does not fit the file's columns.
    #[error(transparent)]
    Schema(#[from] tsdb_schema::Error),
    /// The series index of the file could not be built.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The Parquet encoder failed, as a rule because the bytes could not be written.
    #[error("writing Parquet: {0}")]
    Write(#[from] ParquetError),
    /// The bytes could not be written.
    #[error("writing Parquet: {0}")]
    Io(#[from] std::io::Error),
}

impl Error {
    /// Adds the file to an error that a decoder met.
    pub(crate) fn damaged(path: &str, detail: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), detail: detail.to_string() }
    }

    /// Adds the file to an error of the schema: an unfit table, or damage where the file is ours.
    pub(crate) fn not_samples(path: &str) -> impl Fn(tsdb_schema::Error) -> Self {
        move |source| Self::NotSamples { path: path.to_owned(), source: Box::new(source) }
    }

    /// Adds the file to an error of its series index.
    pub(crate) fn index(path: &str) -> impl Fn(IndexError) -> Self {
        move |error| match error {
            IndexError::UnsupportedVersion { format, found, oldest, newest } => {
                Self::UnsupportedVersion { path: path.to_owned(), format, found, oldest, newest }
            }
            other => Self::damaged(path, other),
        }
    }

    /// Adds the file to an error of the store.
    pub(crate) fn store(path: &str) -> impl Fn(object_store::Error) -> Self {
        move |source| Self::Store { path: path.to_owned(), source: Box::new(source) }
    }

    /// What a failed decoder step means: a predicate's own error where one is inside, damage otherwise.
    pub(crate) fn decode(path: &str, error: ParquetError) -> Self {
        // The decoder passes a predicate's error on as text or as a boxed Arrow error.
        match error {
            ParquetError::External(source) => match source.downcast::<ArrowError>() {
                Ok(arrow) => Self::predicate(path, *arrow),
                Err(other) => Self::damaged(path, other),
            },
            other => Self::damaged(path, other),
        }
    }

    fn predicate(path: &str, error: ArrowError) -> Self {
        match error {
            ArrowError::ExternalError(source) => match source.downcast::<tsdb_schema::Error>() {
                Ok(schema) => Self::NotSamples { path: path.to_owned(), source: schema },
                Err(other) => Self::damaged(path, other),
            },
            other => Self::damaged(path, other),
        }
    }
}
