//! The rows of the row group that is being filled, column by column, and how they become column chunks.

use std::io::Write;
use std::ops::Range;

use parquet::column::writer::ColumnCloseResult;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};
use tsdb_core::{Labels, METRIC_NAME, SampleBuffer};
use tsdb_schema::{HISTOGRAM_COLUMN, LABELS_COLUMN, SchemaMapper, TIMESTAMP_COLUMN, VALUE_COLUMN};

use super::chunk::Chunk;
use super::codec::PageCodec;
use super::labels::LabelColumn;
use super::nested::Nested;
use super::numbers::{Bounds, Candidate, Numbers, PageRows};
use crate::{ParquetConfig, Result, ValueEncoding};

/// Series of which a page has the rows, about: who wants one decodes the others too.
const SERIES_A_PAGE: usize = 32;
/// Fewer rows cost too much in headers and index entries.
const LEAST_PAGE_ROWS: usize = 2 * 1024;
/// Compressed bytes of a page above which it has fewer rows, for each row that it has by the series.
const BYTES_A_ROW: usize = 2;

/// The rows of one row group, in memory.
#[derive(Debug)]
pub(super) struct RowGroup {
    timestamps: Vec<u64>,
    /// Bits of the float values.
    values: Vec<u64>,
    /// Runs of rows that are floats or are not.
    float_rows: Vec<(bool, u64)>,
    /// One for each label column of the mapper.
    labels: Vec<LabelColumn>,
    nested: Nested,
    /// Series, counted anew for each part that was added.
    series: usize,
}

impl RowGroup {
    /// An empty group whose nested columns are encoded by `nested`.
    pub(super) fn new(mapper: &SchemaMapper, nested: Nested) -> Self {
        let labels = mapper.label_columns().iter().map(|_| LabelColumn::default()).collect();
        Self { timestamps: Vec::new(), values: Vec::new(), float_rows: Vec::new(), labels, nested, series: 0 }
    }

    pub(super) fn rows(&self) -> usize {
        self.timestamps.len()
    }

