//! Row groups into a file: where they are cut, and the file's end.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use tsdb_core::Series;
use tsdb_schema::{HISTOGRAM_COLUMN, LABELS_COLUMN, SchemaMapper};

use super::codec::PageCodec;
use super::index::IndexWriter;
use super::nested::Nested;
use super::order::OrderCheck;
use super::properties::writer_properties;
use super::row_group::{Part, RowGroup, leaves_of};
use crate::series_index::SERIES_INDEX_KEY;
use crate::tail::{TAIL_KEY, TailSink};
use crate::{FileMeta, ParquetConfig, Result};

/// Rows that are added before the group's memory is looked at.
const PART_ROWS: usize = 64 * 1024;
/// The same where rows are histograms, which may take kilobytes each.
const HISTOGRAM_PART_ROWS: usize = 1024;
/// About what a column chunk takes in the footer.
const FOOTER_BYTES_A_COLUMN: usize = 128;
/// Each time the footer has grown by as much, row groups become twice as large: one that nobody can hold in memory
/// never comes to be.
const FOOTER_STEP_BYTES: usize = 128 * 1024;
/// Most doublings of a row group's rows.
const ROWS_DOUBLINGS_MAX: usize = 3;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct FileEncoder<W: Write + Send> {
    config: ParquetConfig,
    mapper: SchemaMapper,
    codec: PageCodec,
    descriptor: SchemaDescriptor,
    file: SerializedFileWriter<TailSink<W>>,
    /// Makes the writers of nested columns.
    factory: ArrowRowGroupWriterFactory,
    /// Leaf columns of nested columns.
    nested_leaves: Vec<Range<usize>>,
    group: RowGroup,
    /// The metric of the group's last row.
    metric: Option<Box<str>>,
    /// `None` for a file without one.
    index: Option<IndexWriter>,
}

impl<W: Write + Send> FileEncoder<W> {
    pub(super) fn new(
        sink: W,
        codec: PageCodec,
        config: ParquetConfig,
        mapper: SchemaMapper,
        order: &OrderCheck,
    ) -> Result<Self> {
        let schema = mapper.time_series_to_arrow_schema();
        let descriptor = ArrowSchemaConverter::new().convert(&schema)?;
        let properties = writer_properties(&config, &codec, &mapper, &descriptor, order);
        let is_nested = |name: &str| name == HISTOGRAM_COLUMN || name == LABELS_COLUMN;
        let fields = schema.fields().iter().enumerate();
        let nested_leaves = fields
            .filter(|(_, f)| is_nested(f.name()))
            .map(|(root, _)| leaves_of(&descriptor, root))
            .collect();
        let file = SerializedFileWriter::new(
            TailSink::new(sink),
            descriptor.root_schema_ptr(),
            Arc::new(properties),
        )?;
        let factory = ArrowRowGroupWriterFactory::new(&file, schema);
        let group = RowGroup::new(&mapper, Nested::default());
        let index = config.series_index.then(|| IndexWriter::new(&config));
        let metric = None;
        let mut encoder =
            Self { config, mapper, codec, descriptor, file, factory, nested_leaves, group, metric, index };
        encoder.group = encoder.new_group()?;
        Ok(encoder)
    }

    /// Adds the samples of `series`, which come after all that was added.
    pub(super) fn push(&mut self, series: &Series) -> Result<()> {
        let Series { labels, samples } = series;
        if let Some(index) = &mut self.index {
            index.push(series)?;
        }
        let mut rest = Part::all(samples);
        let metric = labels.metric_name();
        if metric != self.metric.as_deref() {
            if self.group.rows() >= self.rows(self.config.row_group_min_rows) {
                self.end_group()?;
            }
            self.metric = metric.map(Into::into);
        }
        let part_rows = if samples.histograms.is_empty() { PART_ROWS } else { HISTOGRAM_PART_ROWS };
        while rest.rows() > 0 {
            let room = self.rows(self.config.row_group_rows) - self.group.rows();
            let part = rest.take(samples, room.min(part_rows));
            self.group.push(&self.mapper, labels, samples, &part)?;
            let is_full = self.group.rows() >= self.rows(self.config.row_group_rows);
            if is_full || self.group.memory_bytes() >= self.config.row_group_bytes {
                self.end_group()?;
            }
        }
        Ok(())
    }

