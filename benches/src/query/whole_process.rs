//! `tsdb query` of one series as a user runs it: a process from its start to its end.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Result, TSDB, wall_ms};
use crate::process::children_cpu_seconds;
use crate::report::{Figure, Options, Report, median};

/// The bar, in milliseconds.
const BAR_MS: f64 = 30.0;
const PLACE: &str = "tsdb query as a process of its own, from fork to exit, output through a pipe, program and files in the page cache";

/// Asks for one id after the other, a process each. Left out where no binary is named.
pub(super) fn run(
    options: &Options,
    report: &mut Report,
    case: &str,
    dir: &Path,
    id: &dyn Fn(usize) -> String,
) -> Result<()> {
    let Some(tsdb) = std::env::var_os(TSDB) else {
        eprintln!(
            "bench query: {TSDB} names no binary (`cargo xtask bench` builds one); whole processes are left out"
        );
        return Ok(());
    };
    let runs = options.pick(101, 1);
    let before = children_cpu_seconds();
    let mut times = Vec::new();
    for n in 0..runs {
        let id = id(n);
        let (took, output) = wall_ms(|| {
            let mut command = Command::new(&tsdb);
            command.args(["query", &format!("{{request_id=\"{id}\"}}"), "--format", "jsonl", "--data-dir"]);
            Ok(command.arg(dir).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?)
        })?;
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains(&id), "invariant: the id is found");
        times.push(took);
    }
    let mut figure = |figure, value, baseline| {
        report.add(&Figure { case, figure, unit: "ms", value, baseline, place: PLACE })
    };
    figure("tsdb query, wall p50", median(times), Some(("the bar", BAR_MS)))?;
    if let Some((before, after)) = before.zip(children_cpu_seconds()) {
        figure("tsdb query, CPU mean", (after - before) * 1e3 / runs as f64, None)?;
    }
    Ok(())
}
