//! The way in: a batch is checked sample by sample, then committed as a whole or not at all.
//!
//! Checks come before the log: a timestamp that no store holds, a histogram that breaks its rules or a label set that is
//! too long is refused by the call that brings it, and the batch goes on without it. Label sets are canonical by their type.

use std::sync::atomic::{AtomicU32, Ordering};

use tsdb_core::{Labels, SampleValue, check_timestamp};

use crate::batch::Batch;
use crate::head::Committed;
use crate::registry::SeriesId;
use crate::store::HotStore;
use crate::wal::GroupWriter;
use crate::{DuplicatePolicy, Error, Result};

/// A series that was appended to before: appending by it needs no labels. Good as long as the store it came from is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesRef {
    opening: u32,
    series: SeriesId,
}

/// The number of an opening of a store in this process, so that a reference is not taken for another store's.
#[derive(Debug)]
pub(crate) struct Opening(u32);

impl Opening {
    pub(crate) fn next() -> Self {
        static OPENINGS: AtomicU32 = AtomicU32::new(0);
        Self(OPENINGS.fetch_add(1, Ordering::Relaxed))
    }
}

/// A batch of samples. Nothing is stored before [`Appender::commit`]; dropping it drops the samples. (Label sets that the
/// head had never seen stay registered.)
#[derive(Debug)]
#[must_use = "an appender that is not committed stores nothing"]
pub struct Appender<'a> {
    store: &'a HotStore,
    batch: Batch,
}

impl<'a> Appender<'a> {
    pub(crate) fn new(store: &'a HotStore) -> Self {
        Self { store, batch: Batch::default() }
    }

    /// Adds a sample. `timestamp_ms` counts milliseconds since the Unix epoch; any order of arrival is fine. Returns the
    /// reference that [`Appender::append_ref`] takes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a timestamp outside 0001..=9999 or a histogram that breaks its rules;
    /// [`Error::LabelsTooLarge`], [`Error::TooManySeries`]. The sample is not in the batch then; the others are.
    pub fn append(&mut self, labels: &Labels, timestamp_ms: i64, value: SampleValue) -> Result<SeriesRef> {
        check(timestamp_ms, &value)?;
        let series = self.store.registry().get_or_insert(labels)?;
        self.batch.push(series, timestamp_ms, value);
        Ok(SeriesRef { opening: self.store.opening().0, series })
    }

    /// Adds a float sample; otherwise as [`Appender::append`].
    ///
    /// # Errors
    /// As [`Appender::append`].
    pub fn append_float(&mut self, labels: &Labels, timestamp_ms: i64, value: f64) -> Result<SeriesRef> {
        check_timestamp(timestamp_ms)?;
        let series = self.store.registry().get_or_insert(labels)?;
        self.batch.push_float(series, timestamp_ms, value);
        Ok(SeriesRef { opening: self.store.opening().0, series })
    }

    /// Adds a sample of a series that was appended to before.
    ///
    /// # Errors
    /// [`Error::UnknownSeries`] for a reference that this opening of the store did not give out; [`Error::Invalid`] as
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
    pub fn commit(self) -> Result<Committed> {
        let Self { store, batch } = self;
        if batch.is_empty() {
            return Ok(Committed::default());
        }
        if store.options().duplicate_policy == DuplicatePolicy::Reject {
            refuse_duplicates(store, &batch)?;
        }
        let mut records = GroupWriter::default();
        records.samples(&batch)?;
        let ticket = store.wal().commit(&batch, &records.finish(true), store.registry())?;
        Ok(ticket.apply(&batch))
    }

    fn known(&self, series: SeriesRef) -> Result<SeriesId> {
        if series.opening == self.store.opening().0 { Ok(series.series) } else { Err(Error::UnknownSeries) }
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
    let generations = store.generations();
    let mut in_batch = std::collections::HashMap::new();
    for sample in batch.samples() {
        let (series, timestamp_ms, value) = (sample.series, sample.timestamp_ms, batch.value(sample));
        let earlier = in_batch.insert((series, timestamp_ms), value.clone());
        // The newest generation that has the timestamp holds the value that counts.
        let existing = earlier.or_else(|| generations.iter().rev().find_map(|g| g.get(series, timestamp_ms)));
        if existing.is_some_and(|existing| !existing.bits_eq(&value)) {
            return Err(Error::DuplicateSample { labels: store.registry().labels(series), timestamp_ms });
        }
    }
    Ok(())
}
