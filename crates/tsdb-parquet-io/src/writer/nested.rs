//! The nested columns of a row group, `histogram` and the `labels` map: their pages are the `parquet` crate's work.
//!
//! A row of the map repeats its series' labels, so few samples can become gigabytes: rows are gathered and encoded in
//! pieces of bounded size.

use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use tsdb_core::{Labels, SampleBuffer, Series};
use tsdb_schema::{SampleBatch, SchemaMapper};

use super::pieces::{PIECE_BYTES, PIECE_ROWS, bytes_of, pieces};
use super::row_group::Part;
use crate::Result;

/// The nested columns of the rows so far.
#[derive(Default)]
pub(super) struct Nested {
    /// One for each leaf of the nested columns, in file order; empty where the file has none.
    writers: Vec<ArrowColumnWriter>,
    /// Rows that are not encoded yet.
    gathered: SampleBatch,
    gathered_rows: usize,
    gathered_bytes: usize,
}

impl Nested {
    pub(super) fn new(writers: Vec<ArrowColumnWriter>) -> Self {
        Self { writers, ..Self::default() }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.writers.iter().map(ArrowColumnWriter::memory_size).sum::<usize>() + self.gathered_bytes
    }

    /// Adds the samples of a series at these places of `samples`.
    pub(super) fn push(
        &mut self,
        mapper: &SchemaMapper,
        labels: &Labels,
        samples: &SampleBuffer,
        part: &Part,
    ) -> Result<()> {
        if self.writers.is_empty() {
            return Ok(());
        }
        let samples = SampleBuffer {
            timestamps_ms: samples.timestamps_ms[part.floats.clone()].to_vec(),
            values: samples.values[part.floats.clone()].to_vec(),
            histograms: samples.histograms[part.histograms.clone()].to_vec(),
        };
        let series = Series { labels: labels.clone(), samples };
        self.gathered_rows += part.rows();
        self.gathered_bytes += bytes_of(&series);
        self.gathered.series.push(series);
        if self.gathered_rows >= PIECE_ROWS || self.gathered_bytes >= PIECE_BYTES {
            self.encode(mapper)?;
        }
        Ok(())
    }

    fn encode(&mut self, mapper: &SchemaMapper) -> Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        (self.gathered_rows, self.gathered_bytes) = (0, 0);
        for piece in pieces(&gathered) {
            let mut writers = self.writers.iter_mut();
            for (field, column) in mapper.nested_columns(&piece)? {
                for (leaf, writer) in compute_leaves(&field, &column)?.iter().zip(writers.by_ref()) {
                    writer.write(leaf)?;
                }
            }
        }
        Ok(())
    }

    /// The column chunks, in file order.
    pub(super) fn finish(mut self, mapper: &SchemaMapper) -> Result<Vec<ArrowColumnChunk>> {
        self.encode(mapper)?;
        Ok(self.writers.into_iter().map(ArrowColumnWriter::close).collect::<Result<_, _>>()?)
    }
}

impl std::fmt::Debug for Nested {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nested")
            .field("leaves", &self.writers.len())
            .field("gathered_rows", &self.gathered_rows)
            .finish_non_exhaustive()
    }
}
