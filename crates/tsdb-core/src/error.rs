//! The one error type of the crate: variants by what the caller can do about them.

use crate::selector::SelectorError;

/// The result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the data model or a decoder refused its input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A label set that cannot be stored: an empty or repeated name.
    #[error("invalid label set: {0}")]
    InvalidLabels(String),
    /// A matcher whose pattern does not parse or compiles to more than the size limit.
    #[error("invalid matcher {matcher}: {reason}")]
    InvalidMatcher {
        /// The matcher as written, `name=~"pattern"`.
        matcher: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A selector that does not parse; its message points at the place.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// A native histogram that breaks the rules of its schema.
    #[error("invalid histogram: {0}")]
    InvalidHistogram(String),
    /// A timestamp outside 0001-01-01..=9999-12-31.
    #[error("timestamp {timestamp_ms} ms is outside 0001-01-01 to 9999-12-31 (UTC)")]
    InvalidTimestamp {
        /// The refused timestamp, milliseconds since the Unix epoch.
        timestamp_ms: i64,
    },
    /// Input to a writer that breaks its contract (series out of order, a chunk without a series ...).
    #[error("invalid input: {0}")]
    InvalidInput(String),
    /// A writer that the caller passed in failed; nothing can be said of what it has written.
    #[error("cannot write: {0}")]
    Io(#[from] std::io::Error),
    /// Bytes that are damaged: a checksum that does not match, a length past the end, an impossible value.
    #[error("damaged {what} at byte {offset}: {detail}")]
    Corrupt {
        /// The section or structure that is damaged.
        what: &'static str,
        /// Where, in bytes from the start of the decoded slice.
        offset: u64,
        /// What was found and what was expected.
        detail: String,
    },
    /// A format version that this build does not read.
    #[error(
        "{what} has format version {found}; this build reads {oldest} to {newest}: a higher one needs a newer tsdb"
    )]
    UnsupportedVersion {
        /// The format.
        what: &'static str,
        /// The version found.
        found: u32,
        /// The oldest version read.
        oldest: u32,
        /// The newest version read.
        newest: u32,
    },
}