    /// A row group's rows as the settings have them, more where the footer is long already.
    fn rows(&self, configured: usize) -> usize {
        let footer =
            self.file.flushed_row_groups().len() * self.descriptor.num_columns() * FOOTER_BYTES_A_COLUMN;
        configured.saturating_mul(1 << (footer / FOOTER_STEP_BYTES).min(ROWS_DOUBLINGS_MAX))
    }

    fn new_group(&self) -> Result<RowGroup> {
        let mut writers = Vec::new();
        if !self.nested_leaves.is_empty() {
            let all = self.factory.create_column_writers(self.file.flushed_row_groups().len())?;
            let is_nested = |leaf: &usize| self.nested_leaves.iter().any(|leaves| leaves.contains(leaf));
            writers =
                all.into_iter().enumerate().filter(|(leaf, _)| is_nested(leaf)).map(|(_, w)| w).collect();
        }
        Ok(RowGroup::new(&self.mapper, Nested::new(writers)))
    }

    /// Writes the group and begins the next one.
    fn end_group(&mut self) -> Result<()> {
        if self.group.rows() == 0 {
            return Ok(());
        }
        let group = std::mem::replace(&mut self.group, RowGroup::new(&self.mapper, Nested::default()));
        let pages =
            group.write(&mut self.file, &self.config, &self.mapper, &self.descriptor, &mut self.codec)?;
        self.file.flush()?;
        if let (Some(index), Some(written)) = (&mut self.index, self.file.flushed_row_groups().last()) {
            let (held_at, held) = self.file.inner().held();
            index.row_group(written, &pages, held_at, held);
        }
        self.file.inner_mut().release()?;
        self.group = self.new_group()?;
        Ok(())
    }

    /// Ends the file, with `meta` but for its length.
    pub(super) fn finish(mut self, mut meta: FileMeta) -> Result<(FileMeta, W)> {
        self.end_group()?;
        if let Some(index) = self.index.take() {
            let offset = self.file.bytes_written() as u64;
            let written = index.finish(offset, &mut IndexSink(&mut self.file))?;
            let value = written.pointer.to_value();
            self.file.append_key_value_metadata(KeyValue::new(SERIES_INDEX_KEY.to_owned(), value));
            meta.label_bloom = Some(written.label_bloom);
        }
        for pair in meta.to_key_values() {
            self.file.append_key_value_metadata(pair);
        }
        self.file.flush()?;
        let tail_checks = self.file.inner_mut().begin_tail()?;
        self.file.append_key_value_metadata(KeyValue::new(TAIL_KEY.to_owned(), tail_checks));
        let (sink, bytes) = self.file.into_inner()?.finish()?;
        meta.bytes = bytes;
        Ok((meta, sink))
    }

    /// Bytes of memory held.
    pub(super) fn memory_bytes(&self) -> usize {
        let index = self.index.as_ref().map_or(0, IndexWriter::memory_bytes);
        self.group.memory_bytes() + self.file.inner().held().1.len() + index
    }
}

/// Bytes of the series index that are held before they are written.
const INDEX_HELD_BYTES: usize = 1 << 20;

/// Where the series index goes: behind the row groups, so that the Parquet encoder knows of its bytes.
struct IndexSink<'a, W: Write + Send>(&'a mut SerializedFileWriter<TailSink<W>>);

impl<W: Write + Send> Write for IndexSink<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        if self.0.inner().held().1.len() >= INDEX_HELD_BYTES {
            self.0.inner_mut().release()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
