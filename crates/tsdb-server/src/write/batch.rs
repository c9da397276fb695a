//! A body on its way into the engine: one batch, with an account of what became of each part.
//!
//! The batch is the [`Sink`] of the decoders. Series are found by the bytes of their labels ([`SeriesCache`]) or built, once,
//! in one buffer; samples go to the engine's appender by reference. What cannot be stored is refused by itself, and the rest
//! goes on; only a body that is malformed or too large, or an engine that cannot write, spoils all of it. Nothing is stored
//! before [`Batch::commit`].

use tsdb_core::{Labels, LabelsBuilder, SampleValue};
use tsdb_engine::{Appender, Engine, SeriesRef};

use super::decode::{RawLabels, RawMetadata, Sink};
use super::histogram::{Decoded, HistogramSample};
use super::metadata::MetadataBatch;
use super::outcome::{Outcome, Spoiled};
use super::series_cache::{Dialect, SeriesCache, SeriesKey};
use crate::ServerState;

/// A histogram counts as so many samples against the limit of a body: so much more memory does it take.
const HISTOGRAM_WEIGHT: usize = 10;

/// The series that samples come for.
enum Current {
    Known(SeriesRef),
    /// Its labels are in the builder; its first sample has it registered.
    New,
    /// Refused, and why: told with its first sample.
    Refused(String),
}

/// The samples of one body.
pub(super) struct Batch<'a> {
    engine: &'a Engine,
    appender: Appender<'a>,
    cache: &'a SeriesCache,
    builder: LabelsBuilder,
    /// The bytes by which a new series will be found, unless they are its canonical ones.
    key: Vec<u8>,
    dialect: Dialect,
    current: Current,
    /// Samples of the current series; `None` before the first series.
    of_current: Option<u64>,
    /// Whether a series without samples is refused.
    needs_samples: bool,
    latest_ms: i64,
    room: usize,
    samples_max: usize,
    metadata: MetadataBatch,
    outcome: Outcome,
}

impl<'a> Batch<'a> {
    /// An empty batch. `needs_samples` says that a series without samples is refused, as remote write 2.0 has it.
    pub(super) fn new(state: &'a ServerState, needs_samples: bool) -> Self {
        let samples_max = state.options().write_samples_max;
        Self {
            engine: state.engine(),
            appender: state.engine().appender(),
            cache: state.series_cache(),
            builder: LabelsBuilder::new(),
            key: Vec::new(),
            dialect: Dialect::Canonical,
            current: Current::New,
            of_current: None,
            needs_samples,
            latest_ms: state.latest_ms(),
            room: samples_max,
            samples_max,
            metadata: MetadataBatch::new(state.engine().metadata()),
            outcome: Outcome::default(),
        }
    }

    /// Goes on to another series.
    pub(super) fn begin_series(&mut self) {
        self.end_series();
        self.of_current = Some(0);
    }

    /// Goes on to the series that was seen with these bytes before. `false` if none was.
    pub(super) fn find(&mut self, dialect: Dialect, bytes: &[u8]) -> bool {
        let found = self.cache.get(&SeriesKey::new(dialect, bytes));
        let Some(series) = found.filter(|&series| self.appender.knows(series)) else { return false };
        self.current = Current::Known(series);
        true
    }

    /// Goes on to a series that [`find`](Self::find) has not found by `bytes`.
    pub(super) fn new_series(&mut self, dialect: Dialect, bytes: &[u8], labels: &Labels) {
        self.remember(dialect, bytes);
        self.builder.clear();
        labels.iter().for_each(|(name, value)| self.builder.push(name, value));
        self.current = Current::New;
    }

    /// Keeps the bytes by which the current series will be found.
    fn remember(&mut self, dialect: Dialect, bytes: &[u8]) {
        self.dialect = dialect;
        self.key.clear();
        self.key.extend_from_slice(bytes);
    }

    pub(super) fn outcome(&mut self) -> &mut Outcome {
        &mut self.outcome
    }

