//! The cases of `cargo xtask bench cold-file`: how small a cold file is, what writing it takes, and how soon the series
//! index finds what is asked for, beside DuckDB and Polars on the same file in the same run.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tsdb_core::{MatchOp, Matcher};
use tsdb_parquet_io::{ColdFileMetadata, FileMeta, ParquetConfig};
use tsdb_schema::LabelLayout;

use crate::look_ups::{PEERS, Question};
use crate::parquet::{OpenFile, Table, exactly};
use crate::process::{forget_peak, resident};
use crate::report::{Figure, Options, Report, median, median_cpu_seconds};

const SIZE: &str = "whole file, lossless, index and footer included";
const WRITE: &str = "in process, 1 thread, CPU time, samples in memory to bytes in memory";
const COLD: &str = "in process, 1 thread, page cache warm, nothing else cached, opening included";
const WARM: &str = "in process, 1 thread, page cache warm, open file, index blocks cached";
const MIB: f64 = (1 << 20) as f64;

/// Look-ups of which the median is taken.
const LOOKUPS: usize = 201;

/// Measures every case.
///
/// # Errors
/// The report or a file cannot be written.
///
/// # Panics
/// A case that does not work.
pub fn run(options: &Options, report: &mut Report) -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let c1k = Table::generate(options.pick(1_000, 20), options.pick(10_000, 200));
    file(report, dir.path(), "c1k", &c1k, 1.95)?;
    drop(c1k);

    let c10k = Table::generate(options.pick(10_000, 200), options.pick(240, 40));
    file(report, dir.path(), "c10k", &c10k, 2.2)?;
    write(options, report, &c10k)?;
    lookups(options, report, dir.path(), "c10k", &c10k, &regex_of_targets(c10k.series()))?;
    drop(c10k);

    let hc = Table::requests(options.pick(1_000_000, 2_000));
    file(report, dir.path(), "hc", &hc, 30.0)?;
    lookups(options, report, dir.path(), "hc", &hc, &regex_of_requests())
}

/// 300 of the 10,000 series of c10k: three metrics of 100 targets, by a pattern for the targets. Of fewer series more.
pub(crate) fn regex_of_targets(series: usize) -> Vec<Matcher> {
    let pattern = if series >= 10_000 { "10[.].*[05]:9100|10[.].*7:8080" } else { "10[.].*" };
    vec![regex("instance", pattern), regex("__name__", "node_network_receive_bytes_total|.*_requests_total")]
}

/// About 250 requests, by the first digits of their id.
fn regex_of_requests() -> Vec<Matcher> {
    vec![regex("request_id", "abc.*")]
}

fn regex(name: &str, pattern: &str) -> Matcher {
    Matcher::new(MatchOp::Regex, name, pattern).expect("invariant: a pattern that is known to be sound")
}

fn name_of(case: &str) -> String {
    format!("{case}.parquet")
}

/// Writes the file of a case to disk: sizes and the writer's memory.
fn file(report: &mut Report, dir: &Path, case: &str, table: &Table, bar: f64) -> io::Result<()> {
    let before = resident().filter(|_| forget_peak());
    let sink = BufWriter::new(File::create(dir.join(name_of(case)))?);
    let (_, held) = table.write_to(sink, &table.config(LabelLayout::Hybrid));
    let grown = before.zip(resident()).map(|(before, after)| after.peak.saturating_sub(before.now));

    let file = OpenFile::open(dir, &name_of(case))?;
    let FileMeta { bytes, rows, series, .. } = *file.reader().file_meta();
    let mut figure = |figure: &str, unit: &str, value: f64, baseline: Option<(&str, f64)>, place: &str| {
        report.add(&Figure { case, figure, unit, value, baseline, place })
    };
    figure("size", "B/sample", bytes as f64 / rows as f64, Some(("the bar", bar)), SIZE)?;
    let index = index_bytes(file.reader().metadata()) as f64;
    figure("index", "B/series", index / series as f64, Some(("the bar", 35.0)), "the series index alone")?;
    figure("index's share", "%", 100.0 * index / bytes as f64, None, SIZE)?;
    let held = held as f64 / MIB;
    figure("memory of the writer", "MiB", held, Some(("the bar", 256.0)), "as the writer counts it")?;
    match grown {
        Some(grown) => figure(
            "memory while writing",
            "MiB",
            grown as f64 / MIB,
            Some(("the bar", 256.0)),
            "growth of the process at its peak, the samples not counted",
        ),
        None => Ok(()),
    }
}

