//! Conversion and compaction: samples a CPU second, memory, and sizes.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tsdb_cold::{ColdOptions, ColdTier, CompactionMode, Error as ColdError, Progress, Unconverted, VfsStore};
use tsdb_hot::{HotStore, SealedBlock};
use tsdb_vfs::RealFs;

use super::Result;
use super::data::{Day, fill_high_cardinality, fill_window, hot_store};
use crate::child::{Numbers, call, medians};
use crate::process::{Resident, forget_peak, resident};
use crate::report::{Figure, Options, Report, process_cpu_seconds};

/// The roles of the children.
pub(super) const CONVERT: &str = "convert";
pub(super) const COMPACT: &str = "compact";

/// The bars of the design.
const CONVERT_PER_S: f64 = 5e6;
const COMPACT_PER_S: f64 = 5e6;
const COMPACT_BYTES: f64 = 300.0 * (1 << 20) as f64;
/// Children of each case.
const ROUNDS: usize = 3;

const CONVERSION: &str = "child process, 1 thread, CPU time of the process, mapped blocks to a verified cold file on disk, fsyncs \
                          and catalog commit included";
const COMPACTION: &str =
    "child process, 1 thread, CPU time of the process, files in the page cache, to a verified file on disk";
const MEMORY: &str =
    "child process of its own, peak of what the kernel counts as resident over what was before";
const SIZE: &str = "length of the files";

pub(super) fn run(day: &Day, options: &Options, report: &mut Report) -> Result<()> {
    let series = options.pick(10_000, 100);
    conversion("c10k, 2 h", &|hot| fill_window(hot, series, options), options, report)?;
    let series = options.pick(1_000, 100);
    conversion("c1k, 2 h", &|hot| fill_window(hot, series, options), options, report)?;
    let series = options.pick(200_000, 100);
    conversion("hc", &|hot| fill_high_cardinality(hot, series), options, report)?;
    compaction(day, options, report)
}

/// A cold tier in a directory of its own.
fn cold_tier(dir: &Path) -> Result<(ColdTier, Runtime)> {
    let runtime = Builder::new_current_thread().build()?;
    let store = VfsStore::new(Arc::new(RealFs), dir.join("cold"));
    let tier = runtime.block_on(ColdTier::open(Arc::new(store), ColdOptions::default()))?;
    Ok((tier, runtime))
}

fn convert(sealed: &[Arc<SealedBlock>], cold: &ColdTier, runtime: &Runtime) -> Result<()> {
    let blocks: Vec<_> = sealed.iter().map(|block| block.block()).collect();
    let progress = Progress::default();
    Ok(runtime.block_on(cold.convert(&blocks, 0, &progress, |_| Ok::<_, ColdError>(())))?)
}

/// The kernel's peak of resident memory over what it was at `before`.
fn peak_over(before: Option<Resident>) -> Option<f64> {
    Some(resident()?.peak.saturating_sub(before?.now) as f64)
}

/// The child that converts the blocks of `dir` to one file for each day.
pub(super) fn convert_child(dir: &Path) -> Result<Numbers> {
    let mut numbers = Numbers::new();
    let (hot, (cold, runtime)) = (hot_store(dir)?, cold_tier(dir)?);
    let before = resident().filter(|_| forget_peak());
    let (seconds, converted) = process_cpu_seconds(|| convert(&hot.blocks(), &cold, &runtime));
    converted?;
    numbers.extend(peak_over(before).map(|peak| ("peak".into(), peak)));
    let stats = cold.stats();
    let block_bytes: u64 = hot.blocks().iter().map(|block| block.bytes()).sum();
    numbers.insert("seconds".into(), seconds);
    numbers.insert("samples".into(), stats.samples as f64);
    numbers.insert("cold_bytes".into(), stats.bytes as f64);
    numbers.insert("block_bytes".into(), block_bytes as f64);
    Ok(numbers)
}

