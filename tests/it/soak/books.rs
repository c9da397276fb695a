//! What was acknowledged, and what must therefore be in the store.
//!
//! A sample's labels and value follow from its writer, its series, its time and its version, so that a batch is kept as one
//! line. What is deleted is older than anything that is appended later, so the order of the two does not matter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tsdb_core::{Buckets, Histogram, Labels, SampleValue, TimeRange};
use tsdb_engine::blocking::Engine;
use tsdb_engine::{EngineBuilder, EngineOptions};

pub(super) const WRITERS: usize = 2;
pub(super) const SERIES: usize = 160;
pub(super) const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
pub(super) const RETENTION_MS: i64 = 2 * DAY_MS;
/// A series lives for so long before another one takes its place.
const POD_MS: i64 = 6 * HOUR_MS;
/// Every so many series is one of histograms.
const HISTOGRAMS: usize = 16;

/// The settings of the store: all of it is to be too large for what is kept in memory.
pub(super) fn builder(dir: &Path) -> EngineBuilder {
    let mut options = EngineOptions::default();
    options.background.interval = None;
    options.hot.head_bytes_max = 2 << 20;
    options.cold.cache_bytes = 1 << 20;
    options.lifecycle.retention_ms = Some(RETENTION_MS);
    tsdb_engine::Engine::builder(dir).options(options)
}

/// The labels that a series has at a time.
pub(super) fn labels(writer: usize, series: usize, timestamp_ms: i64) -> Labels {
    let pod = format!("pod-{}", timestamp_ms.div_euclid(POD_MS));
    let (writer, series) = (writer.to_string(), series.to_string());
    let pairs = [("__name__", "soaked"), ("pod", &pod), ("series", &series), ("writer", &writer)];
    Labels::from_pairs(pairs).unwrap()
}

/// The value of a sample. A later version replaces an earlier one.
pub(super) fn value(writer: usize, series: usize, timestamp_ms: i64, version: i64) -> SampleValue {
    let mixed = (timestamp_ms / 10).cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let base = (mixed % 100_000 + (writer * SERIES + series) as u64) as f64 / 100.0;
    let float = base + version as f64 * 1e6;
    if !series.is_multiple_of(HISTOGRAMS) {
        return SampleValue::Float(float);
    }
    let mut histogram = Histogram::stale(false);
    histogram.sum = float;
    histogram.buckets =
        Buckets::Int { count: mixed, zero_count: mixed, positive: Vec::new(), negative: Vec::new() };
    SampleValue::Histogram(Arc::new(histogram))
}

/// Whether a sample of the store can have come from a writer, in any version.
pub(super) fn is_possible(labels: &Labels, timestamp_ms: i64, found: &SampleValue) -> bool {
    let Some((writer, series)) = identity(labels) else { return false };
    let float = match found {
        SampleValue::Float(value) => *value,
        SampleValue::Histogram(histogram) => histogram.sum,
    };
    value(writer, series, timestamp_ms, (float / 1e6) as i64).bits_eq(found)
        && self::labels(writer, series, timestamp_ms) == *labels
}

fn identity(labels: &Labels) -> Option<(usize, usize)> {
    Some((labels.get("writer")?.parse().ok()?, labels.get("series")?.parse().ok()?))
}

#[derive(Debug)]
struct Delete {
    writer: usize,
    /// The first digit of the number of a series.
    digit: u64,
    range: TimeRange,
}

/// All that was acknowledged.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Of each writer: the times at which all of its series have a sample, and its version.
    versions: [BTreeMap<i64, i64>; WRITERS],
    deletes: Vec<Delete>,
    batches: u64,
}

impl Books {
    /// Enters a line: `B writer timestamp version` or `D writer digit start end`.
    pub(super) fn enter(&mut self, kind: &str, figures: &[i64]) {
        match (kind, figures) {
            ("B", [writer, timestamp_ms, version]) => {
                self.versions[*writer as usize].insert(*timestamp_ms, *version);
                self.batches += 1;
            }
            ("D", [writer, digit, start_ms, end_ms]) => self.deletes.push(Delete {
                writer: *writer as usize,
                digit: digit.cast_unsigned(),
                range: TimeRange::new(*start_ms, *end_ms),
            }),
            _ => {}
        }
    }

    pub(super) fn samples(&self) -> u64 {
        self.batches * SERIES as u64
    }

    fn is_deleted(&self, writer: usize, series: usize, timestamp_ms: i64) -> bool {
        self.deletes.iter().any(|delete| {
            delete.writer == writer
                && delete.range.contains(timestamp_ms)
                && series.to_string().starts_with(&delete.digit.to_string())
        })
    }

    /// Compares everything that is in the store with everything that was acknowledged. Returns how many samples there are.
    ///
    /// What is older than the retention may have expired.
    pub(super) fn check(&self, dir: &Path) -> u64 {
        let newest_ms = self.versions.iter().filter_map(|all| all.keys().last()).max().copied().unwrap();
        let kept_ms = (newest_ms - RETENTION_MS).div_euclid(DAY_MS) * DAY_MS;
        let engine = Engine::open_with(builder(dir)).unwrap();
        let (mut checked, mut seen) = (0, BTreeSet::new());
        for series in engine.select(&[], TimeRange::ALL).unwrap() {
            let series = series.unwrap();
            let (writer, number) = identity(&series.labels).unwrap();
            let mut found = 0;
            for (timestamp_ms, got) in series.samples.iter() {
                let version = self.versions[writer].get(&timestamp_ms);
                let version = *version.unwrap_or_else(|| panic!("{} at {timestamp_ms}", series.labels));
                assert!(
                    value(writer, number, timestamp_ms, version).bits_eq(&got),
                    "{} {got:?}",
                    series.labels
                );
                assert_eq!(labels(writer, number, timestamp_ms), series.labels);
                let is_deleted = self.is_deleted(writer, number, timestamp_ms);
                assert!(!is_deleted, "{} at {timestamp_ms} was deleted", series.labels);
                found += u64::from(timestamp_ms >= kept_ms);
                checked += 1;
            }
            let first_ms = series.samples.time_range().start_ms;
            assert_eq!(
                found,
                self.expected(writer, number, first_ms, kept_ms),
                "samples of {}",
                series.labels
            );
            seen.insert(series.labels);
        }
        for (writer, versions) in self.versions.iter().enumerate() {
            for series in 0..SERIES {
                for (&timestamp_ms, _) in versions.range(kept_ms..) {
                    // Of a series that is there, all samples have been compared.
                    if !self.is_deleted(writer, series, timestamp_ms) {
                        let labels = labels(writer, series, timestamp_ms);
                        assert!(seen.contains(&labels), "{labels} at {timestamp_ms} is lost");
                    }
                }
            }
        }
        checked
    }

    /// How many samples from `kept_ms` on the series has that lives at a time.
    fn expected(&self, writer: usize, series: usize, at_ms: i64, kept_ms: i64) -> u64 {
        let from_ms = at_ms.div_euclid(POD_MS) * POD_MS;
        let of_series = self.versions[writer].range(from_ms.max(kept_ms)..(from_ms + POD_MS).max(kept_ms));
        of_series.filter(|(timestamp_ms, _)| !self.is_deleted(writer, series, **timestamp_ms)).count() as u64
    }
}
