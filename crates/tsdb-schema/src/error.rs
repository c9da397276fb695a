//! The one error type of the crate: variants by what the caller can do about them.

use arrow::datatypes::DataType;
use arrow::error::ArrowError;

/// The result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why samples do not fit a schema, or a table cannot be read as samples.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A table without a column that samples need: it is not a table of samples.
    #[error("column `{column}` is missing: the table does not hold samples")]
    MissingColumn {
        /// The column looked for.
        column: String,
    },
    /// A table that has one column twice, so that neither can be meant.
    #[error("column `{column}` occurs more than once")]
    RepeatedColumn {
        /// The repeated column or label name.
        column: String,
    },
    /// A column of a type that cannot stand for what its name says.
    #[error("column `{column}` has type {found}; {expected} is needed")]
    WrongType {
        /// The column.
        column: String,
        /// The accepted types, in words.
        expected: &'static str,
        /// The type found.
        found: Box<DataType>,
    },
    /// One cell that no sample can hold: a null timestamp, a time between two milliseconds, a count with a
    /// fraction, a label of two values.
    #[error("column `{column}`{}: {detail}", place.as_ref().map_or_else(String::new, |place| format!(", {place}")))]
    InvalidValue {
        /// The column; with a dot and the field where it is a struct.
        column: String,
        /// The row by what it holds, its time and series, where they are known. It has no number here: a reader
        /// hands on the rows that match, without telling which of a file's rows they are.
        place: Option<String>,
        /// What was found and what was expected.
        detail: String,
    },
    /// A sample that the schema has no column for. Build the mapper with this label or with histograms.
    #[error("the schema has no column for {what} of series {series}")]
    NoColumn {
        /// What has no place: a label name or "the histogram samples".
        what: String,
        /// The series, as written in a selector.
        series: String,
    },
    /// More label columns than Parquet readers can take. Use the hybrid layout with a shorter promoted list.
    #[error(
        "{found} label columns are more than the {max} that Parquet readers can take: name fewer, and the others go to the `labels` map"
    )]
    TooManyColumns {
        /// The label columns asked for.
        found: usize,
        /// [`MAX_LABEL_COLUMNS`](crate::MAX_LABEL_COLUMNS).
        max: usize,
    },
    /// A batch whose strings or lists do not fit 32-bit offsets. Split it.
    #[error("the batch is too large for column `{column}`: split it")]
    BatchTooLarge {
        /// The column that overflows.
        column: String,
    },
    /// A label layout that is none of `columns`, `map`, `hybrid`.
    #[error("unknown label layout {0:?}: expected columns, map or hybrid")]
    UnknownLayout(String),
    /// A label set or histogram that breaks the data model.
    #[error(transparent)]
    Model(#[from] tsdb_core::Error),
    /// Arrow refused an operation on the arrays.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

impl Error {
    /// Says at which place a cell is that no sample can hold.
    pub(crate) fn at(self, place: impl FnOnce() -> String) -> Self {
        match self {
            Self::InvalidValue { column, place: None, detail } => {
                Self::InvalidValue { column, place: Some(place()), detail }
            }
            other => other,
        }
    }
}
