//! One query while it runs: its limits, and what it has cost so far.
//!
//! A [`Meter`] counts and holds the limits; every stream that reads for the query goes through it ([`crate::metered`]), be it a
//! select, a scan or a look-up. Between the series of an answer the limits on series and samples are looked at. Whoever drops
//! a query ends it: nothing runs on its own.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::stream::{FusedStream, Stream, StreamExt};
use parking_lot::Mutex;
use tsdb_cold::{ColdReadStats, ColdReads, SeriesSource, merge_series};
use tsdb_core::{Series, TimeRange};

use crate::aggregate::{AggregateCounts, Aggregation, aggregated};
use crate::error::{Error, Result};
use crate::metered::{Stage, Within};
use crate::select::SeriesStream;

/// Settings of one query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryOptions {
    /// What the query may cost.
    pub limits: QueryLimits,
}

/// What a query may cost. A query that goes beyond fails with [`Error::LimitExceeded`]; what it has given until then is
/// right, but not all. `None`, the default of each but [`windows_max`](Self::windows_max), is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryLimits {
    /// Most series in the answer, or that an aggregation takes in.
    pub series_max: Option<u64>,
    /// Most samples of these series, a histogram counting as one.
    pub samples_max: Option<u64>,
    /// Most windows that an aggregation comes to, all groups together: they are kept in memory until its end.
    pub windows_max: Option<u64>,
    /// Most bytes to read of cold files. What is in a cache is not read, so the same query may later stay below. It is
    /// noticed after the read that goes beyond, which may be of some megabytes.
    pub bytes_read_max: Option<u64>,
    /// Longest time from the call to the end of the answer, the caller's own time between two series included. It is looked
    /// at between two reads, and ends a wait for a store. No runtime's timer is needed for it.
    pub time_max: Option<Duration>,
    /// Most label names or label values in the answer of a look-up of these.
    pub values_max: Option<u64>,
}

impl QueryLimits {
    /// Default of [`QueryLimits::windows_max`]: 4 Mi windows of two to five words each.
    pub const WINDOWS_MAX: u64 = 4 << 20;
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            series_max: None,
            samples_max: None,
            windows_max: Some(Self::WINDOWS_MAX),
            bytes_read_max: None,
            time_max: None,
            values_max: None,
        }
    }
}

/// The limit that a query went beyond, with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryLimit {
    /// [`QueryLimits::series_max`].
    Series(u64),
    /// [`QueryLimits::samples_max`].
    Samples(u64),
    /// [`QueryLimits::windows_max`].
    Windows(u64),
    /// [`QueryLimits::bytes_read_max`].
    BytesRead(u64),
    /// [`QueryLimits::time_max`].
    Time(Duration),
    /// [`QueryLimits::values_max`].
    Values(u64),
}

impl QueryLimit {
    /// The name of the field of [`QueryLimits`].
    #[must_use]
    pub fn setting(&self) -> &'static str {
        match self {
            Self::Series(_) => "series_max",
            Self::Samples(_) => "samples_max",
            Self::Windows(_) => "windows_max",
            Self::BytesRead(_) => "bytes_read_max",
            Self::Time(_) => "time_max",
            Self::Values(_) => "values_max",
        }
    }
}

impl fmt::Display for QueryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(max) => write!(f, "it has more than {max} series"),
            Self::Samples(max) => write!(f, "it has more than {max} samples"),
            Self::Windows(max) => write!(f, "its groups have more than {max} windows"),
            Self::BytesRead(max) => write!(f, "it reads more than {max} bytes of cold files"),
            Self::Time(max) => write!(f, "it takes longer than {max:?}"),
            Self::Values(max) => write!(f, "its answer has more than {max} label names or values"),
        }
    }
}

/// What a query has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryStatistics {
    /// Series in the answer, or that an aggregation has taken in.
    pub series: u64,
    /// Samples of these series.
    pub samples: u64,
    /// What they were aggregated to.
    pub aggregated: AggregateCounts,
    /// Generations of the head that overlap the range of time.
    pub heads: u64,
    /// Sealed blocks that do.
    pub blocks: u64,
    /// Cold files.
    pub cold: ColdReadStats,
    /// Where the time went.
    pub stages: QueryStages,
}

