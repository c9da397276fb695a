//! Tests of `tsdb-parquet-io` through its public face.
#![allow(clippy::unwrap_used)] // The exemption of tests does not reach the functions that they share.

/// Damaged files and odd input: a typed error or correct data, never a panic.
mod bad_input;
/// What the tests share: files in memory.
mod common;
/// What the tests share: a store that counts what it is asked for.
mod counting;
/// Files of other tools, and ours after other tools rewrote them.
mod foreign;
/// Any foreign table: every query gives what a search through its rows gives.
mod foreign_model;
/// The page index of files that have it in pieces.
mod foreign_page_index;
/// Indexes that lie, with right checksums.
mod forged_index;
/// Label names, values and sets by the index alone, against the oracle.
mod lookups;
/// Any samples through a file, under each layout, every query against the oracle.
mod model;
/// The roadmap's `ParquetIOTest`: round trip, compression.
mod parquet_io_test;
/// The roadmap's `ParquetReaderTest`: rows, columns, pruning, shared metadata.
mod parquet_reader_test;
/// The roadmap's `ParquetWriterTest`: magic bytes, footer, order, encodings.
mod parquet_writer_test;
/// Large selections decoded ahead on other threads.
mod read_ahead;
/// The series index by itself: any series, any matchers, any budget, any damage.
mod series_index;
