//! The program behind `cargo xtask bench parquet`: figures of tsdb-parquet-io beside pyarrow and DuckDB.

use std::error::Error;

use tsdb_benches::parquet;
use tsdb_benches::report::{Options, Report};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args(std::env::args().skip(1))?;
    let mut report = Report::new("parquet", options.json.as_deref())?;
    parquet::run(&options, &mut report)?;
    Ok(())
}
