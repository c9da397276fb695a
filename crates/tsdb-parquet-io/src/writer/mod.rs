//! [`ParquetWriter`]: sorted samples to one Parquet file, row group by row group.
//!
//! The writer checks the order of its rows as they come and declares nothing about the file that it has not
//! seen to hold. Memory is bounded by one row group and the series index's budget.
//!
//! | module | |
//! |---|---|
//! | `order` | the order of rows |
//! | `file` | row groups into a file: where they are cut, the file's end |
//! | `index` | the series index: series and pages, with their checksums |
//! | `row_group` | the rows of one row group, column by column |
//! | `numbers`, `labels`, `nested` | what becomes of its columns: encodings by sample, labels from runs, structs and maps |
//! | `chunk`, `encoding`, `codec` | column chunks, page bodies, compression |

mod chunk;
mod codec;
mod encoding;
mod file;
mod index;
mod labels;
mod nested;
mod numbers;
mod order;
mod pieces;
mod properties;
mod row_group;

use std::io::Write;

use tsdb_schema::{SampleBatch, SchemaMapper};

use crate::file_meta::check_caller_keys;
use crate::{ColdStorageWriter, FileMeta, Origin, ParquetConfig, Result};
use codec::PageCodec;
use file::FileEncoder;
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
    /// Sink and codec, until the encoder takes them; `None` after an error.
    Empty(Option<(W, PageCodec)>),
    Writing(Box<FileEncoder<W>>),
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
        let codec = PageCodec::new(config.compression)?;
        let mapper = config.schema_mapper()?;
        Ok(Self { config, mapper, order: OrderCheck::default(), state: State::Empty(Some((sink, codec))) })
    }

    /// Like [`ColdStorageWriter::close`], and gives the sink back.
    ///
    /// # Errors
    /// The sink's errors.
    pub fn finish(mut self) -> Result<(FileMeta, W)> {
        self.begin()?;
        let State::Writing(encoder) = self.state else {
            return Err(sink_lost());
        };
        let meta = FileMeta {
            origin: Origin::Tsdb,
            rows: self.order.rows(),
            series: self.order.series(),
            time_range: self.order.time_range(),
            bytes: 0,
            label_bloom: None,
            key_values: self.config.key_values,
        };
        encoder.finish(meta)
    }

    fn add(&mut self, batch: &SampleBatch) -> Result<()> {
        if self.order.rows() == 0 {
            self.order.begin(&self.config, &self.mapper, batch);
        }
        self.order.check(batch)?;
        let encoder = self.begin()?;
        batch.series.iter().try_for_each(|series| encoder.push(series))
    }

    /// Creates the encoder if there is none yet.
    fn begin(&mut self) -> Result<&mut FileEncoder<W>> {
        if let State::Empty(parts) = &mut self.state {
            let (sink, codec) = parts.take().ok_or_else(sink_lost)?;
            let encoder =
                FileEncoder::new(sink, codec, self.config.clone(), self.mapper.clone(), &self.order)?;
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
        let added = self.add(batch);
        if added.is_err() {
            // Rows are missing that were counted: nobody must take what there is for a file.
            self.state = State::Empty(None);
        }
        added
    }

    fn close(self) -> Result<FileMeta> {
        self.finish().map(|(meta, _)| meta)
    }

    fn memory_bytes(&self) -> usize {
        match &self.state {
            State::Empty(_) => 0,
            State::Writing(encoder) => encoder.memory_bytes(),
        }
    }
}

/// An earlier failure has taken the sink.
fn sink_lost() -> crate::Error {
    std::io::Error::other("the writer failed before and cannot go on").into()
}
