//! Which block a file is, and what it says of itself.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result, TimeRange};

/// A block's identity: the sequence of the head generation it was sealed from, and its time window.
///
/// The text form `<sequence, 20 digits>-<start>-<end>` is the block's file stem; sorting by identity is
/// sorting by sequence, then window. Between blocks that overlap in time the higher sequence wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    /// Sequence of the head generation; later generations have higher ones.
    pub sequence: u64,
    /// Start of the window, milliseconds since the Unix epoch.
    pub window_start_ms: i64,
    /// End of the window (exclusive), milliseconds since the Unix epoch.
    pub window_end_ms: i64,
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, window_start_ms, window_end_ms } = self;
        write!(f, "{sequence:020}-{window_start_ms}-{window_end_ms}")
    }
}

impl FromStr for BlockId {
    type Err = Error;

    /// Reads the text form, and only it: what [`BlockId`] does not print is refused.
    fn from_str(text: &str) -> Result<Self> {
        parse(text)
            .filter(|id| id.to_string() == text)
            .ok_or_else(|| Error::InvalidInput(format!("{text:?} is not a block id (sequence-start-end)")))
    }
}

fn parse(text: &str) -> Option<BlockId> {
    let (sequence, window) = text.split_once('-')?;
    // A negative start begins with its own hyphen.
    let between = window.get(1..)?.find('-')? + 1;
    Some(BlockId {
        sequence: sequence.parse().ok()?,
        window_start_ms: window[..between].parse().ok()?,
        window_end_ms: window[between + 1..].parse().ok()?,
    })
}

/// What a block holds, known as soon as it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockMeta {
    /// The block's identity.
    pub id: BlockId,
    /// From the first to the last sample; [`TimeRange::EMPTY`] for a block without series.
    pub time_range: TimeRange,
    /// Number of series; their ordinals are `0..series`.
    pub series: u32,
    /// Number of samples.
    pub samples: u64,
    /// Number of chunks.
    pub chunks: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_sorts_by_sequence() {
        for (sequence, window_start_ms, window_end_ms) in
            [(0, 0, 0), (7, -7_200_000, 0), (u64::MAX, i64::MIN, i64::MAX), (3, -20, -10)]
        {
            let id = BlockId { sequence, window_start_ms, window_end_ms };
            assert_eq!(id.to_string().parse::<BlockId>().unwrap(), id);
        }
        let id = |sequence, window_start_ms| BlockId { sequence, window_start_ms, window_end_ms: 0 };
        assert!(id(9, 5) < id(10, -5) && id(9, -5) < id(9, 5));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "1-2-3",
            "é",
            "00000000000000000001-1",
            "00000000000000000001-1-2-3",
            "-1-2-3",
            "00000000000000000001-+1-2",
            "00000000000000000001--",
            "99999999999999999999-0-1",
        ] {
            assert!(text.parse::<BlockId>().is_err(), "{text}");
        }
    }
}
