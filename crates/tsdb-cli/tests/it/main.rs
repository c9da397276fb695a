//! The binary as its users meet it: real processes, real files, exit codes.

#![allow(clippy::unwrap_used)] // The exemption of tests does not reach the functions that they share.

/// `query --agg`: groups and windows from the store and from files.
mod aggregate;
/// What goes wrong, and what is said about it.
mod bad_input;
/// The life of data from the command line.
mod commands;
/// `tsdb export`; how much the commands that ask may give and cost.
mod export;
/// The mistakes of a first hour, and what is said about them.
mod newcomer;
/// Parquet files that belong to no store: `inspect`, and `query --file`.
mod parquet_files;
/// The server as a process: `kill -9` under load, signals, what it refuses.
mod serve;
/// Runs the binary in a data directory of its own.
mod tsdb;
