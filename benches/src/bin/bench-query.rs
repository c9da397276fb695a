//! The program behind `cargo xtask bench query`: what a query takes, beside DuckDB and Polars on the same files.
//!
//! Called as `bench-query child ROLE DIR COUNT` by itself, it is one measured process; see `tsdb_benches::query`.

use std::error::Error;

use tsdb_benches::query;
use tsdb_benches::report::{Options, Report};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("child", args)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return query::child(args);
    }
    let options = Options::from_args(args)?;
    let mut report = Report::new("query", options.json.as_deref())?;
    query::run(&options, &mut report)
}
