//! The directory: what is known of a file's series without reading a block, and where the blocks lie.
//!
//! It is small, a few tens of kilobytes for a million series, and is kept with the file's footer. Of a label with many
//! values it has, for each value block, a *separator*: the shortest bytes above all values of the block before and not
//! above the block's own, so that one search names the block a value must be in.
//!
//! The blocks lie one behind the other in the order of their ids, behind the region's header and before the directory:
//! value blocks of labels with many values, the label bloom, series blocks, value blocks that labels share, page tables.

mod encoding;

use std::ops::Range;

use tsdb_core::TimeRange;

use super::{
    BlockId, BlockKind, BlockRef, IndexError, IndexPointer, IndexResult, LabelBloomPlace, SERIES_PER_BLOCK,
};

/// The magic bytes at the start of the region.
const REGION_MAGIC: &[u8; 4] = b"TSIX";
/// The version of the format that is written.
pub const SERIES_INDEX_VERSION: u32 = 1;
/// The oldest version that is read.
pub const OLDEST_READABLE_SERIES_INDEX_VERSION: u32 = 1;
/// What the region begins with: the magic bytes, and the version as a `u32`.
pub(crate) const REGION_HEAD: [u8; 8] = {
    let ([m0, m1, m2, m3], [v0, v1, v2, v3]) = (*REGION_MAGIC, SERIES_INDEX_VERSION.to_le_bytes());
    [m0, m1, m2, m3, v0, v1, v2, v3]
};

/// Blocks between those of single labels and those of series.
const LABEL_BLOOM_BLOCKS: u32 = 1;

/// The decoded directory of a series index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) labels: Vec<Label>,
    /// All blocks by id.
    pub(super) blocks: Vec<BlockRef>,
    /// How many of them are value blocks of one label each.
    pub(super) own_blocks: u32,
    /// How many are value blocks that labels share.
    pub(super) shared_blocks: u32,
    pub(super) series: u32,
    /// The first row of each series block, and the number of rows.
    pub(super) series_rows: Vec<u64>,
    /// The first row of each row group, and the one behind the last.
    pub(super) row_group_rows: Vec<u64>,
}

/// A label name of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The name.
    pub name: Box<str>,
    /// Number of distinct values.
    pub values: u32,
    /// Number of series that have the label.
    pub series: u32,
    /// The value blocks that are the label's own; none when its values share a block.
    pub(super) own: Vec<ValuesAt>,
    /// Whether the shared block has the texts of the values that the own blocks have.
    pub(super) has_texts: bool,
    /// The shared block with the label's values; of a label with blocks of its own, the one with the set of the series
    /// that have the label, if not all do, and the texts of its values, if they are short together.
    pub(super) shared: Option<BlockId>,
}

/// A value block of one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ValuesAt {
    pub(super) block: BlockId,
    /// The number of the block's first value.
    pub(super) first_value: u32,
    /// Above all values before the block, and not above its first.
    pub(super) separator: Box<[u8]>,
}

impl Label {
    /// The blocks with the values between the first that may be at or above `from` and the last for which `more`
    /// holds of the separator.
    fn blocks(&self, from: &[u8], more: impl Fn(&[u8]) -> bool) -> Vec<BlockId> {
        if self.own.is_empty() {
            return self.shared.into_iter().collect();
        }
        let start = self.own.partition_point(|at| &*at.separator <= from).saturating_sub(1);
        let rest = self.own[start..].iter().enumerate();
        rest.take_while(|(i, at)| *i == 0 || more(&at.separator)).map(|(_, at)| at.block).collect()
    }

    /// The block that has `value` if any has it.
    pub(super) fn block_of(&self, value: &str) -> Option<BlockId> {
        self.blocks(value.as_bytes(), |_| false).first().copied()
    }

    /// The blocks that can have values with this prefix, by value.
    pub(super) fn blocks_with_prefix(&self, prefix: &str) -> Vec<BlockId> {
        let prefix = prefix.as_bytes();
        self.blocks(prefix, |separator| separator <= prefix || separator.starts_with(prefix))
    }

    /// The blocks with the texts of all values, by value.
    pub(super) fn text_blocks(&self) -> Vec<BlockId> {
        if self.has_texts { self.shared.into_iter().collect() } else { self.blocks_with_prefix("") }
    }

    /// The block with the text of the value of this number.
    pub(super) fn block_numbered(&self, value: u32) -> Option<BlockId> {
        if self.has_texts {
            return self.shared;
        }
        match self.own.partition_point(|at| at.first_value <= value).checked_sub(1) {
            Some(at) => Some(self.own[at].block),
            None => self.shared,
        }
    }
}

/// What the directory says of a series block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeriesBlockAt {
    pub(super) series: Range<u32>,
    pub(super) rows: Range<u64>,
}

impl Directory {
    /// Checks and decodes the directory: `stored` are the bytes at [`IndexPointer::directory`].
    ///
    /// # Errors
    /// [`IndexError::UnsupportedVersion`], or [`IndexError::Damaged`] when the bytes are not what was written.
    pub fn decode(stored: &[u8], pointer: &IndexPointer) -> IndexResult<Self> {
        IndexPointer::check_version(&pointer.to_value())?;
        encoding::decode(stored, pointer)
    }

    /// Number of series. Their ordinals count from 0 in the order of rows.
    #[must_use]
    pub fn series(&self) -> u32 {
        self.series
    }

