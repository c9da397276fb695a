#![doc = include_str!("../README.md")]
#![deny(unsafe_code)] // One exception, in `map.rs`, with its reason and its measurement.

#[cfg(not(unix))]
compile_error!("tsdb-vfs needs a Unix system: positioned reads, and fsync of directories");

mod conformance;
mod error;
mod map;
mod real;
mod vfs;
mod writer;

pub use conformance::conformance;
pub use error::path_error;
pub use real::RealFs;
pub use vfs::{DirEntry, FileInfo, Vfs, VfsFile, VfsLock, VfsRead};
pub use writer::FileWriter;
