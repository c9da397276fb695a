//! Tests of `tsdb-parquet-io` through its public face.

/// Damaged files and odd input: a typed error or correct data, never a panic.
mod bad_input;
/// What the tests share: files in memory.
mod common;
/// Files of other tools, and ours after other tools rewrote them.
mod foreign;
/// Any samples through a file, under each layout, every query against the oracle.
mod model;
/// The roadmap's `ParquetIOTest`: round trip, compression.
mod parquet_io_test;
/// The roadmap's `ParquetReaderTest`: rows, columns, pruning, shared metadata.
mod parquet_reader_test;
/// The roadmap's `ParquetWriterTest`: magic bytes, footer, order, encodings.
mod parquet_writer_test;
/// The series index by itself: any series, any matchers, any budget, any damage.
mod series_index;