fn index_bytes(metadata: &ColdFileMetadata) -> u64 {
    let blocks = metadata.series_index().map_or(&[][..], |directory| directory.blocks());
    blocks.iter().map(|block| u64::from(block.stored_len)).sum()
}

fn write(options: &Options, report: &mut Report, table: &Table) -> io::Result<()> {
    let config = table.config(LabelLayout::Hybrid);
    let without = ParquetConfig { series_index: false, ..config.clone() };
    let [with, without] = median_cpu_seconds(
        options.rounds(),
        [&mut || _ = table.write(&config), &mut || _ = table.write(&without)],
    );
    let rate = |seconds: f64| table.rows() as f64 / seconds;
    let mut figure = |figure: &str, seconds: f64, baseline| {
        let unit = "samples/s";
        report.add(&Figure { case: "c10k", figure, unit, value: rate(seconds), baseline, place: WRITE })
    };
    figure("write", with, Some(("the bar", 6e6)))?;
    figure("write without index", without, Some(("with index", rate(with))))
}

/// Look-ups of single series all over the table, and of a few hundred by a pattern.
fn lookups(
    options: &Options,
    report: &mut Report,
    dir: &Path,
    case: &str,
    table: &Table,
    pattern: &[Matcher],
) -> io::Result<()> {
    let count = options.pick(LOOKUPS, 3);
    let places = (0..count).map(|i| i * 7919 % table.series());
    let targets: Vec<Arc<[Matcher]>> = places
        .map(|place| {
            let labels = table.series_at(place);
            // What a user asks by: the id of a request, or all labels.
            match labels.get("request_id") {
                Some(id) => Arc::from([Matcher::equal("request_id", id)]),
                None => exactly(labels).into(),
            }
        })
        .collect();
    let pattern: Arc<[Matcher]> = pattern.into();
    let peers = if options.smoke {
        Value::Null
    } else {
        let one = targets.iter().take(21).map(AsRef::as_ref).collect();
        Question { one, pattern: &pattern, values: None }.ask(&dir.join(name_of(case)))
    };

    // First look-ups: each opens the file.
    let (mut seconds, mut reads, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for target in &targets {
        let start = Instant::now();
        let file = OpenFile::open(dir, &name_of(case))?;
        assert!(file.select_shared(Arc::clone(target)) > 0, "a series of the table");
        seconds.push(start.elapsed().as_secs_f64());
        let read = file.reader().statistics();
        reads.push(read.range_reads as f64);
        bytes.push(read.bytes_read as f64);
    }
    let most = |numbers: &[f64]| numbers.iter().copied().fold(0.0, f64::max);
    let mut figure = |figure: &str, unit: &str, value: f64, baseline: Option<(&str, f64)>, place: &str| {
        report.add(&Figure { case, figure, unit, value, baseline, place })
    };
    figure("first look-up", "ms", median(seconds) * 1e3, Some(("the bar", 10.0)), COLD)?;
    figure("first look-up, range reads at most", "", most(&reads), Some(("the bar", 6.0)), COLD)?;
    figure("first look-up, KiB at most", "KiB", most(&bytes) / 1024.0, Some(("the bar", 512.0)), COLD)?;

    let file = OpenFile::open(dir, &name_of(case))?;
    let time = |matchers: &Arc<[Matcher]>| {
        let start = Instant::now();
        let samples = file.select_shared(Arc::clone(matchers));
        (start.elapsed().as_secs_f64() * 1e3, samples)
    };
    let different: Vec<f64> = targets.iter().map(|target| time(target).0).collect();
    let same: Vec<f64> = (0..count).map(|_| time(&targets[0]).0).collect();
    let patterns: Vec<f64> = (0..count.min(51)).map(|_| time(&pattern).0).collect();
    let found = time(&pattern).1;
    assert!(found > 0, "the pattern matches");
    let one = median(same);
    figure("one series again", "ms", one, Some(("the bar", 0.3)), WARM)?;
    figure("one series of many", "ms", median(different), None, WARM)?;
    let series = found as f64 / table.rows() as f64 * table.series() as f64;
    figure("pattern, series", "", series, None, WARM)?;
    let by_pattern = median(patterns);
    figure("pattern", "ms", by_pattern, Some(("the bar", 3.0)), WARM)?;
    for (peer, key) in PEERS {
        let place = "in process of the peer, wall time, as many threads as it likes, page cache warm";
        for (what, ours, name) in [("one series", one, "one_ms"), ("pattern", by_pattern, "pattern_ms")] {
            if let Some(theirs) = peers[key][name].as_f64() {
                figure(&format!("{what} by {peer}"), "ms", theirs, Some(("ours", ours)), place)?;
            }
        }
    }
    Ok(())
}
