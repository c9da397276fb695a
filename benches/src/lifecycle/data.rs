//! Blocks to move.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tsdb_core::{Labels, Series};
use tsdb_hot::{HotOptions, HotStore, WalSync};
use tsdb_vfs::RealFs;
use tsdb_workload::{Mixed, STEP_MS, high_cardinality};

use super::Result;

/// Two hours of scrapes.
pub(super) const WINDOW_MS: i64 = 7_200_000;
/// Samples of a batch, about.
const BATCH: usize = 5_000;

/// Series whose samples become blocks.
pub(super) struct Data {
    pub(super) name: &'static str,
    pub(super) series: Vec<Series>,
}

impl Data {
    /// The mixed workload over a window of two hours, or as much of it as `scrapes`.
    pub(super) fn mixed(name: &'static str, series: usize, scrapes: usize) -> Self {
        let workload = Mixed::new(series, scrapes).generate();
        let one = |n| {
            let mut samples = tsdb_core::SampleBuffer::default();
            samples.timestamps_ms.extend_from_slice(workload.timestamps(n));
            samples.values.extend_from_slice(workload.values(n));
            Series { labels: workload.labels(n).clone(), samples }
        };
        Self { name, series: (0..workload.len()).map(one).collect() }
    }

    /// Series with a label value of their own and a few samples each.
    pub(super) fn high_cardinality(name: &'static str, series: usize) -> Self {
        Self { name, series: high_cardinality(series, 1).collect() }
    }

    pub(super) fn samples(&self) -> usize {
        self.series.iter().map(|series| series.samples.len()).sum()
    }

    /// Writes everything, `later_ms` later than it is, and seals it.
    pub(super) fn fill(&self, store: &HotStore, later_ms: i64) -> Result<()> {
        let mut batch = store.appender();
        let mut rows = 0;
        for Series { labels, samples } in &self.series {
            for (ms, value) in samples.timestamps_ms.iter().zip(&samples.values) {
                batch.append_float(labels, ms + later_ms, *value)?;
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
}

/// How many scrapes fill a window.
pub(super) const WINDOW_SCRAPES: usize = (WINDOW_MS / STEP_MS) as usize;

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