    /// Bytes of memory held.
    pub(super) fn memory_bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(LabelColumn::memory_bytes).sum();
        8 * (self.timestamps.capacity() + self.values.capacity())
            + self.float_rows.capacity() * size_of::<(bool, u64)>()
            + labels
            + self.nested.memory_bytes()
    }

    /// Adds the samples of a series at these places of `samples`, which follow each other in time.
    pub(super) fn push(
        &mut self,
        mapper: &SchemaMapper,
        labels: &Labels,
        samples: &SampleBuffer,
        part: &Part,
    ) -> Result<()> {
        if part.histograms.is_empty() {
            let (times, values) =
                (&samples.timestamps_ms[part.floats.clone()], &samples.values[part.floats.clone()]);
            self.timestamps.extend(times.iter().map(|ms| ms.cast_unsigned()));
            self.values.extend(values.iter().map(|value| value.to_bits()));
            self.count_floats(true, times.len());
        } else {
            if !mapper.has_histograms() {
                let (what, series) = ("the histogram samples".to_owned(), labels.to_string());
                return Err(tsdb_schema::Error::NoColumn { what, series }.into());
            }
            let mut floats = part.floats.clone();
            for (histogram_ms, _) in &samples.histograms[part.histograms.clone()] {
                while floats.start < floats.end && samples.timestamps_ms[floats.start] < *histogram_ms {
                    self.push_float(samples, floats.start);
                    floats.start += 1;
                }
                self.timestamps.push(histogram_ms.cast_unsigned());
                self.count_floats(false, 1);
            }
            floats.for_each(|at| self.push_float(samples, at));
        }
        self.series += 1;
        self.push_labels(mapper, labels, part.rows() as u64)?;
        self.nested.push(mapper, labels, samples, part)
    }

    fn push_float(&mut self, samples: &SampleBuffer, at: usize) {
        self.timestamps.push(samples.timestamps_ms[at].cast_unsigned());
        self.values.push(samples.values[at].to_bits());
        self.count_floats(true, 1);
    }

    fn count_floats(&mut self, is_float: bool, rows: usize) {
        match self.float_rows.last_mut() {
            Some((same, count)) if *same == is_float => *count += rows as u64,
            _ => self.float_rows.push((is_float, rows as u64)),
        }
    }

    /// Walks labels and columns side by side, both being sorted by name.
    fn push_labels(&mut self, mapper: &SchemaMapper, labels: &Labels, rows: u64) -> Result<()> {
        let no_place = |name: &str| {
            let (what, series) = (format!("label {name:?}"), labels.to_string());
            Err(tsdb_schema::Error::NoColumn { what, series }.into())
        };
        let mut pairs = labels.iter().peekable();
        for (column, target) in mapper.label_columns().iter().zip(&mut self.labels) {
            while let Some((name, _)) = pairs.next_if(|(name, _)| *name < column.label.as_str()) {
                if !mapper.has_label_map() {
                    return no_place(name);
                }
            }
            target.push(pairs.next_if(|(name, _)| *name == column.label).map(|(_, value)| value), rows);
        }
        match pairs.next() {
            Some((name, _)) if !mapper.has_label_map() => no_place(name),
            _ => Ok(()),
        }
    }

    /// Rows of a page: those of a few series, as far as pages are to have so few.
    fn page_rows(&self, config: &ParquetConfig) -> usize {
        let rows = self.rows() * SERIES_A_PAGE / self.series.max(1);
        rows.next_power_of_two().max(LEAST_PAGE_ROWS).min(config.page_rows)
    }

    /// Writes the group to `file`. Returns where the pages of each leaf column lie, counted from any place.
    pub(super) fn write<W: Write + Send>(
        self,
        file: &mut SerializedFileWriter<W>,
        config: &ParquetConfig,
        mapper: &SchemaMapper,
        descriptor: &SchemaDescriptor,
        codec: &mut PageCodec,
    ) -> Result<Vec<Vec<PageLocation>>> {
        let mut pages = Vec::new();
        let series_rows = self.page_rows(config);
        let schema = mapper.time_series_to_arrow_schema();
        let mut group = file.next_row_group()?;
        let mut nested = self.nested.finish(mapper)?.into_iter();
        let mut labels = mapper.label_columns().iter().zip(&self.labels);
        for (root, field) in schema.fields().iter().enumerate() {
            let leaves = leaves_of(descriptor, root);
            let column = || descriptor.column(leaves.start);
            let chunk = match field.name().as_str() {
                HISTOGRAM_COLUMN | LABELS_COLUMN => {
                    for chunk in nested.by_ref().take(leaves.len()) {
                        pages.push(pages_of(chunk.close()));
                        chunk.append_to_row_group(&mut group)?;
                    }
                    continue;
                }
                TIMESTAMP_COLUMN => timestamps(&self.timestamps, series_rows, config, column(), codec)?,
                VALUE_COLUMN => values(&self.values, &self.float_rows, series_rows, config, column(), codec)?,
                _ => match labels.next() {
                    Some((label, values)) => {
                        let has_bloom = config.bloom_columns.contains(&label.label);
                        let bloom = has_bloom.then_some(config.bloom_false_positives);
                        let is_metric = label.label == METRIC_NAME;
                        values.to_chunk(column(), codec, config.timestamp_page_rows, is_metric, bloom)?
                    }
                    None => continue,
                },
            };
            pages.push(append(&mut group, chunk)?);
        }
        group.close()?;
        Ok(pages)
    }
}

/// Samples of one series: places in its buffer.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) floats: Range<usize>,
    pub(super) histograms: Range<usize>,
}

impl Part {
    /// All of `samples`.
    pub(super) fn all(samples: &SampleBuffer) -> Self {
        Self { floats: 0..samples.timestamps_ms.len(), histograms: 0..samples.histograms.len() }
    }

