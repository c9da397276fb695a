//! A body on its way into the engine: one batch, with an account of what became of each part.
//!
//! The batch is the [`Sink`] of the decoders. Series are found by the bytes of their labels ([`SeriesCache`]) or built, once,
//! in one buffer; samples go to the engine's appender by reference. What cannot be stored is refused by itself, and the rest
//! goes on; only a body that is malformed or too large, or an engine that cannot write, spoils all of it. Nothing is stored
//! before [`Batch::commit`].

use tsdb_core::{Buckets, Labels, LabelsBuilder, SampleValue};
use tsdb_engine::{Appender, Engine, SeriesRef};

use super::decode::{LABELS_MAX, RawLabels, RawMetadata, Sink};
use super::histogram::{Decoded, HistogramSample};
use super::metadata::{MetadataBatch, MetadataChanges};
use super::outcome::{Outcome, Spoiled};
use super::series_cache::{Dialect, SeriesCache, SeriesKey};
use crate::body::{BodyBudget, HeldBytes};
use crate::{ServerOptions, ServerState};

/// A histogram counts as so many samples against the limit of a body: so much more memory does it take.
const HISTOGRAM_WEIGHT: usize = 10;

/// Most bytes of the names and values of a series.
const LABEL_BYTES_MAX: usize = 512 << 10;
/// Bytes of memory that a sample takes in the batch.
const SAMPLE_BYTES: usize = 24;
/// Bytes of memory that a histogram takes besides.
const HISTOGRAM_BYTES: usize = 200;
/// Bytes that are asked of the budget at a time.
const HOLD_BYTES: usize = 64 << 10;
/// The part of the budget that one batch may have.
const BATCH_PART: usize = 4;

/// The series that samples come for.
enum Current {
    Known(SeriesRef),
    /// Its labels are in the builder; its first sample has them put together.
    New,
    /// Its first sample that is good has it registered.
    Labels(Labels),
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
    bodies: &'a BodyBudget,
    options: &'a ServerOptions,
    held: Vec<HeldBytes>,
    /// Bytes of the samples, and those of them that are held.
    bytes: usize,
    held_bytes: usize,
    metadata: MetadataBatch,
    changes: &'a MetadataChanges,
    now_ms: i64,
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
            bodies: state.bodies(),
            options: state.options(),
            held: Vec::new(),
            bytes: 0,
            held_bytes: 0,
            metadata: MetadataBatch::new(state.engine().metadata()),
            changes: state.metadata_changes(),
            now_ms: state.now_ms(),
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
        self.hold(&value)?;
        self.of_current = self.of_current.map(|samples| samples + 1);
        if timestamp_ms > self.latest_ms {
            let reason = || format!("timestamp {timestamp_ms} ms is too far ahead of this server's clock");
            self.outcome.refuse(reason);
            return Ok(());
        }
        if let Current::New = self.current {
            self.current = self.built();
        }
        let appended = match &self.current {
            Current::Known(series) => self.appender.append_ref(*series, timestamp_ms, value),
            Current::Labels(labels) => self.register(labels.clone(), timestamp_ms, value),
            Current::New => return Ok(()),
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

    /// The labels that are in the builder, once for all samples of the series.
    fn built(&mut self) -> Current {
        match self.builder.build() {
            Ok(labels) if labels.metric_name().is_some() => Current::Labels(labels),
            Ok(labels) => {
                Current::Refused(format!("series {labels} has no metric name: it needs the label __name__"))
            }
            Err(error) => Current::Refused(error.to_string()),
        }
    }

    /// The first sample of a series that is not in the cache.
    fn register(&mut self, labels: Labels, timestamp_ms: i64, value: SampleValue) -> tsdb_engine::Result<()> {
        let series = self.appender.append_value(&labels, timestamp_ms, value)?;
        self.current = Current::Known(series);
        let bytes = if self.dialect == Dialect::Canonical { labels.as_bytes() } else { &self.key };
        self.cache.insert(&SeriesKey::new(self.dialect, bytes), series, self.appender.is_new(series));
        Ok(())
    }

    /// Counts the memory of a sample against the budget: it may be many times what it took on the wire.
    fn hold(&mut self, value: &SampleValue) -> Result<(), Spoiled> {
        self.bytes += SAMPLE_BYTES;
        if let SampleValue::Histogram(histogram) = value {
            let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
            let counts = match &histogram.buckets {
                Buckets::Int { positive, negative, .. } => positive.len() + negative.len(),
                Buckets::Float { positive, negative, .. } => positive.len() + negative.len(),
            };
            self.bytes += HISTOGRAM_BYTES + 8 * (spans + counts + histogram.custom_bounds.len());
        }
        if self.bytes > self.options.in_flight_bytes_max / BATCH_PART {
            return Err(Spoiled::TooMany { samples_max: self.samples_max });
        }
        if self.bytes > self.held_bytes {
            let step = HOLD_BYTES.min(self.options.in_flight_bytes_max / BATCH_PART);
            let more = step.max(self.bytes - self.held_bytes);
            self.held.push(self.bodies.hold(more, self.options).map_err(Spoiled::Busy)?);
            self.held_bytes += more;
        }
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
        let Self { engine, appender, metadata, changes, now_ms, mut outcome, held, .. } = self;
        // Metadata first: it may be there without its samples, and is of use then, too.
        outcome.metadata_left_out = metadata.store(engine, changes, now_ms).map_err(Spoiled::Engine)?;
        appender.commit().map_err(Spoiled::Engine)?;
        drop(held);
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
        let (mut count, mut bytes) = (0, 0);
        let built = labels.each_pair(|name, value| {
            count += 1;
            bytes += name.len() + value.len();
            if count <= LABELS_MAX && bytes <= LABEL_BYTES_MAX {
                self.builder.push(name, value);
            }
        })?;
        self.current = match built {
            Err(reason) => Current::Refused(reason),
            Ok(()) if count > LABELS_MAX || bytes > LABEL_BYTES_MAX => Current::Refused(format!(
                "a series has {count} labels of {bytes} bytes; the limits are {LABELS_MAX} and {LABEL_BYTES_MAX}"
            )),
            Ok(()) => Current::New,
        };
        Ok(())
    }
}
