//! The cases of `cargo xtask bench hot`: appending, the memory of a million series, replay, seal, commits and selects,
//! with real files.
//!
//! The files lie in directories for temporary ones (`TMPDIR`), which must not be in memory for the figures about
//! fsyncs to mean something. What is measured as a process, memory and recovery, runs in a child of its own: this
//! same program, called as `child ROLE DIR COUNT`, which prints its numbers as one JSON object.

mod append;
mod commits;
mod counting;
mod many;
mod peers;

use crate::child;
use crate::report::{Options, Report};

/// Every error ends the program with its text.
type Error = Box<dyn std::error::Error>;
type Result<T> = std::result::Result<T, Error>;

/// Measures every case.
///
/// # Errors
/// A store that does not do what it should, a disk that is full, a report that cannot be written.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    append::run(options, report)?;
    many::run(options, report)?;
    commits::run(options, report)?;
    peers::run(options, report)
}

/// Is one measured process: `ROLE DIR COUNT`.
///
/// # Errors
/// As [`run`], and arguments that no child is called with.
pub fn child(args: &[String]) -> Result<()> {
    child::run(args, |role, dir, count| match role {
        many::FILL => many::fill(dir, count),
        many::REPLAY => many::replay(dir, count),
        _ => Err(format!("no role `{role}`").into()),
    })
}
