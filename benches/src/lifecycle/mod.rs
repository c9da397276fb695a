//! The cases of `cargo xtask bench lifecycle`: conversion, compaction, the size of a block and of its cold file, opening a
//! store of many cold files, and what background conversion does to the latency of commits.
//!
//! What is measured as memory runs in a child of its own: this same program, called as `child ROLE DIR COUNT`. A process
//! that has made the data has memory that it had freed, and would hide what the work takes.

mod data;
mod many_files;
mod moving;
mod steady;

use std::error::Error;

use crate::child;
use crate::report::{Options, Report};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Measures every case.
///
/// # Errors
/// The report or a store cannot be written.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    let day = data::Day::new(options)?;
    moving::run(&day, options, report)?;
    many_files::run(options, report)?;
    steady::run(&day, options, report)
}

/// Is one measured process: `ROLE DIR COUNT`.
///
/// # Errors
/// As [`run`], and arguments that no child is called with.
pub fn child(args: &[String]) -> Result<()> {
    child::run(args, |role, dir, count| match role {
        moving::CONVERT => moving::convert_child(dir),
        moving::COMPACT => moving::compact_child(dir),
        many_files::OPEN => many_files::open_child(dir, count),
        many_files::ONE_VALUE => many_files::one_value_child(dir, count),
        _ => Err(format!("no role `{role}`").into()),
    })
}