    pub(super) fn rows(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// Takes at most the first `rows` samples by time off the front.
    pub(super) fn take(&mut self, samples: &SampleBuffer, rows: usize) -> Self {
        let (mut floats, mut histograms) = (self.floats.start, self.histograms.start);
        if self.histograms.is_empty() {
            floats += rows.min(self.floats.len());
        } else {
            for _ in 0..rows.min(self.rows()) {
                let float_ms = samples.timestamps_ms[..self.floats.end].get(floats);
                let histogram_ms =
                    samples.histograms[..self.histograms.end].get(histograms).map(|(ms, _)| ms);
                if histogram_ms.is_none_or(|histogram_ms| float_ms.is_some_and(|ms| ms < histogram_ms)) {
                    floats += 1;
                } else {
                    histograms += 1;
                }
            }
        }
        let taken = Self { floats: self.floats.start..floats, histograms: self.histograms.start..histograms };
        (self.floats.start, self.histograms.start) = (floats, histograms);
        taken
    }
}

fn timestamps(
    bits: &[u64],
    series_rows: usize,
    config: &ParquetConfig,
    column: ColumnDescPtr,
    codec: &mut PageCodec,
) -> Result<Chunk> {
    let page_rows = PageRows {
        most: config.timestamp_page_rows,
        least: series_rows.min(config.timestamp_page_rows),
        bytes: BYTES_A_ROW * series_rows,
    };
    let numbers = Numbers { bits, levels: None, bounds: Bounds::Int64, page_rows };
    let candidates: &[Candidate] =
        if config.compat { &[Candidate::Delta] } else { &[Candidate::Delta, Candidate::ByteStreamSplit] };
    numbers.to_chunk(column, codec, candidates)
}

fn values(
    bits: &[u64],
    float_rows: &[(bool, u64)],
    series_rows: usize,
    config: &ParquetConfig,
    column: ColumnDescPtr,
    codec: &mut PageCodec,
) -> Result<Chunk> {
    let page_rows =
        PageRows { most: series_rows, least: series_rows.div_ceil(2), bytes: BYTES_A_ROW * series_rows };
    let numbers = Numbers { bits, levels: Some(float_rows), bounds: Bounds::Double, page_rows };
    let candidates: &[Candidate] = match config.value_encoding {
        ValueEncoding::Plain => &[Candidate::Plain],
        ValueEncoding::ByteStreamSplit => &[Candidate::ByteStreamSplit],
        ValueEncoding::Dictionary => &[Candidate::Dictionary],
        ValueEncoding::Best if config.compat => &[Candidate::Plain, Candidate::Dictionary],
        ValueEncoding::Best => &[Candidate::Plain, Candidate::ByteStreamSplit, Candidate::Dictionary],
    };
    // Without a number there is nothing to encode, and no dictionary to refer to.
    let candidates = if bits.is_empty() { &[Candidate::Plain] } else { candidates };
    numbers.to_chunk(column, codec, candidates)
}

/// Appends the chunk. Returns its pages.
fn append<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    chunk: Chunk,
) -> Result<Vec<PageLocation>> {
    let pages = pages_of(&chunk.close);
    group.append_column(&chunk.bytes, chunk.close)?;
    Ok(pages)
}

fn pages_of(close: &ColumnCloseResult) -> Vec<PageLocation> {
    close.offset_index.as_ref().map(|index| index.page_locations().clone()).unwrap_or_default()
}

/// The leaf columns of a top-level column.
pub(super) fn leaves_of(descriptor: &SchemaDescriptor, root: usize) -> Range<usize> {
    let is_of = |leaf: &usize| descriptor.get_column_root_idx(*leaf) == root;
    let all = 0..descriptor.num_columns();
    let start = all.clone().find(is_of).unwrap_or(all.end);
    start..start + (start..all.end).take_while(is_of).count()
}