/// Where the time of a query went. The caller's own time between two series belongs to none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryStages {
    /// Finding the sources.
    pub plan: Duration,
    /// Selecting and decoding in head and blocks.
    pub hot: Duration,
    /// Waiting for the metadata of cold files.
    pub open: Duration,
    /// Selecting, reading and decoding in cold files.
    pub cold: Duration,
    /// Joining what the sources gave.
    pub merge: Duration,
    /// Aggregating.
    pub aggregate: Duration,
    /// All of these.
    pub total: Duration,
}

/// Counts and limits of one query, shared by all that reads for it.
pub(crate) struct Meter {
    pub(crate) reads: Arc<ColdReads>,
    limits: QueryLimits,
    started: Instant,
    series: AtomicU64,
    samples: AtomicU64,
    aggregated: Mutex<AggregateCounts>,
    heads: AtomicU64,
    blocks: AtomicU64,
    plan: OnceLock<Duration>,
    hot_nanos: AtomicU64,
    cold_nanos: AtomicU64,
    waited_nanos: AtomicU64,
    aggregate_nanos: AtomicU64,
}

impl Meter {
    pub(crate) fn new(limits: QueryLimits) -> Arc<Self> {
        Self::counting(limits, Arc::default())
    }

    /// A meter of a query whose cold reads are counted in `reads`.
    fn counting(limits: QueryLimits, reads: Arc<ColdReads>) -> Arc<Self> {
        Arc::new(Self {
            reads,
            limits,
            started: Instant::now(),
            series: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            aggregated: Mutex::default(),
            heads: AtomicU64::new(0),
            blocks: AtomicU64::new(0),
            plan: OnceLock::new(),
            hot_nanos: AtomicU64::new(0),
            cold_nanos: AtomicU64::new(0),
            waited_nanos: AtomicU64::new(0),
            aggregate_nanos: AtomicU64::new(0),
        })
    }

    /// Counts a source of the hot tier.
    pub(crate) fn count_hot(&self, is_block: bool) {
        let counter = if is_block { &self.blocks } else { &self.heads };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_time(&self, stage: Stage, took: Duration) {
        let counter = match stage {
            Stage::Hot => &self.hot_nanos,
            Stage::Cold => &self.cold_nanos,
        };
        counter.fetch_add(nanos(took), Ordering::Relaxed);
    }

    /// Counts time that the caller has waited for a part of the answer.
    pub(crate) fn add_waited(&self, took: Duration) {
        self.waited_nanos.fetch_add(nanos(took), Ordering::Relaxed);
    }

    /// Says that the sources are found: the first time counts.
    pub(crate) fn planned(&self) {
        self.plan.get_or_init(|| {
            let hot = Duration::from_nanos(self.hot_nanos.load(Ordering::Relaxed));
            self.started.elapsed().saturating_sub(hot)
        });
    }

    /// The limits that hold also while there is no answer.
    pub(crate) fn check(&self) -> Result<()> {
        if self.time_left() == Some(Duration::ZERO) {
            return self.too_late();
        }
        match self.limits.bytes_read_max {
            Some(max) if self.reads.stats().bytes_read > max => exceeded(QueryLimit::BytesRead(max)),
            _ => Ok(()),
        }
    }

    /// What is left of the time that the query may take, if that is limited.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.limits.time_max.map(|max| max.saturating_sub(self.started.elapsed()))
    }

    /// The error of a query that has taken its time.
    pub(crate) fn too_late<T>(&self) -> Result<T> {
        exceeded(QueryLimit::Time(self.limits.time_max.unwrap_or_default()))
    }

    /// Counts a series of the answer.
    fn count_series(&self, samples: usize) -> Result<()> {
        let series = self.series.fetch_add(1, Ordering::Relaxed) + 1;
        let samples = self.samples.fetch_add(samples as u64, Ordering::Relaxed) + samples as u64;
        match (self.limits.series_max, self.limits.samples_max) {
            (Some(max), _) if series > max => exceeded(QueryLimit::Series(max)),
            (_, Some(max)) if samples > max => exceeded(QueryLimit::Samples(max)),
            _ => Ok(()),
        }
    }

