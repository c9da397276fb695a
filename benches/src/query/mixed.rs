//! Ten thousand series of an hour, as Parquet and, beside it, as blocks: one series, some, all of them.

use std::path::Path;

use cpu_time::ProcessTime;
use tsdb_core::{Labels, Matcher, TimeRange};
use tsdb_engine::ScanOptions;
use tsdb_workload::Mixed;

use super::store::{self, Tier, ask};
use super::{CPU, Line, Result, add, aggregate, peers, repeat, wall_ms};
use crate::child::{Numbers, call, medians};
use crate::cold_file::regex_of_targets;
use crate::look_ups::Question;
use crate::parquet::exactly;
use crate::report::{Figure, Options, Report};

/// The role of the child.
pub(super) const ROLE: &str = "mixed";
const CASE: &str = "c10k";

const FIRST: &str = "fresh child process, 1 thread, wall time, page cache warm, nothing else cached; Engine::open came before";
const WARM: &str =
    "child process, 1 thread, wall time, files open, index blocks cached, pages in the page cache only";
const SELECT: &str = "child process, CPU time, files open, every sample of every series decoded and counted";
const SCAN: &str =
    "child process, CPU time, files open, Arrow record batches with all labels as columns, rows counted";

/// Of the store in Parquet, with the bars.
const COLD: &[Line] = &[
    ("one series, first", "ms", "first_ms", None, FIRST),
    ("one series", "ms", "one_ms", Some(0.3), WARM),
    ("pattern, 300 series", "ms", "pattern_ms", Some(3.0), WARM),
    ("values of a label with 100", "ms", "values_ms", Some(0.1), WARM),
    ("label names", "ms", "names_ms", None, WARM),
    ("all samples", "samples/cpu-s", "select_rate", None, SELECT),
    ("all samples as a table", "samples/cpu-s", "scan_rate", None, SCAN),
    ("the same without histograms", "samples/cpu-s", "scan_floats_rate", None, SCAN),
];
/// What is compared with the same of the store in blocks: figure, unit, the child's name for it, place.
const BESIDE: &[(&str, &str, &str, &str)] = &[
    ("one series, Parquet to block", "ms", "one_cpu_ms", CPU),
    ("pattern, Parquet to block", "ms", "pattern_cpu_ms", CPU),
    ("all samples, Parquet to block", "samples/cpu-s", "select_rate", SELECT),
    ("all samples as a table, Parquet to block", "samples/cpu-s", "scan_rate", SCAN),
];

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let (series, scrapes) = (options.pick(10_000, 200), options.pick(240, 40));
    let dir = tempfile::tempdir()?;
    let measured = |tier: Tier, name: &str| -> Result<Numbers> {
        let dir = dir.path().join(name);
        store::mixed(&dir, series, scrapes, tier)?;
        let rounds =
            (0..options.rounds()).map(|_| call(ROLE, &dir, series as u64)).collect::<Result<Vec<_>>>()?;
        Ok(medians(&rounds))
    };
    let (blocks, cold) = (measured(Tier::Blocks, "blocks")?, measured(Tier::Parquet, "parquet")?);
    add(report, CASE, COLD, &cold)?;
    for &(figure, unit, name, place) in BESIDE {
        let baseline = Some(("from the block", blocks[name]));
        report.add(&Figure { case: CASE, figure, unit, value: cold[name], baseline, place })?;
    }
    aggregate::run(options, report, &dir.path().join("parquet"))?;
    let labels = all_labels(series);
    let one: Vec<_> = (0..21).map(|n| exactly(&labels[place(n, series)])).collect();
    let pattern = regex_of_targets(series);
    let question = Question {
        one: one.iter().map(Vec::as_slice).collect(),
        pattern: &pattern,
        values: Some("instance"),
    };
    let ours = [("first", "first_ms"), ("one", "one_ms"), ("pattern", "pattern_ms"), ("values", "values_ms")];
    peers::run(options, report, CASE, &dir.path().join("parquet"), &question, (&ours, &cold))
}

/// The place of the `n`-th series that is asked for.
fn place(n: usize, series: usize) -> usize {
    n * 7919 % series
}

fn all_labels(series: usize) -> Vec<Labels> {
    let workload = Mixed::new(series, 1).generate();
    (0..series).map(|n| workload.labels(n).clone()).collect()
}

/// The child: opens the store and asks.
pub(super) fn child(dir: &Path, series: u64) -> Result<Numbers> {
    let series = series as usize;
    let labels = all_labels(series);
    let engine = store::open(dir)?;
    let mut numbers = Numbers::new();
    let one = |n: usize| -> Result<()> {
        let (found, _) = ask(&engine, &exactly(&labels[place(n, series)]))?;
        assert_eq!(found, 1, "invariant: all labels are those of one series");
        Ok(())
    };
    numbers.insert("first_ms".into(), wall_ms(|| one(0))?.0);
    (0..201).try_for_each(one)?;
    repeat(&mut numbers, "one", 201, one)?;

    let pattern: Vec<Matcher> = regex_of_targets(series);
    let (found, _) = ask(&engine, &pattern)?;
    assert!(found > 0, "invariant: the pattern matches");
    repeat(&mut numbers, "pattern", 51, |_| ask(&engine, &pattern).map(drop))?;

    let values = || -> Result<usize> { Ok(engine.label_values("instance", &[], TimeRange::ALL)?.len()) };
    assert!(values()? > 0, "invariant: there are targets");
    repeat(&mut numbers, "values", 101, |_| values().map(drop))?;
    let names = || -> Result<usize> { Ok(engine.label_names(&[], TimeRange::ALL)?.len()) };
    repeat(&mut numbers, "names", 101, |_| names().map(drop))?;

    let started = ProcessTime::now();
    let (found, samples) = ask(&engine, &[])?;
    assert_eq!(found, series, "invariant: everything is selected");
    numbers.insert("select_rate".into(), samples as f64 / started.elapsed().as_secs_f64());
    for (name, histograms) in [("scan_rate", true), ("scan_floats_rate", false)] {
        let mut options = ScanOptions::default();
        options.histograms = histograms;
        let started = ProcessTime::now();
        let mut rows = 0;
        for batch in engine.scan(&[], TimeRange::ALL, &options)? {
            rows += batch?.num_rows();
        }
        assert_eq!(rows, samples, "invariant: a row is a sample");
        numbers.insert(name.into(), rows as f64 / started.elapsed().as_secs_f64());
    }
    Ok(numbers)
}
