#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod exposition;
pub mod jsonl;
pub mod time;

/// The data model that the signatures speak of.
pub use tsdb_core;
