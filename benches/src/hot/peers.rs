//! Other stores on the same data in the same run, where `--peer NAME=PROGRAM` gives them (`cargo xtask bench hot --peers`
//! does). A peer that fails is left out with a sentence, and fails nothing.
//!
//! - `promtool`: `promtool tsdb bench write` appends to Prometheus' own storage, in process, through references. It reads
//!   label sets from a file first, so what is compared is the difference of two runs, one with more scrapes.
//! - `tsink`: the program of `benches/peers`, which appends rows with label sets to a tsink storage.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tsdb_core::Labels;

use super::append::{BATCH, By, PLACE, samples_per_cpu_second};
use super::many::{FIGURES, FILL};
use super::{Error, Result};
use crate::child::{call, numbers_of};
use crate::process::children_cpu_seconds;
use crate::report::{Figure, Options, Report};
use crate::scrapes::Scrapes;

/// Samples in a commit of promtool.
const PROMTOOL_BATCH: usize = 1000;

/// Appends what each peer appends, and compares.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    run_promtool(options, report)?;
    run_tsink(options, report)
}

fn run_promtool(options: &Options, report: &mut Report) -> Result<()> {
    // promtool makes whole hundreds of scrapes.
    let (series, few, many) = (options.pick(20_000, 1000), 100, options.pick(300, 200));
    let Some(peer) = measured(options, "promtool", |program| promtool(program, series, few, many)) else {
        return Ok(());
    };
    let scrapes = Scrapes::promtool(series, many - few + 1);
    let value = samples_per_cpu_second(options, &scrapes, By::Reference, PROMTOOL_BATCH)?;
    Ok(report.add(&Figure {
        case: "append/reference/promtool's data",
        figure: "throughput",
        unit: "samples/cpu-s",
        value,
        baseline: Some(("promtool tsdb bench write", peer)),
        place: PLACE,
    })?)
}

/// On less data than our own cases have, because tsink's cost for a sample grows with them.
fn run_tsink(options: &Options, report: &mut Report) -> Result<()> {
    let (series, times, count) = (options.pick(2000, 200), options.pick(60, 5), options.pick(20_000, 500));
    let tsink =
        |args: &[String]| measured(options, "tsink", |program| numbers_of(Command::new(program).args(args)));
    let batch = BATCH.to_string();
    let args = ["append".into(), series.to_string(), times.to_string(), batch.clone()];
    if let Some(&peer) = tsink(&args).as_ref().and_then(|numbers| numbers.get("samples_per_cpu_s")) {
        let value = samples_per_cpu_second(options, &Scrapes::mixed(series, times), By::Labels, BATCH)?;
        report.add(&Figure {
            case: &format!("append/labels/{series} series x {times}"),
            figure: "throughput",
            unit: "samples/cpu-s",
            value,
            baseline: Some(("tsink", peer)),
            place: PLACE,
        })?;
    }
    if let Some(peer) = tsink(&["many".into(), count.to_string(), batch]) {
        let dir = tempfile::tempdir()?;
        let ours = call(FILL, dir.path(), count)?;
        for &(_, figure, unit, name, _, place) in FIGURES {
            if let (Some(&value), Some(&peer)) = (ours.get(name), peer.get(name)) {
                let case = &format!("many/{count} series");
                report.add(&Figure { case, figure, unit, value, baseline: Some(("tsink", peer)), place })?;
            }
        }
    }
    Ok(())
}

/// What a peer gives; `None` if it is not asked for or fails.
fn measured<T>(options: &Options, name: &str, measure: impl FnOnce(&Path) -> Result<T>) -> Option<T> {
    let measured = measure(options.peer(name)?);
    measured.inspect_err(|error| eprintln!("bench hot: {name} failed and is left out: {error}")).ok()
}

/// Samples for a CPU second of `promtool tsdb bench write`, between two numbers of scrapes.
fn promtool(program: &Path, series: usize, few: usize, many: usize) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("series.json");
    write_series(&file, Scrapes::promtool(series, 1).labels())?;
    let run = |scrapes: usize| -> Result<f64> {
        let before = children_cpu_seconds().ok_or("no /proc tells the CPU time of a child")?;
        let output = Command::new(program)
            .args(["tsdb", "bench", "write"])
            .arg(format!("--out={}", dir.path().join(format!("out-{scrapes}")).display()))
            .args([format!("--metrics={series}"), format!("--scrapes={scrapes}")])
            .arg(&file)
            .stdin(Stdio::null())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let total = text.lines().find(|line| line.contains("total samples")).unwrap_or_default();
        if !output.status.success() || !total.ends_with(&format!(": {}", series * scrapes)) {
            let status = output.status;
            return Err(format!("{status}, `{total}` and not {}", series * scrapes).into());
        }
        let after = children_cpu_seconds().ok_or("no /proc tells the CPU time of a child")?;
        Ok(after - before)
    };
    let seconds = run(many)? - run(few)?;
    if seconds <= 0.0 {
        return Err("its runs are too short to be told apart".into());
    }
    Ok((series * (many - few)) as f64 / seconds)
}

/// The label sets as promtool reads them, one object a line. It splits at commas and colons, quoted or not: the wide
/// label sets have none.
fn write_series(file: &Path, labels: &[Labels]) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    for labels in labels {
        let pairs: Vec<String> =
            labels.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        writeln!(out, "{{{}}}", pairs.join(","))?;
    }
    out.flush().map_err(Error::from)
}
