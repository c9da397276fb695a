//! The program behind `cargo xtask bench`: `bench NAME` runs one benchmark of `tsdb_benches`.
//!
//! Called as `bench NAME child ROLE DIR COUNT` by itself, it is one measured process.

use std::error::Error;

use tsdb_benches::report::{Options, Report};
use tsdb_benches::{cold_file, core, hot, lifecycle, parquet, query, server};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;
type Run = fn(&Options, &mut Report) -> Result;
type Child = fn(&[String]) -> Result;

/// The benchmarks: name, what runs it, what its measured processes are.
const BENCHMARKS: &[(&str, Run, Child)] = &[
    ("cold-file", |options, report| Ok(cold_file::run(options, report)?), no_child),
    ("core", |options, report| Ok(core::run(options, report)?), no_child),
    ("hot", hot::run, hot::child),
    ("lifecycle", lifecycle::run, lifecycle::child),
    ("parquet", |options, report| Ok(parquet::run(options, report)?), no_child),
    ("query", query::run, query::child),
    ("server", server::run, no_child),
];

fn main() -> Result {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let Some((name, run, child)) = BENCHMARKS.iter().find(|benchmark| benchmark.0 == name) else {
        let names: Vec<_> = BENCHMARKS.iter().map(|benchmark| benchmark.0).collect();
        return Err(format!("no benchmark `{name}`; there are: {}", names.join(", ")).into());
    };
    let args: Vec<String> = args.collect();
    if let Some(("child", args)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return child(args);
    }
    let options = Options::from_args(args)?;
    let mut report = Report::new(name, options.json.as_deref())?;
    run(&options, &mut report)
}

fn no_child(_: &[String]) -> Result {
    Err("this benchmark measures no process of its own".into())
}
