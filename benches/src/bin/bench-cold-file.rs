//! The program behind `cargo xtask bench cold-file`: size, writing and look-ups of cold files, beside DuckDB and Polars.

use std::error::Error;

use tsdb_benches::cold_file;
use tsdb_benches::report::{Options, Report};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args(std::env::args().skip(1))?;
    let mut report = Report::new("cold-file", options.json.as_deref())?;
    cold_file::run(&options, &mut report)?;
    Ok(())
}
