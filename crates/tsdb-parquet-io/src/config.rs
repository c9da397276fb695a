//! How a cold file is written: plain data, every default a named constant with its reason.

use std::path::PathBuf;

use tsdb_schema::{LabelLayout, SchemaMapper};

use crate::{Error, Result};

/// Rows of a row group. A row group is the unit that other engines prune by statistics and read in parallel,
/// and all of its compressed pages stay in memory until it closes; the footer grows with each one.
pub const DEFAULT_ROW_GROUP_ROWS: usize = 512 * 1024;
/// Rows from which on a row group ends where the metric changes, so that values of one kind stay together and
/// have the encoding that is best for them.
pub const DEFAULT_ROW_GROUP_MIN_ROWS: usize = 128 * 1024;
/// Bytes in memory at which a row group closes early, for rows with wide labels or large histograms.
pub const DEFAULT_ROW_GROUP_BYTES: usize = 128 << 20;
/// Most rows of a page of values or histograms. One series is found by decoding whole pages, so small pages make look-ups
/// cheap; each page costs compression context and index entries. 8,192 rows cost 3% against 20,000 in values.
pub const DEFAULT_PAGE_ROWS: usize = 8 * 1024;
/// Rows of a page of timestamps or of metric names. The series of a scrape target share theirs, and the compressor finds the repeats
/// within a page only: 0.18 bytes a sample here, 0.38 at 8,192 rows. Nearly all of such a page is one copy.
pub const DEFAULT_TIMESTAMP_PAGE_ROWS: usize = 32 * 1024;
/// ZSTD at level 6: 3 to 4% smaller than level 3 for a quarter more time, of which a file takes little; level 9 takes
/// twice as long for half a percent.
pub const DEFAULT_COMPRESSION: Compression = Compression::Zstd(6);
/// The encoding of values where none is set.
pub const DEFAULT_VALUE_ENCODING: ValueEncoding = ValueEncoding::Best;
/// Share of absent values that a bloom filter takes for present.
pub const DEFAULT_BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// The codec of all pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Pages as encoded.
    None,
    /// Snappy: fast, coarse.
    Snappy,
    /// LZ4 in raw blocks, which every current reader knows.
    Lz4,
    /// Zstandard at a level of 1 to 22.
    Zstd(i32),
}

/// The encoding of the `value` column. All are read by DuckDB, pyarrow and Polars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueEncoding {
    /// In each row group the one that makes a part of its values smallest.
    Best,
    /// Distinct values once, references in the rows. Best for values of few digits.
    Dictionary,
    /// Eight bytes a value.
    Plain,
    /// The first bytes of all values, then the second ones, and so on. Best for counters and full-precision
    /// floats; Spark before 2026 cannot read it.
    ByteStreamSplit,
}

