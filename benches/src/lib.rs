//! The benchmark cases of the storage engine, one module for each benchmark of `cargo xtask bench`, and the report
//! that they share.
//!
//! A case is a value with methods that do the measured work once; the program in `src/main.rs` times them and prints
//! figures with what they are compared with, the criterion targets in `criterion/` time the same methods with
//! statistics. Every case can be made small (`smoke`), so that the pipeline can see that all still run.

mod child;
pub mod cold_file;
pub mod core;
pub mod hot;
pub mod lifecycle;
mod look_ups;
pub mod parquet;
pub mod process;
pub mod python;
pub mod query;
pub mod report;
pub mod requests;
pub mod scrapes;
pub mod server;
