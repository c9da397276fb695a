//! The series index: which series a file has, where their rows and pages are, in small blocks.
//!
//! A cold file has one row per sample. Its index tells, for matchers, which series they select, and of a series its
//! labels, its rows and its times, without a look at the label columns. It is an inverted index (label value to
//! series) and a forward one (series to label values), cut into blocks of some 64 KiB, so that a query over a million
//! series reads a few small ranges, and neither who writes nor who reads needs memory for all series at once.
//!
//! The region lies in one piece between the last row group and the Parquet footer, where readers that go by the
//! footer's offsets never look:
//!
//! ```text
//! +--------+---------+--------------+-------+---------------+--------------+-------------+-----------+
//! | "TSIX" | version | value blocks | label | series blocks | value blocks | page tables | directory |
//! |        | u32     | of one label | bloom |               | of several   |             |           |
//! +--------+---------+--------------+-------+---------------+--------------+-------------+-----------+
//! ```
//!
//! What is needed most often lies last, and comes with the read of the file's end. The [`IndexPointer`] in the file's
//! key-value metadata names the region and the directory's checksum; the [`Directory`] names every block with its
//! length and checksum, so that no damaged byte becomes a wrong answer. One block is asked before the file is opened: the
//! [`LabelBloom`] tells, about, which values its labels have.
//!
//! *Series ordinals* follow the order of rows. The values of a label are numbered from 1 in the order of their bytes;
//! number 0 means that a series lacks the label.
//!
//! Everything here is bytes in, bytes out: no file, no Parquet, nothing asynchronous. Whoever asks drives a
//! [`BlockLookup`]: it says which blocks it needs and is given them, from wherever they come. [`Selection`] finds
//! series for matchers, [`RowsLookup`] and [`SeriesLookup`] what is known of them, [`LabelValuesLookup`] and
//! [`LabelNamesLookup`] what is in the index itself. [`SeriesIndexBuilder`] writes it.
//!
//! The bytes are described for other languages in `docs/format/series-index.md`.

mod block;
mod build;
mod bytes;
mod directory;
mod error;
#[cfg(test)]
mod forged;
mod frame;
mod label_bloom;
mod label_values;
mod page_table;
mod pointer;
mod postings;
mod resolve;
mod select;
mod series_block;
mod value_block;

pub use block::{Block, BlockLookup, Step};
pub use build::{
    DEFAULT_INDEX_MEMORY_BYTES, MemorySpill, SeriesEntry, SeriesIndexBuilder, Spill, WrittenIndex,
};
pub(crate) use directory::REGION_HEAD;
pub use directory::{Directory, Label, OLDEST_READABLE_SERIES_INDEX_VERSION, SERIES_INDEX_VERSION};
pub use error::{IndexError, IndexResult};
pub use frame::{BlockId, BlockKind, BlockRef};
pub use label_bloom::{
    LABEL_BLOOM_VERSION, LabelBloom, LabelBloomPlace, OLDEST_READABLE_LABEL_BLOOM_VERSION, WantedPairs,
};
pub use label_values::{LabelNamesLookup, LabelValuesLookup};
pub use page_table::{ColumnPages, DataPage, PageLocation, PageTable, RowGroupPages};
pub use pointer::{IndexPointer, SERIES_INDEX_KEY};
pub use resolve::{ResolvedSeries, RowsLookup, SeriesLookup};
pub use select::Selection;
pub use series_block::{SERIES_PER_BLOCK, SeriesBlock, SeriesRows};
pub use value_block::ValueBlock;
