//! What can be wrong with an index: damage with its place, a newer version, input beyond the format's limits.

use super::BlockKind;

/// The result of this module's fallible calls.
pub type IndexResult<T, E = IndexError> = Result<T, E>;

/// Why a series index could not be built or read. It does not know its file: whoever does adds the name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// Bytes that are damaged: a checksum that does not match, a length past the end, an impossible value.
    #[error("damaged {block} of the series index at byte {offset}: {detail}")]
    Damaged {
        /// What is damaged.
        block: BlockKind,
        /// Where it begins, in bytes from the start of the file.
        offset: u64,
        /// What was found and what was expected.
        detail: String,
    },
    /// An index, or a part of one, of a version that this build does not read.
    #[error(
        "the {format} has version {found}; this build reads {oldest} to {newest}: a higher one needs a newer tsdb"
    )]
    UnsupportedVersion {
        /// What has the version.
        format: &'static str,
        /// The version found.
        found: u32,
        /// The oldest version read.
        oldest: u32,
        /// The newest version read.
        newest: u32,
    },
    /// Input that no index can hold: too many series, a label value that is too long, row groups of other rows.
    #[error("the series index cannot hold this: {0}")]
    InvalidInput(String),
    /// The sink or the spill failed.
    #[error("writing the series index: {0}")]
    Io(#[from] std::io::Error),
}
