#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod diff;
mod disk;
mod oracle;
pub mod strategies;

pub use diff::{assert_series_eq, series_diff};
pub use disk::{Fault, SEEDS, SimDisk, crash_at_every_operation, fault_at_every_operation};
pub use oracle::Oracle;
