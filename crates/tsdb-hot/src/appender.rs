//! The way in: a batch is checked sample by sample, then committed as a whole or not at all.
//!
//! Checks come before the log: a timestamp that no store holds, a histogram that breaks its rules or a label set that is
//! too long is refused by the call that brings it, and the batch goes on without it. Label sets are canonical by their type.

use std::sync::Arc;

use tsdb_core::{Labels, SampleValue, TimeRange, check_timestamp};

use crate::batch::Batch;
use crate::head::Committed;
use crate::registry::SeriesId;
use crate::store::HotStore;
use crate::wal::{Bound, GroupWriter};
use crate::{DuplicatePolicy, Error, Result};

/// A series that was appended to before: appending by it needs no labels.
///
/// It is good as long as the store it came from is open and does not drop its idle series, which a freeze does when they
/// are more than half of all. [`Appender::knows`] tells; appending by labels gives a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesRef {
    /// [`Registry::id`](crate::registry::Registry::id): never that of another store.
    registry: u32,
    series: SeriesId,
}

/// A batch of samples. Nothing is stored before [`Appender::commit`]; dropping it drops the samples. (Label sets that the
/// head had never seen stay registered.)
#[derive(Debug)]
#[must_use = "an appender that is not committed stores nothing"]
pub struct Appender<'a> {
    store: &'a HotStore,
    batch: Batch,
    /// Series that were registered before.
    series_before: usize,
}

impl<'a> Appender<'a> {
    pub(crate) fn new(store: &'a HotStore) -> Self {
        let registry = store.live_registry();
        let series_before = registry.len();
        Self { store, batch: Batch::new(registry), series_before }
    }

    /// Adds a sample. `timestamp_ms` counts milliseconds since the Unix epoch; any order of arrival is fine. Returns the
    /// reference that [`Appender::append_ref`] takes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a timestamp outside 0001..=9999 or a histogram that breaks its rules;
    /// [`Error::LabelsTooLarge`], [`Error::TooManySeries`]. The sample is not in the batch then; the others are.
    /// [`Error::ReadOnly`].
    pub fn append(&mut self, labels: &Labels, timestamp_ms: i64, value: SampleValue) -> Result<SeriesRef> {
        self.store.check_writable()?;
        check(timestamp_ms, &value)?;
        let series = self.batch.registry().get_or_insert(labels)?;
        self.batch.push(series, timestamp_ms, value);
        Ok(SeriesRef { registry: self.batch.registry().id(), series })
    }

    /// Adds a float sample; otherwise as [`Appender::append`].
    ///
    /// # Errors
    /// As [`Appender::append`].
    pub fn append_float(&mut self, labels: &Labels, timestamp_ms: i64, value: f64) -> Result<SeriesRef> {
        self.store.check_writable()?;
        check_timestamp(timestamp_ms)?;
        let series = self.batch.registry().get_or_insert(labels)?;
        self.batch.push_float(series, timestamp_ms, value);
        Ok(SeriesRef { registry: self.batch.registry().id(), series })
    }

    /// Adds a sample of a series that was appended to before.
    ///
    /// # Errors
    /// [`Error::UnknownSeries`] for a reference that is not good any more, see [`SeriesRef`]; [`Error::Invalid`] as
    /// [`Appender::append`].
    pub fn append_ref(&mut self, series: SeriesRef, timestamp_ms: i64, value: SampleValue) -> Result<()> {
        check(timestamp_ms, &value)?;
        self.batch.push(self.known(series)?, timestamp_ms, value);
        Ok(())
    }

    /// Adds a float sample of a series that was appended to before.
    ///
    /// # Errors
    /// As [`Appender::append_ref`].
    pub fn append_ref_float(&mut self, series: SeriesRef, timestamp_ms: i64, value: f64) -> Result<()> {
        check_timestamp(timestamp_ms)?;
        self.batch.push_float(self.known(series)?, timestamp_ms, value);
        Ok(())
    }

    /// Whether a reference is good in this batch.
    #[must_use]
    pub fn knows(&self, series: SeriesRef) -> bool {
        series.registry == self.batch.registry().id()
    }

    /// Whether the head had never seen a series before this batch began.
    #[must_use]
    pub fn is_new(&self, series: SeriesRef) -> bool {
        self.knows(series) && series.series.0 as usize >= self.series_before
    }

    /// The number of samples in the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.samples().len()
    }

    /// Whether the batch has no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Stores the batch: durably, as [`WalSync`](crate::WalSync) says, and then visibly. When this returns `Ok`, selects
    /// see the samples; while it runs they may see a part of them. After an error no select sees any; a restart may still
    /// find the batch in the log if its write had got that far, then all of it.
    ///
    /// # Errors
    /// [`Error::StorageFull`]: refused, later commits may work. [`Error::WalPoisoned`]: a write or fsync failed.
    /// [`Error::DuplicateSample`] under [`DuplicatePolicy::Reject`]. [`Error::RecordTooLarge`]. [`Error::Io`].
    /// [`Error::ReadOnly`].
    pub fn commit(self) -> Result<Committed> {
        let Self { store, mut batch, .. } = self;
        store.check_writable()?;
        if batch.is_empty() {
            return Ok(Committed::default());
        }
        if store.options().duplicate_policy == DuplicatePolicy::Reject {
            refuse_duplicates(store, &batch)?;
        }
        loop {
            let mut records = GroupWriter::default();
            records.samples(&batch)?;
            match store.wal().commit(&batch, &records.finish(true))? {
                Bound::To(ticket) => return Ok(ticket.apply(&batch)),
                Bound::Elsewhere(registry) => batch.move_to(registry)?,
            }
        }
    }

    fn known(&self, series: SeriesRef) -> Result<SeriesId> {
        if self.knows(series) { Ok(series.series) } else { Err(Error::UnknownSeries) }
    }
}

fn check(timestamp_ms: i64, value: &SampleValue) -> Result<()> {
    check_timestamp(timestamp_ms)?;
    if let SampleValue::Histogram(histogram) = value {
        histogram.validate()?;
    }
    Ok(())
}

/// Refuses a batch that has another value where the head, or the batch itself earlier on, has one.
fn refuse_duplicates(store: &HotStore, batch: &Batch) -> Result<()> {
    let (generations, tombstones) = store.head();
    let mut in_batch = std::collections::HashMap::new();
    for sample in batch.samples() {
        let (series, timestamp_ms, value) = (sample.series, sample.timestamp_ms, batch.value(sample));
        let earlier = in_batch.insert((series, timestamp_ms), value.clone());
        // The newest generation that has the timestamp holds the value that counts.
        let in_head = || {
            generations.iter().rev().find_map(|generation| {
                let registry = generation.registry();
                let series = if Arc::ptr_eq(registry, batch.registry()) {
                    series
                } else {
                    registry.get(&batch.registry().labels(series))?
                };
                let existing = generation.get(series, timestamp_ms)?;
                let deletes =
                    tombstones.over(generation.sequence(), TimeRange::new(timestamp_ms, timestamp_ms));
                (!deletes.cover(&registry.labels(series), timestamp_ms)).then_some(existing)
            })
        };
        if earlier.or_else(in_head).is_some_and(|existing| !existing.bits_eq(&value)) {
            return Err(Error::DuplicateSample { labels: batch.registry().labels(series), timestamp_ms });
        }
    }
    Ok(())
}
