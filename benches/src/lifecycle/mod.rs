//! The cases of `cargo xtask bench lifecycle`: conversion, compaction, the size of a block and of its cold file, opening a
//! store of many cold files, and what background conversion does to the latency of commits.

mod data;
mod many_files;
mod moving;
mod steady;

use std::error::Error;

use crate::report::{Options, Report};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Measures every case.
///
/// # Errors
/// The report or a store cannot be written.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    moving::run(options, report)?;
    many_files::run(options, report)?;
    steady::run(options, report)
}
