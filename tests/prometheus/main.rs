//! Tests with a real Prometheus and the binary: what it has written to us by remote write, and what then lies in Parquet only, it
//! reads back by remote read and answers queries over, as over its own storage.
//!
//! `cargo xtask prometheus` fetches the programs and names them by environment variables; without those the tests say that they
//! are skipped. Everything listens on 127.0.0.1, on ports that were free.

#![allow(clippy::unwrap_used)] // The exemption of tests does not reach the functions that they share.

/// HTTP as the tests need it.
mod http;
/// Processes that end with the test.
mod process;
/// The test itself, and what it asks.
mod round_trip;
