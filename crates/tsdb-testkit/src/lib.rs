#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod diff;
mod disk;
#[cfg(feature = "object-store")]
mod object_store;
mod oracle;
#[cfg(feature = "remote")]
pub mod remote_read;
#[cfg(feature = "remote")]
pub mod remote_write;
pub mod strategies;
mod watched_fs;
#[cfg(feature = "remote")]
mod wire;

pub use diff::{assert_series_eq, series_diff};
pub use disk::{Fault, SEEDS, SimDisk, crash_at_every_operation, fault_at_every_operation};
#[cfg(feature = "object-store")]
pub use object_store::{FaultyStore, StoreFault, store_fault_at_every_operation};
pub use oracle::Oracle;
pub use watched_fs::{FsStep, WatchedFs};
