//! Appending to series that are known: through cached references, and through label sets.
//!
//! The first scrape, which makes the series known, is not measured.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tsdb_hot::{HotOptions, HotStore, SeriesRef, WalSync};
use tsdb_vfs::RealFs;
use tsdb_workload::SERIES_PER_TARGET;

use super::Result;
use crate::report::{Figure, Options, Report, median, process_cpu_seconds};
use crate::scrapes::Scrapes;

pub(super) const PLACE: &str = "in process, 1 writer and the log's thread, CPU time of the process with the kernel's, known series, \
     WalSync::Interval(1 s), real files";
/// Samples that the peers were sent at a time.
pub(super) const BATCH: usize = 2000;

/// The bars, samples for a CPU second.
const BY_REFERENCE: f64 = 8e6;
const BY_LABELS: f64 = 2.5e6;

/// How a sample names its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Reference,
    Labels,
}

/// Measures both ways, in commits of several targets and of one.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let (series, times) = (options.pick(20_000, 200), options.pick(240, 5));
    let scrapes = Scrapes::mixed(series, times);
    for (by, name, bar) in
        [(By::Reference, "append/reference", BY_REFERENCE), (By::Labels, "append/labels", BY_LABELS)]
    {
        for at_once in [BATCH, SERIES_PER_TARGET] {
            let value = samples_per_cpu_second(options, &scrapes, by, at_once)?;
            report.add(&Figure {
                case: &format!("{name}/{at_once} a commit"),
                figure: "throughput",
                unit: "samples/cpu-s",
                value,
                baseline: Some(("the bar", bar)),
                place: PLACE,
            })?;
        }
    }
    Ok(())
}

/// Samples for a CPU second of the process: the median of several new stores.
pub(super) fn samples_per_cpu_second(
    options: &Options,
    scrapes: &Scrapes,
    by: By,
    at_once: usize,
) -> Result<f64> {
    let rounds = (0..options.rounds().min(5)).map(|_| round(scrapes, by, at_once));
    Ok(median(rounds.collect::<Result<_>>()?))
}

fn round(scrapes: &Scrapes, by: By, at_once: usize) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let store = open(dir.path(), WalSync::Interval(Duration::from_secs(1)))?;
    let references = begin(&store, scrapes)?;
    let (seconds, appended) = process_cpu_seconds(|| append(&store, scrapes, &references, by, at_once));
    appended?;
    assert_eq!(store.stats().head.samples, scrapes.samples() as u64, "invariant: every sample is new");
    store.close()?;
    Ok((scrapes.samples() - references.len()) as f64 / seconds)
}

/// Commits the first scrape; gives each series' reference.
fn begin(store: &HotStore, scrapes: &Scrapes) -> Result<Vec<SeriesRef>> {
    let mut batch = store.appender();
    let first = scrapes.values().next().unwrap_or_default();
    let series = scrapes.labels().iter().zip(first).enumerate();
    let references = series
        .map(|(i, (labels, value))| batch.append_float(labels, scrapes.timestamp_ms(0, i), *value))
        .collect::<tsdb_hot::Result<Vec<_>>>()?;
    batch.commit()?;
    Ok(references)
}

/// Commits the other scrapes, `at_once` samples at a time.
fn append(
    store: &HotStore,
    scrapes: &Scrapes,
    references: &[SeriesRef],
    by: By,
    at_once: usize,
) -> Result<()> {
    for (scrape, values) in scrapes.values().enumerate().skip(1) {
        for (batch, values) in values.chunks(at_once).enumerate() {
            let mut appender = store.appender();
            for (i, value) in (batch * at_once..).zip(values) {
                let timestamp_ms = scrapes.timestamp_ms(scrape, i);
                match by {
                    By::Reference => appender.append_ref_float(references[i], timestamp_ms, *value)?,
                    By::Labels => drop(appender.append_float(&scrapes.labels()[i], timestamp_ms, *value)?),
                }
            }
            appender.commit()?;
        }
    }
    Ok(())
}

/// A store in `dir` with nothing handed over.
pub(super) fn open(dir: &Path, wal_sync: WalSync) -> Result<HotStore> {
    let options = HotOptions { wal_sync, ..HotOptions::default() };
    Ok(HotStore::open(Arc::new(RealFs), dir, options, &|_| false, 0)?.0)
}