    /// Number of rows in the file.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.series_rows.last().copied().unwrap_or(0)
    }

    /// From the first to the last timestamp of the file; empty without series.
    #[must_use]
    pub fn time_range(&self) -> TimeRange {
        if self.series == 0 { TimeRange::EMPTY } else { TimeRange::new(self.start_ms, self.end_ms) }
    }

    /// The file's labels, by name.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Number of row groups, each with a page table.
    #[must_use]
    pub fn row_groups(&self) -> u32 {
        self.row_group_rows.len().saturating_sub(1) as u32
    }

    /// The rows of a row group; `None` when there is no such.
    #[must_use]
    pub fn row_group_range(&self, row_group: u32) -> Option<Range<u64>> {
        let start = *self.row_group_rows.get(row_group as usize)?;
        Some(start..*self.row_group_rows.get(row_group as usize + 1)?)
    }

    /// The row group with this row of the file, and all its rows; `None` when there is no such row.
    #[must_use]
    pub fn row_group_of(&self, row: u64) -> Option<(u32, Range<u64>)> {
        let row_group = self.row_group_rows.partition_point(|&first| first <= row).checked_sub(1)? as u32;
        Some((row_group, self.row_group_range(row_group)?))
    }

    /// The page table of a row group; `None` when there is no such.
    #[must_use]
    pub fn page_table_of(&self, row_group: u32) -> Option<BlockId> {
        let first = self.blocks.len() as u32 - self.row_groups();
        (row_group < self.row_groups()).then(|| BlockId(first + row_group))
    }

    /// The block with what is known of a series; `None` when there is no such.
    #[must_use]
    pub fn series_block_of(&self, ordinal: u32) -> Option<BlockId> {
        (ordinal < self.series).then(|| BlockId(self.first_series_block() + ordinal / SERIES_PER_BLOCK))
    }

    /// A block's place in the file; `None` when there is no such.
    #[must_use]
    pub fn block(&self, id: BlockId) -> Option<&BlockRef> {
        self.blocks.get(id.0 as usize)
    }

    /// All blocks, in the order of the file and of their ids.
    #[must_use]
    pub fn blocks(&self) -> &[BlockRef] {
        &self.blocks
    }

    /// Whether two directories know the same; where their blocks lie, and how they are compressed, may differ.
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        let blocks =
            |all: &Self| all.blocks.iter().map(|block| (block.kind, block.raw_len)).collect::<Vec<_>>();
        blocks(self) == blocks(other)
            && Self { blocks: Vec::new(), ..self.clone() } == Self { blocks: Vec::new(), ..other.clone() }
    }

    /// Bytes that the directory takes in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let at = |at: &ValuesAt| size_of::<ValuesAt>() + at.separator.len();
        let label =
            |label: &Label| size_of::<Label>() + label.name.len() + label.own.iter().map(at).sum::<usize>();
        size_of::<Self>()
            + self.labels.iter().map(label).sum::<usize>()
            + self.blocks.capacity() * size_of::<BlockRef>()
            + (self.series_rows.capacity() + self.row_group_rows.capacity()) * size_of::<u64>()
    }

    /// A label's number, its place among the names, and what is known of it.
    pub(super) fn label(&self, name: &str) -> Option<(u32, &Label)> {
        let found = self.labels.binary_search_by(|label| (*label.name).cmp(name)).ok()?;
        Some((found as u32, &self.labels[found]))
    }

    /// The reference of a block that must be of this kind.
    pub(super) fn expect_block(&self, id: BlockId, kind: BlockKind) -> IndexResult<&BlockRef> {
        let found = self.block(id).filter(|block| block.kind == kind);
        found.ok_or_else(|| IndexError::Damaged {
            block: kind,
            offset: self.block(id).map_or(0, |block| block.offset),
            detail: format!("block {} is none", id.0),
        })
    }

    /// The series and rows of a block that is known to be a series block.
    pub(super) fn series_block_at(&self, id: BlockId) -> SeriesBlockAt {
        let index = (id.0 - self.first_series_block()) as usize;
        let first = index as u32 * SERIES_PER_BLOCK;
        SeriesBlockAt {
            series: first..self.series.min(first.saturating_add(SERIES_PER_BLOCK)),
            rows: self.series_rows[index]..self.series_rows[index + 1],
        }
    }

    /// The rows of the row group of a block that is known to be a page table.
    pub(super) fn row_group_at(&self, id: BlockId) -> Range<u64> {
        let index = id.0 as usize - (self.blocks.len() - self.row_groups() as usize);
        self.row_group_rows[index]..self.row_group_rows[index + 1]
    }

    /// Where the label bloom lies, which every index has.
    pub(crate) fn label_bloom(&self) -> Option<LabelBloomPlace> {
        self.block(BlockId(self.own_blocks)).map(LabelBloomPlace::of)
    }

    fn first_series_block(&self) -> u32 {
        self.own_blocks + LABEL_BLOOM_BLOCKS
    }

    fn series_blocks(&self) -> u32 {
        self.series.div_ceil(SERIES_PER_BLOCK)
    }

    fn kind_of(&self, index: u32) -> BlockKind {
        let first_series = self.first_series_block();
        let series_end = first_series + self.series_blocks();
        if (self.own_blocks..first_series).contains(&index) {
            BlockKind::LabelBloom
        } else if (first_series..series_end).contains(&index) {
            BlockKind::Series
        } else if index < series_end + self.shared_blocks {
            BlockKind::Values
        } else {
            BlockKind::Pages
        }
    }
}
