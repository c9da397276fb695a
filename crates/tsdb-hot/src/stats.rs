//! Figures about a store and about its opening.

use tsdb_core::TimeRange;

use crate::Error;

/// How much the hot tier holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HotStats {
    /// The head: the live generation and those that wait for their seal.
    pub head: HeadStats,
    /// Sealed blocks.
    pub blocks: BlockStats,
    /// The write-ahead log.
    pub wal: WalStats,
    /// From the first to the last sample of head and blocks; [`TimeRange::EMPTY`] if there is none.
    pub time_range: TimeRange,
}

/// How much the head holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadStats {
    /// Different series with samples in the head.
    pub series: u64,
    /// Samples. One timestamp of a series counts once for each generation that has it.
    pub samples: u64,
    /// Bytes of memory: labels, postings, chunks and their tables. (Labels of series that were sealed and are idle stay until
    /// a later seal.)
    pub bytes: u64,
}

/// How much sealed blocks hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockStats {
    /// Blocks.
    pub count: u64,
    /// Series, each counted once for every block that has it.
    pub series: u64,
    /// Samples. One timestamp of a series counts once for each block that has it.
    pub samples: u64,
    /// Bytes of their files.
    pub bytes: u64,
}

/// How much the write-ahead log takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalStats {
    /// Segment files.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The sequences of the hot tier: what is below the one that takes writes cannot change any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OlderSources {
    /// The sequence of the live generation. A delete that begins now concerns everything below it, or more.
    pub live_sequence: u64,
    /// Sequence and time range of each frozen generation and each block.
    pub sources: Vec<(u64, TimeRange)>,
}

/// What a check of everything that is stored found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct HotVerified {
    /// Segments of the write-ahead log that were read.
    pub segments: u64,
    /// Bytes of the newest segment that were no whole batch and were cut off.
    pub torn_bytes: u64,
    /// Sealed blocks that were read.
    pub blocks: u64,
    /// An error for each file that is damaged, which names it.
    pub damaged: Vec<Error>,
}

/// What opening a store found and put in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments of the write-ahead log that were read.
    pub segments: u64,
    /// Records in them.
    pub records: u64,
    /// Different series of those records.
    pub series: u64,
    /// Samples that were put back into the head; exact duplicates are not counted.
    pub samples: u64,
    /// Bytes of the newest segment that were no whole batch (never acknowledged) and were cut off.
    pub torn_bytes: u64,
    /// Sealed blocks that were opened.
    pub blocks: u64,
    /// Blocks that were removed because the cold tier has them.
    pub blocks_handed_over: u64,
    /// Files that were removed because the seal that wrote them had not finished: its samples are in the log.
    pub unfinished_files: u64,
}