/// Settings of one cold file.
#[derive(Clone, Debug, PartialEq)]
pub struct ParquetConfig {
    /// The codec of all pages. Default [`DEFAULT_COMPRESSION`].
    pub compression: Compression,
    /// Most rows of a row group. Default [`DEFAULT_ROW_GROUP_ROWS`].
    pub row_group_rows: usize,
    /// Rows from which on a row group ends where the metric changes. Default [`DEFAULT_ROW_GROUP_MIN_ROWS`].
    pub row_group_min_rows: usize,
    /// Bytes in memory at which a row group closes early. Default [`DEFAULT_ROW_GROUP_BYTES`].
    pub row_group_bytes: usize,
    /// Most rows of a page of values or histograms; fewer where series are short, or where a page of values would be
    /// large. Default [`DEFAULT_PAGE_ROWS`].
    pub page_rows: usize,
    /// Most rows of a page of timestamps, or of metric names; fewer, but not fewer than of values, where a page of
    /// timestamps would be large. Default [`DEFAULT_TIMESTAMP_PAGE_ROWS`].
    pub timestamp_page_rows: usize,
    /// The encoding of values. Default [`DEFAULT_VALUE_ENCODING`].
    pub value_encoding: ValueEncoding,
    /// Where labels go. Default [`LabelLayout::Hybrid`].
    pub label_layout: LabelLayout,
    /// The labels with columns of their own under [`LabelLayout::Hybrid`] and [`LabelLayout::Columns`], in
    /// any order. They have a column in every file, also where no row has the label, so that files of one
    /// store have one schema. Default none.
    pub promoted_labels: Vec<String>,
    /// All label names that the rows will have, if known. With them the writer leaves the `labels` map out
    /// where every label has a column, gives [`LabelLayout::Columns`] its columns, and may declare the rows
    /// sorted by metric name. A row with another label is refused where there is no map. Default unknown.
    pub label_names: Option<Vec<String>>,
    /// Whether a row may be a native histogram: the column is left out otherwise. Default true, always right.
    pub with_histograms: bool,
    /// Labels whose columns get a bloom filter in each row group; names without a column are passed over.
    /// Default none.
    pub bloom_columns: Vec<String>,
    /// Share of absent values that a bloom filter takes for present. Default
    /// [`DEFAULT_BLOOM_FALSE_POSITIVES`].
    pub bloom_false_positives: f64,
    /// Only encodings that readers before 2025 know: byte-stream-split is not chosen, and refused as a setting.
    /// What remains beside plain and dictionary is DELTA_BINARY_PACKED for timestamps, in data pages of version 1:
    /// Spark reads it from 3.3 on (2022; before, with its vectorized reader switched off). Default false.
    pub compat: bool,
    /// Whether the file has a series index, by which it is searched without a look at the label columns, and with it
    /// the checksums of its pages. Default true.
    pub series_index: bool,
    /// Where a temporary file is made when the index of very many series or labels outgrows its memory. Default `None`:
    /// the system's directory for temporary files.
    pub spill_dir: Option<PathBuf>,
    /// Pairs of the caller's own for the file's key-value metadata; they come back in
    /// [`FileMeta::key_values`](crate::FileMeta::key_values). Default none.
    pub key_values: Vec<(String, String)>,
}

impl Default for ParquetConfig {
    fn default() -> Self {
        Self {
            compression: DEFAULT_COMPRESSION,
            row_group_rows: DEFAULT_ROW_GROUP_ROWS,
            row_group_min_rows: DEFAULT_ROW_GROUP_MIN_ROWS,
            row_group_bytes: DEFAULT_ROW_GROUP_BYTES,
            page_rows: DEFAULT_PAGE_ROWS,
            timestamp_page_rows: DEFAULT_TIMESTAMP_PAGE_ROWS,
            value_encoding: DEFAULT_VALUE_ENCODING,
            label_layout: LabelLayout::default(),
            promoted_labels: Vec::new(),
            label_names: None,
            with_histograms: true,
            bloom_columns: Vec::new(),
            bloom_false_positives: DEFAULT_BLOOM_FALSE_POSITIVES,
            compat: false,
            series_index: true,
            spill_dir: None,
            key_values: Vec::new(),
        }
    }
}

impl ParquetConfig {
    /// The columns of a file with these settings.
    ///
    /// # Errors
    /// [`Error::Schema`] for more label columns than Parquet readers take, or an empty label name.
    pub fn schema_mapper(&self) -> Result<SchemaMapper> {
        let mut columns = self.promoted_labels.clone();
        if self.label_layout == LabelLayout::Columns {
            columns.extend(self.label_names.iter().flatten().cloned());
        }
        let mapper = SchemaMapper::new(self.label_layout, columns, self.with_histograms)?;
        let all_have_columns = self
            .label_names
            .as_ref()
            .is_some_and(|names| names.iter().all(|name| mapper.label_column(name).is_some()));
        Ok(if all_have_columns { mapper.without_label_map() } else { mapper })
    }

    /// Refuses settings that contradict each other or no writer can follow.
    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |detail: String| Err(Error::InvalidConfig(detail));
        for (name, value) in [
            ("row_group_rows", self.row_group_rows),
            ("row_group_bytes", self.row_group_bytes),
            ("page_rows", self.page_rows),
            ("timestamp_page_rows", self.timestamp_page_rows),
        ] {
            if value == 0 {
                return invalid(format!("{name} must be at least 1"));
            }
        }
        if self.compat && self.value_encoding == ValueEncoding::ByteStreamSplit {
            return invalid("compat excludes the value encoding ByteStreamSplit".into());
        }
        if !(self.bloom_false_positives > 0.0 && self.bloom_false_positives < 1.0) {
            return invalid(format!(
                "bloom_false_positives is {}, not between 0 and 1",
                self.bloom_false_positives
            ));
        }
        Ok(())
    }
}
