//! The program behind `cargo xtask bench hot`: figures of tsdb-hot, with what they are compared with.
//!
//! Called as `bench-hot child ROLE DIR COUNT` by itself, it is one measured process; see `tsdb_benches::hot`.

use std::error::Error;

use tsdb_benches::hot;
use tsdb_benches::report::{Options, Report};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("child", args)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return hot::child(args);
    }
    let options = Options::from_args(args)?;
    let mut report = Report::new("hot", options.json.as_deref())?;
    hot::run(&options, &mut report)
}