/// Calls a child, once for each round, in a directory that `prepare` has filled.
fn rounds(role: &str, options: &Options, prepare: &dyn Fn(&Path) -> Result<()>) -> Result<Numbers> {
    let mut rounds = Vec::new();
    for _ in 0..options.rounds().min(ROUNDS) {
        let dir = tempfile::tempdir()?;
        prepare(dir.path())?;
        rounds.push(call(role, dir.path(), 0)?);
    }
    Ok(medians(&rounds))
}

fn conversion(
    name: &str,
    fill: &dyn Fn(&HotStore) -> Result<()>,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let numbers = rounds(CONVERT, options, &|dir| fill(&hot_store(dir)?))?;
    report_conversion(name, &numbers, report)
}

fn report_conversion(name: &str, numbers: &Numbers, report: &mut Report) -> Result<()> {
    let case = format!("convert/{name}");
    let samples = numbers["samples"];
    let mut add = |figure, unit, value, baseline, place| {
        report.add(&Figure { case: &case, figure, unit, value, baseline, place })
    };
    let rate = samples / numbers["seconds"];
    add("rate", "samples/cpu-s", rate, Some(("the bar", CONVERT_PER_S)), CONVERSION)?;
    let block = Some((".block", numbers["block_bytes"] / samples));
    add(".parquet", "B/sample", numbers["cold_bytes"] / samples, block, SIZE)?;
    if let Some(&peak) = numbers.get("peak") {
        add("memory above", "B", peak, None, MEMORY)?;
    }
    Ok(())
}

/// The child that compacts the cold files of `dir`.
pub(super) fn compact_child(dir: &Path) -> Result<Numbers> {
    let mut numbers = Numbers::new();
    let (cold, runtime) = cold_tier(dir)?;
    let before = resident().filter(|_| forget_peak());
    let (nothing, progress) = (Unconverted::default(), Progress::default());
    let work = cold.compact(&nothing, CompactionMode::Full, 0, &progress);
    let (seconds, done) = process_cpu_seconds(|| runtime.block_on(work));
    let done = done?;
    numbers.extend(peak_over(before).map(|peak| ("peak".into(), peak)));
    numbers.insert("seconds".into(), seconds);
    numbers.insert("samples".into(), done.samples_in as f64);
    numbers.insert("files_in".into(), done.files_in as f64);
    numbers.insert("files_out".into(), done.files_out as f64);
    numbers.insert("bytes_in".into(), done.bytes_in as f64);
    numbers.insert("bytes_out".into(), done.bytes_out as f64);
    Ok(numbers)
}

/// A day's blocks: all to one file at once, and each to a file of its own and those to one.
fn compaction(day: &Day, options: &Options, report: &mut Report) -> Result<()> {
    let numbers = rounds(CONVERT, options, &|dir| day.copy_blocks(dir, day.windows))?;
    assert_eq!(numbers["samples"], day.samples as f64, "invariant: everything was converted");
    report_conversion("c10k, a day of 12 blocks", &numbers, report)?;

    let numbers = rounds(COMPACT, options, &|dir| {
        day.copy_blocks(dir, day.windows)?;
        let (hot, (cold, runtime)) = (hot_store(dir)?, cold_tier(dir)?);
        hot.blocks().iter().try_for_each(|block| convert(std::slice::from_ref(block), &cold, &runtime))
    })?;
    let mut add = |figure, unit, value, baseline, place| {
        report.add(&Figure { case: "compact/12 x c10k", figure, unit, value, baseline, place })
    };
    let rate = numbers["samples"] / numbers["seconds"];
    add("rate", "samples/cpu-s", rate, Some(("the bar", COMPACT_PER_S)), COMPACTION)?;
    add("files", "files", numbers["files_out"], Some(("before", numbers["files_in"])), COMPACTION)?;
    let per_sample = |name: &str| numbers[name] / numbers["samples"];
    add("size", "B/sample", per_sample("bytes_out"), Some(("before", per_sample("bytes_in"))), SIZE)?;
    if let Some(&peak) = numbers.get("peak") {
        add("memory above", "B", peak, Some(("the bar", COMPACT_BYTES)), MEMORY)?;
    }
    Ok(())
}
