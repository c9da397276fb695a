//! A million series with a unique label and three samples each: ingest, memory, seal, replay, selects.
//!
//! Two children. One fills a store and seals it; before the seal it gives the log's segments second names in another
//! directory, and from those the other child recovers, as after a crash, and answers selects.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use tsdb_core::{Labels, TimeRange, parse_selector};
use tsdb_hot::{HotStore, WalSync};

use super::Result;
use super::append::{BATCH, open};
use crate::child::{Numbers, call, medians};
use crate::process::{forget_peak, resident};
use crate::report::{Figure, Options, Report, cpu_seconds, median, process_cpu_seconds};
use crate::requests::{self, SAMPLES};

/// The roles of the children.
pub(super) const FILL: &str = "fill";
pub(super) const REPLAY: &str = "replay";

/// Where the second names of the log's segments are, below the store's directory.
const COPY: &str = "copy";

/// Selects, and how many times each is made.
const SELECTS: &[(&str, &str, usize)] = &[
    ("one series", r#"{request_id="ID"}"#, 501),
    ("1.3k series", r#"{namespace="ns-3",handler="/api/v1/h7",region="us-1"}"#, 21),
];

const INGEST: &str = "child process, 1 writer and the log's thread, CPU time of the process with the kernel's, new series by \
                      labels, 2000 samples a commit, WalSync::Interval(1 s), real files";
const MEMORY: &str = "child process of its own, what the kernel counts as resident, system allocator";
const SEAL: &str = "child process, 1 thread, head in memory to a block on disk with its fsyncs";
const RECOVERY: &str = "child process, HotStore::open of the log as after a crash, files in the page cache";
const SELECT: &str =
    "child process, 1 thread, CPU time, head in memory, labels and samples of every series taken";

/// The figures of the children: case, figure, unit, the child's name for it, bar, place.
pub(super) const FIGURES: &[(&str, &str, &str, &str, Option<f64>, &str)] = &[
    ("many/ingest", "cost", "cpu-s/M", "ingest_cpu_s_per_m", Some(0.8), INGEST),
    ("many/ingest", "log", "B/sample", "wal_bytes_per_sample", None, INGEST),
    ("many/memory", "resident", "B/series", "resident_per_series", Some(450.0), MEMORY),
    ("many/memory", "accounted by stats", "B/series", "accounted_per_series", None, MEMORY),
    ("many/memory", "resident/accounted", "ratio", "resident_by_accounted", None, MEMORY),
    ("many/seal", "cost", "cpu-s", "seal_cpu_s", None, SEAL),
    ("many/seal", "series", "series/cpu-s", "seal_series_per_cpu_s", None, SEAL),
    ("many/seal", "wall", "s", "seal_wall_s", None, SEAL),
    ("many/seal", "peak/before", "ratio", "seal_peak_by_before", Some(1.3), MEMORY),
    ("many/seal", "resident after", "B/series", "after_seal_per_series", None, MEMORY),
    ("many/seal", "of that the mapped block", "B/series", "after_seal_mapped_per_series", None, MEMORY),
    ("many/seal", "block", "B/series", "block_bytes_per_series", None, SEAL),
    ("many/replay", "wall", "s", "replay_wall_s", Some(1.0), RECOVERY),
    ("many/replay", "cost", "cpu-s", "replay_cpu_s", None, RECOVERY),
    ("many/replay", "resident", "B/series", "replay_resident_per_series", None, MEMORY),
    ("many/replay", "peak/resident", "ratio", "replay_peak_by_resident", None, MEMORY),
    ("many/select/one series", "p50", "us", "one series", None, SELECT),
    ("many/select/1.3k series", "p50", "us", "1.3k series", None, SELECT),
];

/// Measures everything with a million series.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let count = options.pick(1_000_000, 2000);
    let mut rounds = Vec::new();
    for _ in 0..options.rounds().min(3) {
        let dir = tempfile::tempdir()?;
        let mut numbers = call(FILL, dir.path(), count)?;
        numbers.extend(call(REPLAY, &dir.path().join(COPY), count)?);
        rounds.push(numbers);
    }
    let numbers = medians(&rounds);
    for &(case, figure, unit, name, bar, place) in FIGURES {
        if let Some(&value) = numbers.get(name) {
            let baseline = bar.map(|bar| ("the bar", bar));
            report.add(&Figure { case, figure, unit, value, baseline, place })?;
        }
    }
    Ok(())
}

/// The child that fills a store in `dir` and seals it.
pub(super) fn fill(dir: &Path, count: u64) -> Result<Numbers> {
    let mut numbers = Numbers::new();
    // What making the data takes is there before the store is.
    drop(black_box(batches(count).next()));
    let empty = resident();
    let store = open(&dir.join("store"), WalSync::Interval(Duration::from_secs(1)))?;
    let mut seconds = 0.0;
    fill_with(&store, count, |took| seconds += took)?;
    let per_series = |bytes: u64| bytes as f64 / count as f64;
    let full = resident();
    let stats = store.stats();
    assert_eq!((stats.head.series, stats.head.samples), (count, count * SAMPLES), "invariant: all is new");
    numbers.insert("ingest_cpu_s_per_m".into(), seconds / (count * SAMPLES) as f64 * 1e6);
    numbers.insert("wal_bytes_per_sample".into(), stats.wal.bytes as f64 / (count * SAMPLES) as f64);
    numbers.insert("accounted_per_series".into(), per_series(stats.head.bytes));
    if let (Some(empty), Some(full)) = (empty, full) {
        let used = full.now - empty.now;
        numbers.insert("resident_per_series".into(), per_series(used));
        numbers.insert("resident_by_accounted".into(), used as f64 / stats.head.bytes as f64);
    }
    store.sync()?;
    second_names(&dir.join("store/wal"), &dir.join(COPY).join("wal"))?;
    seal(&store, count, &mut numbers)?;
    if let (Some(empty), Some(after)) = (empty, resident()) {
        numbers.insert("after_seal_per_series".into(), per_series(after.now.saturating_sub(empty.now)));
        let mapped = after.mapped.saturating_sub(empty.mapped);
        numbers.insert("after_seal_mapped_per_series".into(), per_series(mapped));
    }
    Ok(numbers)
}

/// Commits `count` series; tells the CPU seconds of the process for each commit.
pub(super) fn fill_with(store: &HotStore, count: u64, mut took: impl FnMut(f64)) -> Result<()> {
    for batch in batches(count) {
        let (seconds, committed) = process_cpu_seconds(|| commit(store, &batch));
        committed?;
        took(seconds);
    }
    Ok(())
}

/// The data as a writer brings them.
fn batches(count: u64) -> impl Iterator<Item = Vec<(Labels, i64, f64)>> {
    let mut samples = requests::arrivals(count).map(move |(series, sample)| {
        let (timestamp_ms, value) = requests::samples(series, count)[sample];
        (requests::labels(series), timestamp_ms, value)
    });
    std::iter::from_fn(move || {
        let batch: Vec<_> = samples.by_ref().take(BATCH).collect();
        (!batch.is_empty()).then_some(batch)
    })
}

fn commit(store: &HotStore, batch: &[(Labels, i64, f64)]) -> tsdb_hot::Result<()> {
    let mut appender = store.appender();
    for (labels, timestamp_ms, value) in batch {
        appender.append_float(labels, *timestamp_ms, *value)?;
    }
    appender.commit().map(drop)
}

fn second_names(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::hard_link(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn seal(store: &HotStore, count: u64, numbers: &mut Numbers) -> Result<()> {
    let before = resident().filter(|_| forget_peak());
    let started = Instant::now();
    let (seconds, blocks) = process_cpu_seconds(|| store.seal());
    numbers.insert("seal_wall_s".into(), started.elapsed().as_secs_f64());
    assert!(!blocks?.is_empty(), "invariant: there was something to seal");
    numbers.insert("seal_cpu_s".into(), seconds);
    numbers.insert("seal_series_per_cpu_s".into(), count as f64 / seconds);
    if let (Some(before), Some(after)) = (before, resident()) {
        numbers.insert("seal_peak_by_before".into(), after.peak as f64 / before.now as f64);
    }
    let stats = store.stats();
    assert_eq!((stats.head.samples, stats.blocks.samples), (0, count * SAMPLES), "invariant: all is sealed");
    numbers.insert("block_bytes_per_series".into(), stats.blocks.bytes as f64 / count as f64);
    Ok(())
}

/// The child that recovers the store of `dir` and answers selects from it.
pub(super) fn replay(dir: &Path, count: u64) -> Result<Numbers> {
    let mut numbers = Numbers::new();
    let empty = resident();
    let (started, cpu) = (Instant::now(), ProcessTime::now());
    let store = open(dir, WalSync::Always)?;
    numbers.insert("replay_wall_s".into(), started.elapsed().as_secs_f64());
    numbers.insert("replay_cpu_s".into(), cpu.elapsed().as_secs_f64());
    let full = resident();
    assert_eq!(store.stats().head.samples, count * SAMPLES, "invariant: the log has everything");
    if let (Some(empty), Some(full)) = (empty, full) {
        let used = full.now - empty.now;
        numbers.insert("replay_resident_per_series".into(), used as f64 / count as f64);
        numbers.insert("replay_peak_by_resident".into(), full.peak as f64 / full.now as f64);
    }
    for &(name, selector, times) in SELECTS {
        let seconds = (0..times as u64).map(|i| {
            let id = requests::labels(i * 7_919 % count);
            let id = id.get("request_id").expect("invariant: every series has one");
            let selector = selector.replace("ID", id);
            let mut selected = Ok(0);
            let seconds = cpu_seconds(|| selected = select(&store, &selector));
            selected.map(|_| seconds)
        });
        numbers.insert(name.into(), 1e6 * median(seconds.collect::<Result<_>>()?));
    }
    Ok(numbers)
}

/// Takes every series that the selector finds; gives their number.
fn select(store: &HotStore, selector: &str) -> Result<usize> {
    let matchers = parse_selector(selector)?;
    let mut found = 0;
    for source in store.snapshot().sources() {
        for series in source.select(&matchers, TimeRange::ALL)? {
            black_box(series?);
            found += 1;
        }
    }
    Ok(found)
}
