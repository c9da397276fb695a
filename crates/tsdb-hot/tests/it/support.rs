//! What the tests share: a store on any disk, everything in it merged, and batches that can be told apart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tsdb_core::{BlockId, Labels, Matcher, SampleBuffer, SampleValue, Series, TimeRange};
use tsdb_hot::{HotOptions, HotStore, Recovery, Result};
use tsdb_testkit::SimDisk;
use tsdb_vfs::Vfs;

/// The data directory on the simulated disk.
pub(crate) const DIR: &str = "/data";

/// Settings that rotate segments often.
pub(crate) fn small_segments() -> HotOptions {
    HotOptions { wal_segment_bytes: 300, ..HotOptions::default() }
}

pub(crate) fn open_vfs(vfs: Arc<dyn Vfs>, options: HotOptions) -> Result<(HotStore, Recovery)> {
    HotStore::open(vfs, Path::new(DIR), options, &|_| false, 0)
}

pub(crate) fn open(disk: &SimDisk, options: HotOptions) -> Result<(HotStore, Recovery)> {
    open_vfs(disk.vfs(), options)
}

/// What stands for the cold tier: the blocks that were handed over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cold {
    pub(crate) blocks: BTreeMap<BlockId, Vec<Series>>,
}

impl Cold {
    pub(crate) fn open(&self, disk: &SimDisk, options: HotOptions) -> Result<(HotStore, Recovery)> {
        let next = self.blocks.keys().map(|id| id.sequence + 1).max().unwrap_or(0);
        HotStore::open(disk.vfs(), Path::new(DIR), options, &|id| self.blocks.contains_key(id), next)
    }

    /// Takes the oldest block of the store, if there is one.
    pub(crate) fn take_block(&mut self, store: &HotStore) -> Result<()> {
        let snapshot = store.snapshot();
        let Some(source) = snapshot.sources().into_iter().find(|source| source.block().is_some()) else {
            return Ok(());
        };
        let id = *source.block().unwrap().id();
        let series = source.select(&[], TimeRange::ALL)?.collect::<Result<Vec<_>>>()?;
        self.blocks.insert(id, series);
        store.remove_block(&id)
    }

    /// Deletes from the store and from what it handed over.
    pub(crate) fn delete(&mut self, store: &HotStore, matchers: &[Matcher], range: TimeRange) -> Result<()> {
        let below = store.delete(matchers, range)?;
        for (_, series) in self.blocks.iter_mut().filter(|(id, _)| id.sequence < below) {
            for series in series.iter_mut().filter(|series| Matcher::all_match(matchers, &series.labels)) {
                series.samples.remove(range);
            }
            series.retain(|series| !series.samples.is_empty());
        }
        Ok(())
    }

    /// What was handed over of the series that `matchers` select, in `range`.
    pub(crate) fn selected(&self, matchers: &[Matcher], range: TimeRange) -> impl Iterator<Item = Series> {
        let series = self.blocks.values().flatten().cloned();
        let matching =
            series.filter(|series| matchers.iter().all(|matcher| matcher.matches_labels(&series.labels)));
        let clipped = matching.map(move |mut series| {
            series.samples.clip(range);
            series
        });
        clipped.filter(|series| !series.samples.is_empty())
    }

    /// Everything in the cold tier and the store, the higher sequence winning.
    pub(crate) fn merged(&self, store: &HotStore, matchers: &[Matcher], range: TimeRange) -> Vec<Series> {
        let mut merged = BTreeMap::new();
        let mut sources: Vec<(u64, Vec<Series>)> =
            self.blocks.iter().map(|(id, series)| (id.sequence, series.clone())).collect();
        for source in store.snapshot().sources() {
            let series = source.select(matchers, range).unwrap().map(Result::unwrap).collect::<Vec<_>>();
            assert!(series.windows(2).all(|two| two[0].labels < two[1].labels), "a source is label-sorted");
            sources.push((source.sequence(), series));
        }
        sources.sort_by_key(|source| source.0);
        for mut series in sources.into_iter().flat_map(|source| source.1) {
            if !matchers.iter().all(|matcher| matcher.matches_labels(&series.labels)) {
                continue;
            }
            series.samples.clip(range);
            let samples: &mut SampleBuffer = merged.entry(series.labels).or_default();
            samples.merge_newer(series.samples);
        }
        let merged = merged.into_iter().map(|(labels, samples)| Series { labels, samples });
        merged.filter(|series| !series.samples.is_empty()).collect()
    }
}

/// Everything in the store.
pub(crate) fn all(store: &HotStore) -> Vec<Series> {
    Cold::default().merged(store, &[], TimeRange::ALL)
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

pub(crate) fn append(
    store: &HotStore,
    samples: &[(Labels, i64, SampleValue)],
) -> Result<tsdb_hot::Committed> {
    let mut batch = store.appender();
    for (labels, timestamp_ms, value) in samples {
        batch.append(labels, *timestamp_ms, value.clone())?;
    }
    batch.commit()
}

/// A batch that shares no timestamp with any other: three samples of a common series, over two windows and one of them
/// late, and one of a series of its own.
pub(crate) fn numbered_batch(number: i64) -> Vec<(Labels, i64, SampleValue)> {
    let start_ms = 1_700_000_000_000 + number * 3_000_000;
    let common = labels(&[("__name__", "common")]);
    let own = labels(&[("__name__", "own"), ("batch", &number.to_string())]);
    let value = |v: i64| SampleValue::Float(v as f64);
    vec![
        (common.clone(), start_ms, value(number)),
        (own, start_ms, value(-number)),
        (common.clone(), start_ms + 1_000, value(number)),
        (common, start_ms - 500, value(number)),
    ]
}

/// The time of a numbered batch and of no other.
pub(crate) fn batch_range(number: i64) -> TimeRange {
    let start_ms = 1_700_000_000_000 + number * 3_000_000;
    TimeRange::new(start_ms - 500, start_ms + 1_000)
}

/// Which of the numbered batches are in `series`. Fails on a half batch and on a sample of no batch.
pub(crate) fn whole_batches(series: &[Series], attempted: i64) -> BTreeSet<i64> {
    let mut left: BTreeMap<(Labels, i64), SampleValue> = BTreeMap::new();
    for series in series {
        for (timestamp_ms, value) in series.samples.iter() {
            left.insert((series.labels.clone(), timestamp_ms), value);
        }
    }
    let mut present = BTreeSet::new();
    for number in 0..attempted {
        let batch = numbered_batch(number);
        let found = batch
            .iter()
            .filter(|(labels, timestamp_ms, value)| {
                left.remove(&(labels.clone(), *timestamp_ms)).is_some_and(|found| found.bits_eq(value))
            })
            .count();
        assert!(found == 0 || found == batch.len(), "batch {number} is there by {found} of {}", batch.len());
        if found > 0 {
            present.insert(number);
        }
    }
    assert!(left.is_empty(), "samples of no batch: {left:?}");
    present
}
