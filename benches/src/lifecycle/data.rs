//! Blocks to move.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tsdb_core::{Labels, Series};
use tsdb_hot::{HotOptions, HotStore, WalSync};
use tsdb_vfs::RealFs;
use tsdb_workload::{Mixed, STEP_MS, high_cardinality};

use super::Result;
use crate::report::Options;

/// Two hours of scrapes.
const WINDOW_MS: i64 = 7_200_000;
/// How many scrapes fill a window.
const WINDOW_SCRAPES: usize = (WINDOW_MS / STEP_MS) as usize;
/// Windows of a day.
const WINDOWS: usize = 12;
/// Samples of a batch, about.
const BATCH: usize = 5_000;

/// A day of the mixed workload as blocks of two hours, in the directory of a hot store.
pub(super) struct Day {
    dir: TempDir,
    pub(super) windows: usize,
    pub(super) samples: usize,
}

impl Day {
    /// 10,000 series: 12 blocks.
    pub(super) fn new(options: &Options) -> Result<Self> {
        let (windows, scrapes) = (options.pick(WINDOWS, 3), options.pick(WINDOW_SCRAPES, 20));
        let (dir, series) = (tempfile::tempdir()?, options.pick(10_000, 100));
        fill_mixed(&hot_store(dir.path())?, series, scrapes, windows)?;
        Ok(Self { dir, windows, samples: series * scrapes * windows })
    }

    /// Makes `dir` a data directory with the first `windows` blocks.
    pub(super) fn copy_blocks(&self, dir: &Path, windows: usize) -> Result<()> {
        let to = dir.join("blocks");
        fs::create_dir_all(&to)?;
        let mut blocks: Vec<_> =
            fs::read_dir(self.dir.path().join("blocks"))?.collect::<std::io::Result<_>>()?;
        blocks.sort_by_key(fs::DirEntry::file_name);
        for block in blocks.iter().take(windows) {
            fs::hard_link(block.path(), to.join(block.file_name()))?;
        }
        Ok(())
    }
}

/// Seals `windows` windows of the mixed workload, each with `scrapes` scrapes, into a block each.
pub(super) fn fill_mixed(store: &HotStore, series: usize, scrapes: usize, windows: usize) -> Result<()> {
    let workload = Mixed::new(series, scrapes * windows).generate();
    for window in 0..windows {
        let of_window = window * scrapes..(window + 1) * scrapes;
        // A short window's scrapes lie in the first minutes of it.
        let later_ms = window as i64 * (WINDOW_MS - scrapes as i64 * STEP_MS);
        let one = |n| {
            let mut samples = tsdb_core::SampleBuffer::default();
            let timestamps = &workload.timestamps(n)[of_window.clone()];
            samples.timestamps_ms.extend(timestamps.iter().map(|ms| ms + later_ms));
            samples.values.extend_from_slice(&workload.values(n)[of_window.clone()]);
            Series { labels: workload.labels(n).clone(), samples }
        };
        fill(store, (0..workload.len()).map(one))?;
    }
    Ok(())
}

/// Seals one window of the mixed workload.
pub(super) fn fill_window(store: &HotStore, series: usize, options: &Options) -> Result<()> {
    fill_mixed(store, series, options.pick(WINDOW_SCRAPES, 20), 1)
}

/// Seals series with a label value of their own and a few samples each.
pub(super) fn fill_high_cardinality(store: &HotStore, series: usize) -> Result<()> {
    fill(store, high_cardinality(series, 1))
}

/// Writes everything and seals it.
fn fill(store: &HotStore, series: impl Iterator<Item = Series>) -> Result<()> {
    let mut batch = store.appender();
    let mut rows = 0;
    for Series { labels, samples } in series {
        for (ms, value) in samples.timestamps_ms.iter().zip(&samples.values) {
            batch.append_float(&labels, *ms, *value)?;
        }
        rows += samples.len();
        if rows >= BATCH {
            std::mem::replace(&mut batch, store.appender()).commit()?;
            rows = 0;
        }
    }
    batch.commit()?;
    store.seal()?;
    Ok(())
}

/// A hot store in `dir` that loses what a crash takes: its log is none of what is measured.
pub(super) fn hot_store(dir: &Path) -> Result<HotStore> {
    let options = HotOptions { wal_sync: WalSync::Interval(Duration::from_secs(1)), ..HotOptions::default() };
    Ok(HotStore::open(Arc::new(RealFs), dir, options, &|_| false, 0)?.0)
}

/// Series of the steady writer: labels only.
pub(super) fn labels(series: usize) -> Vec<Labels> {
    let workload = Mixed::new(series, 1).generate();
    (0..series).map(|n| workload.labels(n).clone()).collect()
}
