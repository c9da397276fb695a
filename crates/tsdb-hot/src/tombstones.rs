//! Deletes of what is not in the live generation any more: the tombstones over frozen generations and blocks.
//!
//! A tombstone is a file beside the blocks, `<number, 20 digits>.tombstone`, and stays until nothing lies below it: the
//! last block that it concerns was handed over, the last frozen generation sealed and handed over.

use std::collections::BTreeMap;
use std::sync::Arc;

use tsdb_core::{Labels, SampleBuffer, TimeRange, Tombstone};

/// The tombstones of a store, by number. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tombstones(Arc<BTreeMap<u64, Arc<Tombstone>>>);

impl Tombstones {
    /// The number for the next one.
    pub(crate) fn next_number(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(number, _)| number + 1)
    }

    /// The highest sequence that a tombstone is below; 0 without one.
    pub(crate) fn sequence_max(&self) -> u64 {
        self.0.values().map(|tombstone| tombstone.below_sequence).max().unwrap_or(0)
    }

    pub(crate) fn insert(&mut self, number: u64, tombstone: Tombstone) {
        Arc::make_mut(&mut self.0).insert(number, Arc::new(tombstone));
    }

    /// Takes out those that concern no source for which `sources` gives sequence and time range.
    pub(crate) fn retire(&mut self, sources: &[(u64, TimeRange)]) -> Vec<u64> {
        let concerns = |tombstone: &Tombstone| {
            sources.iter().any(|&(sequence, time_range)| tombstone.concerns(sequence, time_range))
        };
        let retired: Vec<u64> =
            self.0.iter().filter(|(_, tombstone)| !concerns(tombstone)).map(|(&number, _)| number).collect();
        if !retired.is_empty() {
            Arc::make_mut(&mut self.0).retain(|number, _| !retired.contains(number));
        }
        retired
    }

    /// Those that concern a source.
    pub(crate) fn over(&self, sequence: u64, time_range: TimeRange) -> Deletes {
        let over = self.0.values().filter(|tombstone| tombstone.concerns(sequence, time_range));
        Deletes(over.cloned().collect())
    }
}

/// The tombstones over one source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deletes(Vec<Arc<Tombstone>>);

impl Deletes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes what is deleted from the samples of a series.
    pub(crate) fn apply(&self, labels: &Labels, samples: &mut SampleBuffer) {
        self.0.iter().for_each(|tombstone| tombstone.apply(labels, samples));
    }

    /// Whether a sample is deleted.
    pub(crate) fn cover(&self, labels: &Labels, timestamp_ms: i64) -> bool {
        let matches = |tombstone: &Tombstone| tsdb_core::Matcher::all_match(&tombstone.matchers, labels);
        self.0.iter().any(|tombstone| tombstone.range.contains(timestamp_ms) && matches(tombstone))
    }
}
