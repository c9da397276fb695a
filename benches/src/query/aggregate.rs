//! Everything by job and minute: an aggregation of ten thousand series of an hour, on one thread and on those that the engine
//! takes by itself, beside DuckDB on the same files.

use std::ffi::OsStr;
use std::path::Path;

use tsdb_core::TimeRange;
use tsdb_engine::{AggregateFunction, Aggregation, QueryOptions};

use super::{Result, repeat, store};
use crate::child::{Numbers, call, medians};
use crate::python;
use crate::report::{Figure, Options, Report};

/// The role of the child: of one thread, and of the default.
pub(super) const ONE_THREAD: &str = "aggregate-one-thread";
pub(super) const THREADS: &str = "aggregate";
const CASE: &str = "c10k";

const OURS: &str = "child process, files open, index blocks cached, page cache warm";
const PEER: &str = "in process of the peer, files named for each query, metadata cached, page cache warm";

/// Measures the store in `dir`, whose data is all in Parquet.
pub(super) fn run(options: &Options, report: &mut Report, dir: &Path) -> Result<()> {
    let measured = |role: &str| -> Result<Numbers> {
        let rounds = (0..options.rounds()).map(|_| call(role, dir, 0)).collect::<Result<Vec<_>>>()?;
        Ok(medians(&rounds))
    };
    let (one, threads) = (measured(ONE_THREAD)?, measured(THREADS)?);
    let duckdb = match options.smoke {
        true => Numbers::new(),
        false => duckdb(dir),
    };
    let mut figure = |figure: &str, value: f64, baseline: Option<(&str, f64)>, place: &str| {
        report.add(&Figure { case: CASE, figure, unit: "ms", value, baseline, place })
    };
    let peer = |name: &str| duckdb.get(name).map(|&ms| ("DuckDB", ms));
    let place = format!("{OURS}; wall time, default threads");
    figure("sum by job and minute", threads["sum_ms"], peer("wall_ms"), &place)?;
    let place = format!("{OURS}; wall time, 1 thread");
    figure("sum by job and minute, 1 thread", one["sum_ms"], peer("one_thread_wall_ms"), &place)?;
    let place = format!("{OURS}; CPU time, 1 thread");
    figure("sum by job and minute, 1 thread, CPU", one["sum_cpu_ms"], peer("one_thread_cpu_ms"), &place)?;
    for (name, ms) in &duckdb {
        figure(&format!("sum by job and minute, DuckDB {}", name.replace('_', " ")), *ms, None, PEER)?;
    }
    Ok(())
}

fn duckdb(dir: &Path) -> Numbers {
    let files = dir.join("cold/data/**/*.parquet");
    let answer = python::measure("aggregate.py", &[files.as_os_str(), OsStr::new("job")]);
    answer
        .map_err(|e| e.to_string())
        .and_then(|a| serde_json::from_value(a).map_err(|e| e.to_string()))
        .unwrap_or_else(|reason| {
            eprintln!("DuckDB is left out: {reason}");
            Numbers::new()
        })
}

/// The child: opens the store and aggregates.
pub(super) fn child(role: &str, dir: &Path) -> Result<Numbers> {
    let engine = store::open_with_threads(dir, (role == ONE_THREAD).then_some(1))?;
    let sum = Aggregation::new(AggregateFunction::Sum).by(["job"]).step_ms(60_000);
    let ask = || -> Result<usize> {
        let mut windows = 0;
        for group in engine.aggregate(&[], TimeRange::ALL, &sum, &QueryOptions::default())? {
            windows += group?.samples.len();
        }
        Ok(windows)
    };
    assert!(ask()? > 0, "invariant: there are samples");
    let mut numbers = Numbers::new();
    repeat(&mut numbers, "sum", 11, |_| ask().map(drop))?;
    Ok(numbers)
}