    /// Says what an aggregation has come to, and what its last step took.
    pub(crate) fn aggregated(&self, counts: AggregateCounts, took: Duration) -> Result<()> {
        *self.aggregated.lock() = counts;
        self.aggregate_nanos.fetch_add(nanos(took), Ordering::Relaxed);
        match self.limits.windows_max {
            Some(max) if counts.windows > max => exceeded(QueryLimit::Windows(max)),
            _ => Ok(()),
        }
    }

    /// Whether an answer may have so many label names or values.
    pub(crate) fn check_values(&self, count: usize) -> Result<()> {
        match self.limits.values_max {
            Some(max) if count as u64 > max => exceeded(QueryLimit::Values(max)),
            _ => Ok(()),
        }
    }

    /// What the query has cost so far.
    pub(crate) fn statistics(&self) -> QueryStatistics {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let time = |counter: &AtomicU64| Duration::from_nanos(count(counter));
        let cold = self.reads.stats();
        let plan = self.plan.get().copied().unwrap_or_default();
        let (hot, in_cold) = (time(&self.hot_nanos), time(&self.cold_nanos));
        // What was selected in the hot tier while the sources were found was not waited for.
        let aggregate = time(&self.aggregate_nanos);
        let total = (plan + time(&self.waited_nanos)).max(plan + hot + in_cold + aggregate);
        let stages = QueryStages {
            plan,
            hot,
            open: cold.opening.min(in_cold),
            cold: in_cold.saturating_sub(cold.opening),
            merge: total.saturating_sub(plan + hot + in_cold + aggregate),
            aggregate,
            total,
        };
        QueryStatistics {
            series: count(&self.series),
            samples: count(&self.samples),
            aggregated: *self.aggregated.lock(),
            heads: count(&self.heads),
            blocks: count(&self.blocks),
            cold,
            stages,
        }
    }
}

fn exceeded<T>(limit: QueryLimit) -> Result<T> {
    Err(Error::LimitExceeded { limit })
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The answer of a query, as a stream of series: label-sorted, each once, with the samples in the range; or of groups of
/// series, with their windows. It ends at its first error. Dropped, it begins nothing more: what other threads are decoding for
/// it by then, a few hundred thousand rows at most, they end.
pub struct Query {
    series: Within<Series>,
}

impl Query {
    /// A query of sources that are in no store, merged as an engine merges its own: for Parquet files that lie somewhere.
    /// What is read of them is to be counted in `reads`.
    #[must_use]
    pub fn of_sources(
        sources: Vec<SeriesSource<'static, Error>>,
        reads: Arc<ColdReads>,
        options: &QueryOptions,
    ) -> Self {
        let meter = Meter::counting(options.limits, reads);
        let sources = sources.into_iter().map(|source| meter.metered_source(Stage::Cold, source)).collect();
        Self::new(&meter, merge_series(sources))
    }

    /// A query whose sources are found.
    pub(crate) fn new(meter: &Arc<Meter>, series: SeriesStream) -> Self {
        meter.planned();
        let counted = Arc::clone(meter);
        let series = series.map(move |series| {
            let series = series?;
            counted.count_series(series.samples.len())?;
            Ok(series)
        });
        Self { series: meter.within(series.boxed()) }
    }

    /// What the answer comes to, in windows of time and groups of series: the groups in label order, each as a series of which
    /// every sample is a window. `range` is the range of time that was asked for. See [`Engine::aggregate`](crate::Engine::aggregate).
    #[must_use]
    pub fn aggregated(self, aggregation: &Aggregation, range: TimeRange) -> Self {
        let (series, meter) = self.series.into_inner();
        Self { series: meter.within(aggregated(series, aggregation, range, Arc::clone(&meter))) }
    }

    /// What the query has cost so far.
    #[must_use]
    pub fn statistics(&self) -> QueryStatistics {
        self.series.meter().statistics()
    }
}

impl Stream for Query {
    type Item = Result<Series>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.series.poll_next_unpin(context)
    }
}

impl FusedStream for Query {
    fn is_terminated(&self) -> bool {
        self.series.is_terminated()
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}
