//! What is in a file, for people: row groups, columns, encodings, sizes.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parquet::arrow::ARROW_SCHEMA_META_KEY;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use crate::file_meta::value_of;
use crate::series_index::{BlockKind, Directory, IndexPointer, SERIES_INDEX_KEY};
use crate::{FileMeta, Result};

/// What is in a Parquet file, whoever wrote it.
#[derive(Debug)]
pub struct Inspection {
    /// Columns, row groups, encodings and sizes.
    pub layout: FileLayout,
    /// What the file holds for us, or why it holds no samples.
    pub samples: Result<FileMeta>,
}

/// The columns and row groups of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileLayout {
    /// Who wrote the file, in its own words.
    pub created_by: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Rows of all row groups.
    pub rows: u64,
    /// The top-level columns as Arrow types.
    pub schema: SchemaRef,
    /// All pairs of the file's key-value metadata but the embedded Arrow schema, which [`schema`](Self::schema) is.
    pub key_values: Vec<(String, String)>,
    /// The row groups, in order.
    pub row_groups: Vec<RowGroupLayout>,
    /// The series index; `None` for a file without one.
    pub series_index: Option<IndexLayout>,
}

/// What the series index of a file consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexLayout {
    /// Its first byte, counted from the start of the file.
    pub offset: u64,
    /// All its bytes.
    pub bytes: u64,
    /// Bytes of its directory.
    pub directory_bytes: u64,
    /// Series of the file.
    pub series: u32,
    /// Number and bytes of the blocks of label values.
    pub value_blocks: (usize, u64),
    /// Number and bytes of the label blooms: one.
    pub label_bloom: (usize, u64),
    /// Number and bytes of the blocks of series.
    pub series_blocks: (usize, u64),
    /// Number and bytes of the page tables.
    pub page_tables: (usize, u64),
    /// The labels, by name.
    pub labels: Vec<IndexedLabel>,
}

/// What the series index knows of a label without a look at its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedLabel {
    /// Its name.
    pub name: String,
    /// Number of its distinct values.
    pub values: u32,
    /// Number of series that have it.
    pub series: u32,
}

impl IndexLayout {
    fn new(pointer: &IndexPointer, directory: &Directory) -> Self {
        let of = |kind: BlockKind| {
            let blocks = directory.blocks().iter().filter(move |block| block.kind == kind);
            blocks.fold((0, 0), |(count, bytes), block| (count + 1, bytes + u64::from(block.stored_len)))
        };
        let labels = directory.labels().iter();
        Self {
            offset: pointer.offset,
            bytes: pointer.length,
            directory_bytes: u64::from(pointer.directory_length),
            series: directory.series(),
            value_blocks: of(BlockKind::Values),
            label_bloom: of(BlockKind::LabelBloom),
            series_blocks: of(BlockKind::Series),
            page_tables: of(BlockKind::Pages),
            labels: labels
                .map(|label| IndexedLabel {
                    name: label.name.to_string(),
                    values: label.values,
                    series: label.series,
                })
                .collect(),
        }
    }
}

/// One row group.
#[derive(Clone, Debug, PartialEq)]
pub struct RowGroupLayout {
    /// Its rows.
    pub rows: u64,
    /// Bytes of all its pages, compressed.
    pub compressed_bytes: u64,
    /// Names of the columns that its rows are declared sorted by.
    pub sorted_by: Vec<String>,
    /// Its leaf columns, in order.
    pub columns: Vec<ColumnLayout>,
}

/// One column of a row group.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnLayout {
    /// The path of the leaf, parts joined by dots.
    pub path: String,
    /// The encodings of its pages, as Parquet names them.
    pub encodings: Vec<String>,
    /// The codecs, as Parquet names them; a column of one row group has one.
    pub compressions: Vec<String>,
    /// Values, nulls included.
    pub values: u64,
    /// Nulls, if the statistics count them.
    pub nulls: Option<u64>,
    /// Bytes of its pages, compressed.
    pub compressed_bytes: u64,
    /// Bytes of its pages, encoded but not compressed.
    pub uncompressed_bytes: u64,
    /// Data pages, if the file has an offset index.
    pub pages: Option<usize>,
    /// Whether it has a bloom filter.
    pub has_bloom_filter: bool,
}

