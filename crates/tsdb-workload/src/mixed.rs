//! The mixed workload: scrape targets of 100 series, generated a target at a time.
//!
//! Memory is one target's, whatever the number of series. Every target and every row draws from a random
//! stream of its own, so targets can be made alone, out of order and in parallel, and a longer run begins with
//! the samples of a shorter one.

use tsdb_core::{Labels, SampleBuffer, Series};

use crate::Kind;
use crate::random::Random;
use crate::template;
use crate::values;

/// Series in a full scrape target.
pub const SERIES_PER_TARGET: usize = 100;
/// Milliseconds between two scrapes.
pub const STEP_MS: i64 = 15_000;
/// The start of a workload unless set: 2026-01-01T00:00:00Z, a multiple of two hours.
pub(crate) const DEFAULT_START_MS: i64 = 1_767_225_600_000;

/// Targets whose scrapes jitter.
const JITTER_CHANCE: f64 = 0.3;
/// Standard deviation of the jitter, milliseconds.
const JITTER_DEVIATION_MS: f64 = 3.0;
/// Jitter above this is cut, so that timestamps ascend whatever is drawn.
const JITTER_MAX_MS: f64 = 90.0;
/// Random streams set aside for a target: one a row, and those below.
const STREAMS_PER_TARGET: u64 = 128;
const STREAM_TIMESTAMPS: u64 = 126;
const STREAM_LABELS: u64 = 127;
/// The first row that is a bucket.
const FIRST_BUCKET: usize = 75;

/// The settings of a mixed workload.
///
/// ```
/// use tsdb_workload::Mixed;
///
/// let settings = Mixed { series: 250, samples: 10, ..Mixed::default() };
/// let sizes: Vec<usize> = settings.targets().map(|target| target.len()).collect();
/// assert_eq!(sizes, [100, 100, 50]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mixed {
    /// Number of series; the last target has fewer than 100 when this is not a multiple of 100.
    pub series: usize,
    /// Samples of each series, [`STEP_MS`] apart.
    pub samples: usize,
    /// Chooses the data: equal seeds give equal data.
    pub seed: u64,
    /// Start of the first scrape interval, milliseconds since the Unix epoch. Each target scrapes at its own
    /// offset (under 15 s) from here.
    pub start_ms: i64,
}

impl Default for Mixed {
    /// 1000 series of 240 samples (an hour), seed 1, from 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self { series: 1000, samples: 240, seed: 1, start_ms: DEFAULT_START_MS }
    }
}

impl Mixed {
    /// `series` series of `samples` samples each, the rest as in [`Mixed::default`].
    #[must_use]
    pub fn new(series: usize, samples: usize) -> Self {
        Self { series, samples, ..Self::default() }
    }

    /// The same workload drawn with another seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same workload moved to another start, milliseconds since the Unix epoch.
    #[must_use]
    pub fn with_start_ms(self, start_ms: i64) -> Self {
        Self { start_ms, ..self }
    }

    /// Number of scrape targets.
    #[must_use]
    pub fn target_count(&self) -> usize {
        self.series.div_ceil(SERIES_PER_TARGET)
    }

    /// Target `target`, generated now.
    ///
    /// # Panics
    /// If there is no such target.
    #[must_use]
    pub fn target(&self, target: usize) -> Target {
        let rows = self.rows_of(target);
        let mut made = Target {
            labels: self.labels_of(target).take(rows).collect(),
            timestamps: self.timestamps_of(target),
            values: vec![0.0; rows * self.samples],
        };
        for (row, values) in made.values.chunks_exact_mut(self.samples.max(1)).enumerate() {
            if Kind::of_row(row) != Kind::Bucket {
                self.fill_row(target, row, values);
            }
        }
        let buckets = FIRST_BUCKET.min(rows)..(FIRST_BUCKET + Kind::Bucket.series_per_target()).min(rows);
        self.fill_buckets(target, &mut made.values[buckets.start * self.samples..buckets.end * self.samples]);
        made
    }

    /// Every target in turn; at any moment only one is in memory.
    pub fn targets(&self) -> impl ExactSizeIterator<Item = Target> + use<> {
        let settings = *self;
        (0..self.target_count()).map(move |target| settings.target(target))
    }

    /// Everything at once, for callers that have the memory: 8 bytes a sample and the label sets.
    #[must_use]
    pub fn generate(&self) -> Workload {
        Workload { targets: self.targets().collect(), series: self.series }
    }

    /// Fills `values`, one for each sample, with a row that is no bucket.
    pub(crate) fn fill_row(&self, target: usize, row: usize, values: &mut [f64]) {
        values::fill(Kind::of_row(row), &mut self.random(target, row as u64), values);
    }

