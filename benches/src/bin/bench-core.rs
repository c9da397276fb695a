//! The program behind `cargo xtask bench core`: figures of tsdb-core, with what they are compared with.

use std::error::Error;

use tsdb_benches::core;
use tsdb_benches::report::{Options, Report};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args(std::env::args().skip(1))?;
    let mut report = Report::new("core", options.json.as_deref())?;
    core::run(&options, &mut report)?;
    Ok(())
}
