//! The cases of `cargo xtask bench query`: what a query takes from a store whose data is all in Parquet, beside the same
//! store in blocks, and beside DuckDB and Polars on the same files in the same run.
//!
//! The parent makes the stores. What is measured runs in children that have not made them: this same program, called as
//! `child ROLE DIR COUNT`; and, for a query as a whole process, the binary `tsdb` that [`TSDB`] names.

mod aggregate;
mod mixed;
mod peers;
mod requests;
mod store;
mod whole_process;

use std::error::Error;
use std::time::Instant;

use cpu_time::ProcessTime;

use crate::child::{self, Numbers};
use crate::report::{Figure, Options, Report, median};

/// The environment variable that names the binary `tsdb`; `cargo xtask bench` sets it.
pub const TSDB: &str = "TSDB_BIN";

/// For a machine that does something else at the same time, which makes wall times longer and CPU times hardly.
const CPU: &str = "the calls of the figure before, CPU time of all threads of the process";
const MIB: f64 = (1 << 20) as f64;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Measures every case.
///
/// # Errors
/// The report or a store cannot be written.
pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    mixed::run(options, report)?;
    requests::run(options, report)
}

/// Is one measured process: `ROLE DIR COUNT`.
///
/// # Errors
/// As [`run`], and arguments that no child is called with.
pub fn child(args: &[String]) -> Result<()> {
    child::run(args, |role, dir, count| match role {
        requests::ROLE => requests::child(dir, count),
        mixed::ROLE => mixed::child(dir, count),
        aggregate::ONE_THREAD | aggregate::THREADS => aggregate::child(role, dir),
        _ => Err(format!("no role `{role}`").into()),
    })
}

/// A figure of a child: its name in the report, unit, the child's name for it, bar, place.
type Line = (&'static str, &'static str, &'static str, Option<f64>, &'static str);

/// Reports what a child measured, each figure beside its bar; and, where there is one, the CPU time beside a wall time.
fn add(report: &mut Report, case: &str, lines: &[Line], numbers: &Numbers) -> Result<()> {
    for &(figure, unit, name, bar, place) in lines {
        let Some(&value) = numbers.get(name) else { continue };
        let baseline = bar.map(|bar| ("the bar", bar));
        report.add(&Figure { case, figure, unit, value, baseline, place })?;
        let cpu = name.strip_suffix("_ms").and_then(|name| numbers.get(&format!("{name}_cpu_ms")));
        if let Some(&cpu) = cpu {
            let (figure, baseline) = (&format!("{figure}, CPU"), Some(("wall", value)));
            report.add(&Figure { case, figure, unit, value: cpu, baseline, place: CPU })?;
        }
    }
    Ok(())
}

/// Wall milliseconds of `work`, and what it returns.
fn wall_ms<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let started = Instant::now();
    let done = work()?;
    Ok((started.elapsed().as_secs_f64() * 1e3, done))
}

/// Calls `work` so many times, each told its number. The medians become the numbers `NAME_ms`, wall time, and `NAME_cpu_ms`,
/// CPU time of all threads.
fn repeat(
    numbers: &mut Numbers,
    name: &str,
    times: usize,
    mut work: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    let (mut wall, mut cpu) = (Vec::new(), Vec::new());
    for n in 0..times {
        let started = ProcessTime::now();
        wall.push(wall_ms(|| work(n))?.0);
        cpu.push(started.elapsed().as_secs_f64() * 1e3);
    }
    numbers.insert(format!("{name}_ms"), median(wall));
    numbers.insert(format!("{name}_cpu_ms"), median(cpu));
    Ok(())
}
