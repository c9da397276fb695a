//! Conversion and compaction: samples a CPU second, memory, and sizes.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Builder;
use tsdb_cold::{ColdOptions, ColdTier, CompactionMode, Error as ColdError, Progress, Unconverted, VfsStore};
use tsdb_hot::HotStore;
use tsdb_vfs::RealFs;

use super::Result;
use super::data::{Data, WINDOW_MS, WINDOW_SCRAPES, hot_store};
use crate::process::{forget_peak, resident};
use crate::report::{Figure, Options, Report, process_cpu_seconds};

/// The bars of the design.
const CONVERT_PER_S: f64 = 5e6;
const COMPACT_PER_S: f64 = 5e6;
const COMPACT_BYTES: f64 = 300.0 * (1 << 20) as f64;
/// Two-hour files of a day.
const WINDOWS: i64 = 12;

const CONVERT: &str = "in process, 1 thread, CPU time of the process, a mapped block to a verified cold file on disk, fsyncs and \
                       catalog commit included";
const COMPACT: &str =
    "in process, 1 thread, CPU time of the process, files in the page cache, to a verified file on disk";
const SIZE: &str = "length of the files";

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let scrapes = options.pick(WINDOW_SCRAPES, 20);
    let c10k = Data::mixed("c10k", options.pick(10_000, 100), scrapes);
    sizes(&c10k, report)?;
    sizes(&Data::mixed("c1k", options.pick(1_000, 100), scrapes), report)?;
    sizes(&Data::high_cardinality("hc", options.pick(200_000, 100)), report)?;
    compaction(&c10k, options, report)
}

/// A cold tier in a directory of its own.
fn cold_tier(dir: &Path) -> Result<(ColdTier, tokio::runtime::Runtime)> {
    let runtime = Builder::new_current_thread().build()?;
    let store = VfsStore::new(Arc::new(RealFs), dir.join("cold"));
    let tier = runtime.block_on(ColdTier::open(Arc::new(store), ColdOptions::default()))?;
    Ok((tier, runtime))
}

/// Converts and removes what is sealed. Gives CPU seconds.
fn convert(hot: &HotStore, cold: &ColdTier, runtime: &tokio::runtime::Runtime) -> Result<f64> {
    let sealed = hot.blocks();
    let blocks: Vec<_> = sealed.iter().map(|block| block.block()).collect();
    let progress = Progress::default();
    let work = cold.convert(&blocks, 0, &progress, |_| Ok::<_, ColdError>(()));
    let (seconds, done) = process_cpu_seconds(|| runtime.block_on(work));
    done?;
    for block in &sealed {
        hot.remove_block(block.id())?;
    }
    Ok(seconds)
}

fn sizes(data: &Data, report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let hot = hot_store(dir.path())?;
    let (cold, runtime) = cold_tier(dir.path())?;
    data.fill(&hot, 0)?;
    let block_bytes: u64 = hot.blocks().iter().map(|block| block.bytes()).sum();
    let seconds = convert(&hot, &cold, &runtime)?;
    let (stats, case) = (cold.stats(), format!("convert/{}", data.name));
    assert_eq!(stats.samples, data.samples() as u64, "invariant: everything was converted");
    let samples = data.samples() as f64;
    let mut add = |figure, unit, value, baseline, place| {
        report.add(&Figure { case: &case, figure, unit, value, baseline, place })
    };
    add("rate", "samples/cpu-s", samples / seconds, Some(("the bar", CONVERT_PER_S)), CONVERT)?;
    let per_sample = |bytes: u64| bytes as f64 / samples;
    let block = Some((".block", per_sample(block_bytes)));
    add(".parquet", "B/sample", per_sample(stats.bytes), block, SIZE)?;
    Ok(())
}

fn compaction(data: &Data, options: &Options, report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (cold, runtime) = {
        let hot = hot_store(dir.path())?;
        let (cold, runtime) = cold_tier(dir.path())?;
        for window in 0..options.pick(WINDOWS, 3) {
            data.fill(&hot, window * WINDOW_MS)?;
            convert(&hot, &cold, &runtime)?;
        }
        (cold, runtime)
    };
    let before = resident().filter(|_| forget_peak());
    let progress = Progress::default();
    let (nothing, mode) = (Unconverted::default(), CompactionMode::Full);
    let work = cold.compact(&nothing, mode, 0, &progress);
    let (seconds, done) = process_cpu_seconds(|| runtime.block_on(work));
    let done = done?;
    let mut add = |figure, unit, value, baseline, place| {
        report.add(&Figure { case: "compact/12 x c10k", figure, unit, value, baseline, place })
    };
    let bar = Some(("the bar", COMPACT_PER_S));
    add("rate", "samples/cpu-s", done.samples_in as f64 / seconds, bar, COMPACT)?;
    add("files", "files", done.files_out as f64, Some(("before", done.files_in as f64)), COMPACT)?;
    add("size", "B", done.bytes_out as f64, Some(("before", done.bytes_in as f64)), SIZE)?;
    if let (Some(before), Some(after)) = (before, resident()) {
        let taken = after.peak.saturating_sub(before.now) as f64;
        add("memory above", "B", taken, Some(("the bar", COMPACT_BYTES)), COMPACT)?;
    }
    Ok(())
}