    /// Adds a sample to the current series.
    pub(super) fn sample(&mut self, timestamp_ms: i64, value: SampleValue) -> Result<(), Spoiled> {
        let is_float = matches!(value, SampleValue::Float(_));
        let room = self.room.checked_sub(if is_float { 1 } else { HISTOGRAM_WEIGHT });
        self.room = room.ok_or(Spoiled::TooMany { samples_max: self.samples_max })?;
        self.of_current = self.of_current.map(|samples| samples + 1);
        if timestamp_ms > self.latest_ms {
            let reason = || format!("timestamp {timestamp_ms} ms is too far ahead of this server's clock");
            self.outcome.refuse(reason);
            return Ok(());
        }
        let appended = match &self.current {
            Current::Known(series) => self.appender.append_ref(*series, timestamp_ms, value),
            Current::New => self.register(timestamp_ms, value),
            Current::Refused(reason) => {
                self.outcome.refuse(|| reason.clone());
                return Ok(());
            }
        };
        match appended {
            Ok(()) if is_float => self.outcome.floats += 1,
            Ok(()) => self.outcome.histograms += 1,
            Err(error) if error.is_refused_input() => self.outcome.refuse(|| error.to_string()),
            Err(error) => return Err(Spoiled::Engine(error)),
        }
        Ok(())
    }

    /// The first sample of a series that is not in the cache.
    fn register(&mut self, timestamp_ms: i64, value: SampleValue) -> tsdb_engine::Result<()> {
        let labels = self.builder.build()?;
        if labels.metric_name().is_none() {
            let reason = format!("series {labels} has no metric name: it needs the label __name__");
            self.current = Current::Refused(reason.clone());
            return Err(tsdb_core::Error::InvalidLabels(reason).into());
        }
        let series = self.appender.append_value(&labels, timestamp_ms, value)?;
        self.current = Current::Known(series);
        let bytes = if self.dialect == Dialect::Canonical { labels.as_bytes() } else { &self.key };
        self.cache.insert(&SeriesKey::new(self.dialect, bytes), series);
        Ok(())
    }

    fn end_series(&mut self) {
        if self.needs_samples && self.of_current == Some(0) {
            self.outcome.refuse(|| "a series has neither samples nor histograms".to_owned());
        }
    }

    /// Stores metadata and samples, durably.
    pub(super) fn commit(mut self) -> Result<Outcome, Spoiled> {
        self.end_series();
        let Self { engine, appender, metadata, mut outcome, .. } = self;
        // Metadata first: it may be there without its samples, and is of use then, too.
        outcome.metadata_left_out = metadata.store(engine).map_err(Spoiled::Engine)?;
        appender.commit().map_err(Spoiled::Engine)?;
        Ok(outcome)
    }
}

impl Sink for Batch<'_> {
    type Stop = Spoiled;

    fn series(&mut self, labels: RawLabels<'_>) -> Result<(), Spoiled> {
        match labels {
            RawLabels::Encoded(encoded) => {
                self.begin_series();
                if self.find(Dialect::Wire, encoded) {
                    return Ok(());
                }
                self.remember(Dialect::Wire, encoded);
                self.build(labels)
            }
            RawLabels::Symbols { .. } => {
                self.begin_series();
                self.dialect = Dialect::Canonical;
                self.build(labels)?;
                let mut builder = std::mem::take(&mut self.builder);
                if let (Current::New, Ok(bytes)) = (&self.current, builder.build_bytes()) {
                    self.find(Dialect::Canonical, bytes);
                }
                self.builder = builder;
                Ok(())
            }
        }
    }

    fn float(&mut self, timestamp_ms: i64, value: f64, has_start: bool) -> Result<(), Spoiled> {
        self.outcome.starts += u64::from(has_start);
        self.sample(timestamp_ms, SampleValue::Float(value))
    }

    fn histogram(&mut self, sample: Decoded) -> Result<(), Spoiled> {
        match sample {
            Ok(HistogramSample { timestamp_ms, histogram, has_start }) => {
                self.outcome.starts += u64::from(has_start);
                self.sample(timestamp_ms, SampleValue::Histogram(histogram))
            }
            Err(reason) => {
                self.of_current = self.of_current.map(|samples| samples + 1);
                self.outcome.refuse(|| reason);
                Ok(())
            }
        }
    }

    fn exemplar(&mut self) {
        self.outcome.exemplars += 1;
    }

    fn metadata(&mut self, metadata: RawMetadata<'_>) {
        self.metadata.add(metadata);
    }
}

impl Batch<'_> {
    /// Takes labels apart, into the builder.
    fn build(&mut self, labels: RawLabels<'_>) -> Result<(), Spoiled> {
        self.builder.clear();
        let built = labels.each_pair(|name, value| self.builder.push(name, value))?;
        self.current = built.map_or_else(Current::Refused, |()| Current::New);
        Ok(())
    }
}