impl FileLayout {
    pub(crate) fn new(
        metadata: &ParquetMetaData,
        schema: &SchemaRef,
        bytes: u64,
        directory: Option<&Directory>,
    ) -> Self {
        let file = metadata.file_metadata();
        let pointer = value_of(file, SERIES_INDEX_KEY).and_then(IndexPointer::parse);
        let pairs = file.key_value_metadata().into_iter().flatten();
        Self {
            created_by: file.created_by().unwrap_or_default().to_owned(),
            bytes,
            rows: unsigned(file.num_rows()),
            schema: Arc::clone(schema),
            key_values: pairs
                .filter(|pair| pair.key != ARROW_SCHEMA_META_KEY)
                .map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()))
                .collect(),
            row_groups: (0..metadata.num_row_groups()).map(|group| row_group(metadata, group)).collect(),
            series_index: pointer.zip(directory).map(|(pointer, all)| IndexLayout::new(&pointer, all)),
        }
    }

    /// The leaf columns over all row groups: counts and bytes added up, each encoding and codec named once.
    #[must_use]
    pub fn columns(&self) -> Vec<ColumnLayout> {
        let mut groups = self.row_groups.iter().map(|group| &group.columns);
        let mut total = groups.next().cloned().unwrap_or_default();
        for group in groups {
            total.iter_mut().zip(group).for_each(|(total, column)| total.add(column));
        }
        total
    }

    /// Compressed bytes of the leaf columns whose path is `column` or begins with it and a dot, over all row
    /// groups.
    #[must_use]
    pub fn compressed_bytes_of(&self, column: &str) -> u64 {
        let is_of = |path: &str| {
            path.strip_prefix(column).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let columns = self.row_groups.iter().flat_map(|group| &group.columns);
        columns.filter(|c| is_of(&c.path)).map(|c| c.compressed_bytes).sum()
    }
}

impl ColumnLayout {
    /// Adds the same column of another row group.
    fn add(&mut self, other: &Self) {
        let unite = |all: &mut Vec<String>, more: &[String]| {
            let new: Vec<String> = more.iter().filter(|name| !all.contains(name)).cloned().collect();
            all.extend(new);
        };
        unite(&mut self.encodings, &other.encodings);
        unite(&mut self.compressions, &other.compressions);
        self.values += other.values;
        self.nulls = self.nulls.zip(other.nulls).map(|(a, b)| a + b);
        self.compressed_bytes += other.compressed_bytes;
        self.uncompressed_bytes += other.uncompressed_bytes;
        self.pages = self.pages.zip(other.pages).map(|(a, b)| a + b);
        self.has_bloom_filter |= other.has_bloom_filter;
    }
}

fn row_group(metadata: &ParquetMetaData, index: usize) -> RowGroupLayout {
    let group = metadata.row_group(index);
    let column = |leaf: usize| {
        let pages = metadata.offset_index().and_then(|all| all.get(index)?.get(leaf));
        column(group.column(leaf), pages.map(|pages| pages.page_locations().len()))
    };
    let sorted_by = group.sorting_columns().into_iter().flatten();
    RowGroupLayout {
        rows: unsigned(group.num_rows()),
        compressed_bytes: unsigned(group.compressed_size()),
        sorted_by: sorted_by
            .filter_map(|s| usize::try_from(s.column_idx).ok().filter(|leaf| *leaf < group.num_columns()))
            .map(|leaf| group.column(leaf).column_path().string())
            .collect(),
        columns: (0..group.num_columns()).map(column).collect(),
    }
}

fn column(column: &ColumnChunkMetaData, pages: Option<usize>) -> ColumnLayout {
    ColumnLayout {
        path: column.column_path().string(),
        encodings: column.encodings().map(|encoding| encoding.to_string()).collect(),
        compressions: vec![column.compression_codec().to_string()],
        values: unsigned(column.num_values()),
        nulls: column.statistics().and_then(parquet::file::statistics::Statistics::null_count_opt),
        compressed_bytes: unsigned(column.compressed_size()),
        uncompressed_bytes: unsigned(column.uncompressed_size()),
        pages,
        has_bloom_filter: column.bloom_filter_offset().is_some(),
    }
}

/// Parquet's counts are signed; a reader has refused negative ones that matter.
fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}
