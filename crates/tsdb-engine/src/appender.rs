//! Writing: a batch that is durable as a whole, or not there.

use tsdb_core::{Labels, SampleValue};
use tsdb_hot::{Committed, SeriesRef};

use crate::Engine;
use crate::error::Result;

/// One batch on its way into the engine; made by [`Engine::appender`]. Dropped without [`commit`](Self::commit)
/// it leaves no trace.
#[derive(Debug)]
pub struct Appender<'a> {
    batch: tsdb_hot::Appender<'a>,
    engine: &'a Engine,
}

impl<'a> Appender<'a> {
    pub(crate) fn new(engine: &'a Engine) -> Self {
        Self { batch: engine.hot().appender(), engine }
    }

    fn check_writable(&self) -> Result<()> {
        self.engine.check_writable()
    }

    /// Adds a float sample. The reference that comes back finds the series again without its labels.
    ///
    /// # Errors
    /// [`Error::Hot`](crate::Error::Hot) for a timestamp outside the years 1 to 9999 (milliseconds since the Unix epoch);
    /// [`Error::ReadOnly`](crate::Error::ReadOnly).
    pub fn append(&mut self, labels: &Labels, timestamp_ms: i64, value: f64) -> Result<SeriesRef> {
        self.append_value(labels, timestamp_ms, SampleValue::Float(value))
    }

    /// Adds a sample of either kind.
    ///
    /// # Errors
    /// As [`append`](Self::append), and for a histogram that breaks the rules of its schema.
    pub fn append_value(
        &mut self,
        labels: &Labels,
        timestamp_ms: i64,
        value: SampleValue,
    ) -> Result<SeriesRef> {
        self.check_writable()?;
        Ok(self.batch.append(labels, timestamp_ms, value)?)
    }

    /// Whether a reference is good in this batch: it is of this engine, and idle series were not dropped since.
    #[must_use]
    pub fn knows(&self, series: SeriesRef) -> bool {
        self.batch.knows(series)
    }

    /// Whether the head had never seen a series before this batch began.
    #[must_use]
    pub fn is_new(&self, series: SeriesRef) -> bool {
        self.batch.is_new(series)
    }

    /// Adds a sample to a series that was appended to before.
    ///
    /// # Errors
    /// As [`append_value`](Self::append_value), and for a reference that the batch does not [know](Self::knows).
    pub fn append_ref(&mut self, series: SeriesRef, timestamp_ms: i64, value: SampleValue) -> Result<()> {
        self.check_writable()?;
        Ok(self.batch.append_ref(series, timestamp_ms, value)?)
    }

    /// Makes the batch durable (as the WAL's sync setting says) and visible.
    ///
    /// When the head has grown over its budget, it is sealed in the background.
    ///
    /// # Errors
    /// [`Error::Hot`](crate::Error::Hot) when the WAL cannot be written: then no sample of the batch is visible.
    /// [`Error::ReadOnly`](crate::Error::ReadOnly).
    pub fn commit(self) -> Result<Committed> {
        self.check_writable()?;
        let committed = self.batch.commit()?;
        self.engine.store().count_commit();
        self.engine.seal_if_needed();
        Ok(committed)
    }
}
