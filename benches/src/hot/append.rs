//! Appending to series that are known: through cached references, and through label sets.
//!
//! The data lie ready in the order in which scrapes bring them, so that the measured loop reads them one after the
//! other. The first scrape, which makes the series known, is not measured.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tsdb_core::Labels;
use tsdb_hot::{HotOptions, HotStore, SeriesRef, WalSync};
use tsdb_vfs::RealFs;
use tsdb_workload::{Mixed, SERIES_PER_TARGET};

use super::Result;
use crate::report::{Figure, Options, Report, median, process_cpu_seconds};

const PLACE: &str = "in process, 1 writer and the log's thread, CPU time of the process with the kernel's, known series, \
                     WalSync::Interval(1 s), real files, nothing cold";
/// Samples that the peers were sent at a time.
const BATCH: usize = 2000;

/// The bars, samples for a CPU second.
const BY_REFERENCE: f64 = 8e6;
const BY_LABELS: f64 = 2.5e6;

/// How a sample names its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Reference,
    Labels,
}

/// Series and their samples, scrape after scrape.
pub(super) struct Scrapes {
    labels: Vec<Labels>,
    /// For each scrape and each target.
    timestamps_ms: Vec<i64>,
    /// For each scrape and each series.
    values: Vec<f64>,
}

impl Scrapes {
    /// The mixed workload of `series` series, a multiple of a target's.
    pub(super) fn mixed(series: usize, scrapes: usize) -> Self {
        let workload = Mixed::new(series, scrapes).generate();
        let mut made = Self { labels: Vec::new(), timestamps_ms: Vec::new(), values: Vec::new() };
        made.labels.extend((0..series).map(|i| workload.labels(i).clone()));
        for scrape in 0..scrapes {
            made.timestamps_ms.extend(workload.targets().iter().map(|target| target.timestamps(0)[scrape]));
            made.values.extend((0..series).map(|i| workload.values(i)[scrape]));
        }
        made
    }

    fn series(&self) -> usize {
        self.labels.len()
    }

    /// Samples after the first scrape.
    fn measured(&self) -> usize {
        self.values.len() - self.series()
    }

    fn timestamp_ms(&self, scrape: usize, series: usize) -> i64 {
        self.timestamps_ms[scrape * (self.series() / SERIES_PER_TARGET) + series / SERIES_PER_TARGET]
    }

    /// Commits the first scrape; gives each series' reference.
    fn begin(&self, store: &HotStore) -> Result<Vec<SeriesRef>> {
        let mut batch = store.appender();
        let series = self.labels.iter().zip(&self.values).enumerate();
        let references = series
            .map(|(i, (labels, value))| batch.append_float(labels, self.timestamp_ms(0, i), *value))
            .collect::<tsdb_hot::Result<Vec<_>>>()?;
        batch.commit()?;
        Ok(references)
    }

    /// Commits the other scrapes, `at_once` samples at a time.
    fn append(&self, store: &HotStore, references: &[SeriesRef], by: By, at_once: usize) -> Result<()> {
        let series = self.series();
        for (scrape, values) in self.values.chunks_exact(series).enumerate().skip(1) {
            for (batch, values) in values.chunks(at_once).enumerate() {
                let mut appender = store.appender();
                for (i, value) in (batch * at_once..).zip(values) {
                    let timestamp_ms = self.timestamp_ms(scrape, i);
                    match by {
                        By::Reference => appender.append_ref_float(references[i], timestamp_ms, *value)?,
                        By::Labels => drop(appender.append_float(&self.labels[i], timestamp_ms, *value)?),
                    }
                }
                appender.commit()?;
            }
        }
        Ok(())
    }

    /// Samples for a CPU second of the process, in a new store.
    fn samples_per_cpu_second(&self, by: By, at_once: usize) -> Result<f64> {
        let dir = tempfile::tempdir()?;
        let store = open(dir.path(), WalSync::Interval(Duration::from_secs(1)))?;
        let references = self.begin(&store)?;
        let (seconds, appended) = process_cpu_seconds(|| self.append(&store, &references, by, at_once));
        appended?;
        assert_eq!(store.stats().head.samples, self.values.len() as u64, "invariant: every sample is new");
        store.close()?;
        Ok(self.measured() as f64 / seconds)
    }
}

/// A store in `dir` with nothing handed over.
pub(super) fn open(dir: &Path, wal_sync: WalSync) -> Result<HotStore> {
    let options = HotOptions { wal_sync, ..HotOptions::default() };
    Ok(HotStore::open(Arc::new(RealFs), dir, options, &|_| false, 0)?.0)
}

/// Measures both ways, in commits of several targets and of one.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let scrapes = Scrapes::mixed(options.pick(20_000, 200), options.pick(240, 5));
    for (by, name, bar) in
        [(By::Reference, "append/reference", BY_REFERENCE), (By::Labels, "append/labels", BY_LABELS)]
    {
        for at_once in [BATCH, SERIES_PER_TARGET] {
            let rounds = (0..options.rounds().min(5)).map(|_| scrapes.samples_per_cpu_second(by, at_once));
            report.add(&Figure {
                case: &format!("{name}/{at_once} a commit"),
                figure: "throughput",
                unit: "samples/cpu-s",
                value: median(rounds.collect::<Result<_>>()?),
                baseline: Some(("the bar", bar)),
                place: PLACE,
            })?;
        }
    }
    Ok(())
}
