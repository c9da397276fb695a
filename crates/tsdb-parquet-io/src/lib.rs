#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod error;
mod file_meta;
mod filter_to_arrow_expression;
mod inspect;
mod reader;
mod seam;
mod series_index;
mod tail;
mod varint;
mod writer;

/// The crates whose types are in this one's interface, so that they need not be named as dependencies.
pub use {arrow, futures, object_store, parquet, tsdb_core, tsdb_schema};

pub use config::{
    Compression, DEFAULT_BLOOM_FALSE_POSITIVES, DEFAULT_COMPRESSION, DEFAULT_PAGE_ROWS,
    DEFAULT_ROW_GROUP_BYTES, DEFAULT_ROW_GROUP_MIN_ROWS, DEFAULT_ROW_GROUP_ROWS, DEFAULT_TIMESTAMP_PAGE_ROWS,
    DEFAULT_VALUE_ENCODING, ParquetConfig, ValueEncoding,
};
pub use error::{Error, Result};
pub use file_meta::{FORMAT_VERSION, FileMeta, OLDEST_READABLE_FORMAT_VERSION, Origin};
pub use filter_to_arrow_expression::FilterToArrowExpression;
pub use inspect::{ColumnLayout, FileLayout, IndexLayout, IndexedLabel, Inspection, RowGroupLayout};
pub use reader::{
    BlockCache, ColdFileMetadata, DEFAULT_READ_BATCH_ROWS, DEFAULT_TAIL_READ_BYTES, ParquetReader, ReadAhead,
    ReadRequest, ReadStatistics, RebuiltIndex, Verification, Work,
};
pub use seam::{ColdStorageReader, ColdStorageWriter};
pub use series_index::{
    Block, BlockId, BlockKind, BlockLookup, BlockRef, ColumnPages, DEFAULT_INDEX_MEMORY_BYTES, DataPage,
    Directory, IndexError, IndexPointer, IndexResult, LABEL_BLOOM_VERSION, Label, LabelBloom,
    LabelBloomPlace, LabelNamesLookup, LabelValuesLookup, MemorySpill, OLDEST_READABLE_LABEL_BLOOM_VERSION,
    OLDEST_READABLE_SERIES_INDEX_VERSION, PageLocation, PageTable, ResolvedSeries, RowGroupPages, RowsLookup,
    SERIES_INDEX_KEY, SERIES_INDEX_VERSION, SERIES_PER_BLOCK, Selection, SeriesBlock, SeriesEntry,
    SeriesIndexBuilder, SeriesLookup, SeriesRows, Spill, Step, ValueBlock, WantedPairs, WrittenIndex,
};
pub use writer::ParquetWriter;