    /// Fills `values`, bucket after bucket, with the target's histogram.
    pub(crate) fn fill_buckets(&self, target: usize, values: &mut [f64]) {
        values::fill_buckets(&mut self.random(target, FIRST_BUCKET as u64), self.samples, values);
    }

    fn random(&self, target: usize, stream: u64) -> Random {
        Random::new(self.seed, target as u64 * STREAMS_PER_TARGET + stream)
    }

    /// Number of series of a target.
    pub(crate) fn rows_of(&self, target: usize) -> usize {
        assert!(target < self.target_count(), "target {target} of {}", self.target_count());
        (self.series - target * SERIES_PER_TARGET).min(SERIES_PER_TARGET)
    }

    /// The label sets of a full target, row by row.
    pub(crate) fn labels_of(&self, target: usize) -> impl Iterator<Item = Labels> + use<> {
        let shared = template::target_labels(target, &mut self.random(target, STREAM_LABELS));
        template::rows_of(target).iter().map(move |row| template::row_labels(&shared, row))
    }

    pub(crate) fn timestamps_of(&self, target: usize) -> Vec<i64> {
        let mut random = self.random(target, STREAM_TIMESTAMPS);
        let first_ms = self.start_ms + random.below(STEP_MS as u64 - 100) as i64;
        let jitters = random.chance(JITTER_CHANCE);
        let jitter_ms = |random: &mut Random| {
            random.normal(0.0, JITTER_DEVIATION_MS).round().abs().min(JITTER_MAX_MS) as i64
        };
        (0..self.samples as i64)
            .map(|scrape| first_ms + scrape * STEP_MS + if jitters { jitter_ms(&mut random) } else { 0 })
            .collect()
    }
}

/// One scrape target: up to 100 series that share their timestamps. Row numbers are `0..len()`.
#[derive(Clone, Debug)]
pub struct Target {
    labels: Vec<Labels>,
    timestamps: Vec<i64>,
    /// Row after row.
    values: Vec<f64>,
}

impl Target {
    /// Number of series: 100, or fewer in a workload's last target.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether the target has no series. No target of a workload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The label set of a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn labels(&self, row: usize) -> &Labels {
        &self.labels[row]
    }

    /// The kind of a row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn kind(&self, row: usize) -> Kind {
        assert!(row < self.len(), "row {row} of {}", self.len());
        Kind::of_row(row)
    }

    /// The timestamps of a row, milliseconds since the Unix epoch, ascending. All rows of a target have the
    /// same.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn timestamps(&self, row: usize) -> &[i64] {
        assert!(row < self.len(), "row {row} of {}", self.len());
        &self.timestamps
    }

    /// The values of a row, one for each of its timestamps.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn values(&self, row: usize) -> &[f64] {
        assert!(row < self.len(), "row {row} of {}", self.len());
        let samples = self.timestamps.len();
        &self.values[row * samples..(row + 1) * samples]
    }

    /// A copy of a row as the data model's own type.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn to_series(&self, row: usize) -> Series {
        let samples = SampleBuffer {
            timestamps_ms: self.timestamps(row).to_vec(),
            values: self.values(row).to_vec(),
            ..SampleBuffer::default()
        };
        Series { labels: self.labels(row).clone(), samples }
    }
}

/// A mixed workload held in memory as a whole. Series numbers are `0..len()`, target after target.
#[derive(Clone, Debug)]
pub struct Workload {
    targets: Vec<Target>,
    series: usize,
}

impl Workload {
    /// Number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series
    }

    /// Whether there are no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series == 0
    }

    /// Number of samples over all series.
    #[must_use]
    pub fn sample_count(&self) -> usize {
        self.targets.iter().map(|target| target.values.len()).sum()
    }

    /// The targets.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The label set of a series.
    ///
    /// # Panics
    /// If there is no such series.
    #[must_use]
    pub fn labels(&self, series: usize) -> &Labels {
        let (target, row) = self.place(series);
        target.labels(row)
    }

    /// The kind of a series.
    ///
    /// # Panics
    /// If there is no such series.
    #[must_use]
    pub fn kind(&self, series: usize) -> Kind {
        let (target, row) = self.place(series);
        target.kind(row)
    }

    /// The timestamps of a series, milliseconds since the Unix epoch, ascending.
    ///
    /// # Panics
    /// If there is no such series.
    #[must_use]
    pub fn timestamps(&self, series: usize) -> &[i64] {
        let (target, row) = self.place(series);
        target.timestamps(row)
    }

    /// The values of a series, one for each of its timestamps.
    ///
    /// # Panics
    /// If there is no such series.
    #[must_use]
    pub fn values(&self, series: usize) -> &[f64] {
        let (target, row) = self.place(series);
        target.values(row)
    }

    fn place(&self, series: usize) -> (&Target, usize) {
        (&self.targets[series / SERIES_PER_TARGET], series % SERIES_PER_TARGET)
    }
}
