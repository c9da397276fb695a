//! The cases of `cargo xtask bench server`: remote write into servers in processes of their own, how long they need to be ready
//! again, remote read, and samples by selector.
//!
//! Every server gets the same bodies, made beforehand, over loopback connections that are kept, from 1 and from 4 senders. What
//! counts is the processor time of the server alone, so that the senders, who run on the same machine, do not matter much.

mod bodies;
mod client;
mod ingest;
mod programs;
mod queries;
mod reads;

use std::error::Error;

use crate::report::{Options, Report};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Measures every case.
///
/// # Errors
/// The binary `tsdb` that is not there, a server that does not take what it should, a report that cannot be written. A peer
/// that fails is left out with a sentence.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    ingest::run(options, report)?;
    reads::run(options, report)
}
