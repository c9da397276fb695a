//! A batch on its way in: samples by series number, in the order in which they were appended. The numbers are those of one
//! registry; when the head has gone on to another before the commit, the batch moves over.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tsdb_core::{Histogram, SampleValue};

use crate::Result;
use crate::registry::{Registry, SeriesId};

/// One sample: 24 bytes, because a batch can be large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchSample {
    pub(crate) timestamp_ms: i64,
    /// The bits of a float, or the index of a histogram.
    bits: u64,
    pub(crate) series: SeriesId,
    is_histogram: bool,
}

/// Samples of many series, in order of arrival.
#[derive(Debug)]
pub(crate) struct Batch {
    registry: Arc<Registry>,
    samples: Vec<BatchSample>,
    histograms: Vec<Arc<Histogram>>,
}

impl Batch {
    /// An empty batch for series of `registry`.
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, samples: Vec::new(), histograms: Vec::new() }
    }

    /// What the numbers of its series mean.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Gives its series the numbers that they have in another registry.
    pub(crate) fn move_to(&mut self, registry: Arc<Registry>) -> Result<()> {
        let mut moved = HashMap::new();
        for sample in &mut self.samples {
            sample.series = match moved.entry(sample.series) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    *new.insert(registry.get_or_insert(&self.registry.labels(sample.series))?)
                }
            };
        }
        self.registry = registry;
        Ok(())
    }

    pub(crate) fn push_float(&mut self, series: SeriesId, timestamp_ms: i64, value: f64) {
        self.samples.push(BatchSample { timestamp_ms, bits: value.to_bits(), series, is_histogram: false });
    }

    pub(crate) fn push(&mut self, series: SeriesId, timestamp_ms: i64, value: SampleValue) {
        match value {
            SampleValue::Float(value) => self.push_float(series, timestamp_ms, value),
            SampleValue::Histogram(histogram) => {
                let bits = self.histograms.len() as u64;
                self.histograms.push(histogram);
                self.samples.push(BatchSample { timestamp_ms, bits, series, is_histogram: true });
            }
        }
    }

    pub(crate) fn samples(&self) -> &[BatchSample] {
        &self.samples
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    pub(crate) fn value(&self, sample: &BatchSample) -> SampleValue {
        if sample.is_histogram {
            SampleValue::Histogram(Arc::clone(&self.histograms[sample.bits as usize]))
        } else {
            SampleValue::Float(f64::from_bits(sample.bits))
        }
    }

    /// For each shard the indices of its samples, in order.
    pub(crate) fn by_shard(&self, shards: usize, shard: impl Fn(SeriesId) -> usize) -> Vec<Vec<u32>> {
        let mut by_shard = vec![Vec::new(); shards];
        for (index, sample) in self.samples.iter().enumerate() {
            by_shard[shard(sample.series)].push(index as u32);
        }
        by_shard
    }
}
