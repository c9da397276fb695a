//! The program behind `cargo xtask bench lifecycle`: what moving data costs, and what it costs those who write meanwhile.
//!
//! Called as `bench-lifecycle child ROLE DIR COUNT` by itself, it is one measured process; see `tsdb_benches::lifecycle`.

use std::error::Error;

use tsdb_benches::lifecycle;
use tsdb_benches::report::{Options, Report};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("child", args)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return lifecycle::child(args);
    }
    let options = Options::from_args(args)?;
    let mut report = Report::new("lifecycle", options.json.as_deref())?;
    lifecycle::run(&options, &mut report)
}
