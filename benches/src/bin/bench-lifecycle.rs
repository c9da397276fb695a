//! The program behind `cargo xtask bench lifecycle`: what moving data costs, and what it costs those who write meanwhile.

use std::error::Error;

use tsdb_benches::lifecycle;
use tsdb_benches::report::{Options, Report};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args(std::env::args().skip(1))?;
    let mut report = Report::new("lifecycle", options.json.as_deref())?;
    lifecycle::run(&options, &mut report)
}
