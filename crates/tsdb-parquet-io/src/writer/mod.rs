//! [`ParquetWriter`]: sorted samples to one Parquet file, row group by row group.
//!
//! The writer checks the order of its rows as they come and declares nothing about the file that it has not
//! seen to hold. Memory is bounded by one row group: batches are cut into pieces before they become arrays,
//! and a full row group goes to the sink.
//!
//! Nothing here knows encodings beyond naming them: the pages are the `parquet` crate's work.

mod order;
mod pieces;
mod properties;

use std::io::Write;

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::metadata::KeyValue;
use tsdb_schema::{SampleBatch, SchemaMapper};

use crate::file_meta::check_caller_keys;
use crate::tail::{TAIL_KEY, TailSink};
use crate::{ColdStorageWriter, FileMeta, Origin, ParquetConfig, Result};
use order::OrderCheck;

/// Writes one Parquet file to any [`Write`].
///
/// Create one for a file, give it batches in label order, and [`close`](ColdStorageWriter::close) it. The
/// sink is written front to back and never read.
#[derive(Debug)]
pub struct ParquetWriter<W: Write + Send> {
    config: ParquetConfig,
    mapper: SchemaMapper,
    order: OrderCheck,
    state: State<W>,
}

/// The encoder begins with the first row: what may be declared about the order depends on it.
#[derive(Debug)]
enum State<W: Write + Send> {
    /// The sink, until the encoder takes it.
    Empty(Option<W>),
    Writing(Box<ArrowWriter<TailSink<W>>>),
}

impl<W: Write + Send> ParquetWriter<W> {
    /// A writer of one file to `sink`.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`](crate::Error::InvalidConfig) and [`Error::Schema`](crate::Error::Schema) for
    /// settings that no file can be written with.
    pub fn new(sink: W, config: ParquetConfig) -> Result<Self> {
        config.check()?;
        check_caller_keys(&config.key_values)?;
        let mapper = config.schema_mapper()?;
        Ok(Self { config, mapper, order: OrderCheck::default(), state: State::Empty(Some(sink)) })
    }

    /// Like [`ColdStorageWriter::close`], and gives the sink back.
    ///
    /// # Errors
    /// The sink's errors.
    pub fn finish(mut self) -> Result<(FileMeta, W)> {
        self.begin()?;
        let State::Writing(mut encoder) = self.state else {
            return Err(sink_lost());
        };
        // The tail begins behind the last row group's bytes.
        encoder.flush()?;
        encoder.sync()?;
        let tail_checks = encoder.inner_mut().begin_tail();

        let mut meta = FileMeta {
            origin: Origin::Tsdb,
            rows: self.order.rows(),
            series: self.order.series(),
            time_range: self.order.time_range(),
            bytes: 0,
            key_values: self.config.key_values,
        };
        for pair in meta.to_key_values() {
            encoder.append_key_value_metadata(pair);
        }
        encoder.append_key_value_metadata(KeyValue::new(TAIL_KEY.to_owned(), tail_checks));
        let (sink, bytes) = encoder.into_inner()?.finish()?;
        meta.bytes = bytes;
        Ok((meta, sink))
    }

    /// Creates the encoder if there is none yet.
    fn begin(&mut self) -> Result<&mut ArrowWriter<TailSink<W>>> {
        if let State::Empty(sink) = &mut self.state {
            let sink = sink.take().ok_or_else(sink_lost)?;
            let properties = properties::writer_properties(&self.config, &self.mapper, &self.order);
            let options = ArrowWriterOptions::new().with_properties(properties?);
            let schema = self.mapper.time_series_to_arrow_schema();
            let encoder = ArrowWriter::try_new_with_options(TailSink::new(sink), schema, options)?;
            self.state = State::Writing(Box::new(encoder));
        }
        match &mut self.state {
            State::Writing(encoder) => Ok(encoder),
            State::Empty(_) => Err(sink_lost()),
        }
    }
}

impl<W: Write + Send> ColdStorageWriter for ParquetWriter<W> {
    fn write_batch(&mut self, batch: &SampleBatch) -> Result<()> {
        if batch.rows() == 0 {
            return Ok(());
        }
        if self.order.rows() == 0 {
            self.order.begin(&self.config, &self.mapper, batch);
        }
        self.order.check(batch)?;
        let mapper = self.mapper.clone();
        let encoder = self.begin()?;
        for piece in pieces::pieces(batch) {
            encoder.write(&mapper.sample_batch_to_record_batch(&piece)?)?;
        }
        Ok(())
    }

    fn close(self) -> Result<FileMeta> {
        self.finish().map(|(meta, _)| meta)
    }

    fn memory_bytes(&self) -> usize {
        match &self.state {
            State::Empty(_) => 0,
            State::Writing(encoder) => encoder.memory_size(),
        }
    }
}

/// An earlier failure to start the encoder has taken the sink.
fn sink_lost() -> crate::Error {
    std::io::Error::other("the writer failed before and cannot go on").into()
}
