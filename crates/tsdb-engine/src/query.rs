//! One query while it runs: its limits, and what it has cost so far.
//!
//! The sources of the answer are polled one at a time, so that the time spent in each kind of them adds up. Before each poll
//! the limits on time and on bytes are looked at, between the series of the answer those on series and samples; the limit on
//! time also ends a wait for a store. Whoever drops a query ends it: nothing runs on its own.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::stream::{BoxStream, FusedStream, Stream, StreamExt};
use tokio::time::Sleep;
use tsdb_cold::{ColdReadStats, ColdReads, SeriesSource};
use tsdb_core::Series;

use crate::error::{Error, Result};
use crate::select::SeriesStream;

/// Settings of one query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryOptions {
    /// What the query may cost.
    pub limits: QueryLimits,
}

/// What a query may cost. A query that goes beyond fails with [`Error::LimitExceeded`]; what it has given until then is
/// right, but not all. `None`, the default of each, is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryLimits {
    /// Most series in the answer.
    pub series_max: Option<u64>,
    /// Most samples in the answer, a histogram counting as one.
    pub samples_max: Option<u64>,
    /// Most bytes to read of cold files. What is in a cache is not read, so the same query may later stay below. It is
    /// noticed after the read that goes beyond, which may be of some megabytes.
    pub bytes_read_max: Option<u64>,
    /// Longest time from the call to the end of the answer, the caller's own time between two series included. Needs a
    /// runtime with timers (in Tokio, `enable_time`): polling the query panics without.
    pub time_max: Option<Duration>,
}

/// The limit that a query went beyond, with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryLimit {
    /// [`QueryLimits::series_max`].
    Series(u64),
    /// [`QueryLimits::samples_max`].
    Samples(u64),
    /// [`QueryLimits::bytes_read_max`].
    BytesRead(u64),
    /// [`QueryLimits::time_max`].
    Time(Duration),
}

impl QueryLimit {
    /// The name of the field of [`QueryLimits`].
    #[must_use]
    pub fn setting(&self) -> &'static str {
        match self {
            Self::Series(_) => "series_max",
            Self::Samples(_) => "samples_max",
            Self::BytesRead(_) => "bytes_read_max",
            Self::Time(_) => "time_max",
        }
    }
}

impl fmt::Display for QueryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(max) => write!(f, "its answer has more than {max} series"),
            Self::Samples(max) => write!(f, "its answer has more than {max} samples"),
            Self::BytesRead(max) => write!(f, "it reads more than {max} bytes of cold files"),
            Self::Time(max) => write!(f, "it takes longer than {max:?}"),
        }
    }
}

/// What a query has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryStatistics {
    /// Series in the answer.
    pub series: u64,
    /// Samples in the answer.
    pub samples: u64,
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
    /// All of these.
    pub total: Duration,
}

/// The kind of a source, for the time that it takes.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    Hot,
    Cold,
}

/// Counts and limits of one query, shared by its sources.
pub(crate) struct Meter {
    pub(crate) reads: Arc<ColdReads>,
    limits: QueryLimits,
    started: Instant,
    heads: AtomicU64,
    blocks: AtomicU64,
    plan_nanos: AtomicU64,
    hot_nanos: AtomicU64,
    cold_nanos: AtomicU64,
}

impl Meter {
    pub(crate) fn new(limits: QueryLimits) -> Arc<Self> {
        Arc::new(Self {
            reads: Arc::default(),
            limits,
            started: Instant::now(),
            heads: AtomicU64::new(0),
            blocks: AtomicU64::new(0),
            plan_nanos: AtomicU64::new(0),
            hot_nanos: AtomicU64::new(0),
            cold_nanos: AtomicU64::new(0),
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

    /// Says that the sources are found.
    fn planned(&self) {
        let hot = self.hot_nanos.load(Ordering::Relaxed);
        self.plan_nanos.store(nanos(self.started.elapsed()).saturating_sub(hot), Ordering::Relaxed);
    }

    /// The limits that hold also while there is no answer.
    fn check(&self) -> Result<()> {
        let QueryLimits { bytes_read_max, time_max, .. } = self.limits;
        let exceeded = |limit| Err(Error::LimitExceeded { limit });
        if let Some(max) = time_max
            && self.started.elapsed() > max
        {
            return exceeded(QueryLimit::Time(max));
        }
        if let Some(max) = bytes_read_max
            && self.reads.stats().bytes_read > max
        {
            return exceeded(QueryLimit::BytesRead(max));
        }
        Ok(())
    }

    /// `source`, with its time counted and the limits looked at before each poll.
    pub(crate) fn metered(
        self: &Arc<Self>,
        stage: Stage,
        source: SeriesSource<'static, Error>,
    ) -> SeriesSource<'static, Error> {
        let SeriesSource { sequence, series } = source;
        let metered = Metered { series, stage, meter: Arc::clone(self), waiting_since: None };
        SeriesSource { sequence, series: metered.boxed() }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

struct Metered {
    series: BoxStream<'static, Result<Series>>,
    stage: Stage,
    meter: Arc<Meter>,
    waiting_since: Option<Instant>,
}

impl Stream for Metered {
    type Item = Result<Series>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Err(error) = self.meter.check() {
            return Poll::Ready(Some(Err(error)));
        }
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let polled = self.series.poll_next_unpin(context);
        if polled.is_ready() {
            self.waiting_since = None;
            self.meter.add_time(self.stage, since.elapsed());
        }
        polled
    }
}

/// The answer of a query, as a stream of series: label-sorted, each once, with the samples in the range. It ends at its first
/// error. Dropped, it ends at once.
pub struct Query {
    /// `None` at the end.
    series: Option<SeriesStream>,
    meter: Arc<Meter>,
    deadline: Option<Pin<Box<Sleep>>>,
    waiting_since: Option<Instant>,
    waited: Duration,
    series_count: u64,
    samples_count: u64,
}

impl Query {
    /// A query whose sources are found.
    pub(crate) fn new(meter: Arc<Meter>, series: SeriesStream) -> Self {
        meter.planned();
        Self {
            series: Some(series),
            meter,
            deadline: None,
            waiting_since: None,
            waited: Duration::ZERO,
            series_count: 0,
            samples_count: 0,
        }
    }

    /// What the query has cost so far.
    #[must_use]
    pub fn statistics(&self) -> QueryStatistics {
        let Meter { reads, heads, blocks, plan_nanos, hot_nanos, cold_nanos, .. } = &*self.meter;
        let time = |counter: &AtomicU64| Duration::from_nanos(counter.load(Ordering::Relaxed));
        let cold = reads.stats();
        let (plan, hot, in_cold) = (time(plan_nanos), time(hot_nanos), time(cold_nanos));
        // What was selected in the hot tier while the sources were found is not in `waited`.
        let total = (plan + self.waited).max(plan + hot + in_cold);
        let stages = QueryStages {
            plan,
            hot,
            open: cold.opening.min(in_cold),
            cold: in_cold.saturating_sub(cold.opening),
            merge: total.saturating_sub(plan + hot + in_cold),
            total,
        };
        QueryStatistics {
            series: self.series_count,
            samples: self.samples_count,
            heads: heads.load(Ordering::Relaxed),
            blocks: blocks.load(Ordering::Relaxed),
            cold,
            stages,
        }
    }

    /// Whether the query is over its time. Wakes the task when it comes to be.
    fn is_too_late(&mut self, context: &mut Context<'_>) -> bool {
        let Some(max) = self.meter.limits.time_max else { return false };
        let left = max.saturating_sub(self.meter.started.elapsed());
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(left)));
        deadline.as_mut().poll(context).is_ready() || left.is_zero()
    }

    fn count(&mut self, series: Series) -> Result<Series> {
        self.series_count += 1;
        self.samples_count += series.samples.len() as u64;
        let QueryLimits { series_max, samples_max, .. } = self.meter.limits;
        let limit = match (series_max, samples_max) {
            (Some(max), _) if self.series_count > max => QueryLimit::Series(max),
            (_, Some(max)) if self.samples_count > max => QueryLimit::Samples(max),
            _ => return Ok(series),
        };
        Err(Error::LimitExceeded { limit })
    }

    fn end(&mut self) {
        self.series = None;
        self.deadline = None;
        self.meter.reads.end();
    }
}

impl Stream for Query {
    type Item = Result<Series>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let query = &mut *self;
        if query.series.is_none() {
            return Poll::Ready(None);
        }
        if query.is_too_late(context) {
            query.end();
            let limit = QueryLimit::Time(query.meter.limits.time_max.unwrap_or_default());
            return Poll::Ready(Some(Err(Error::LimitExceeded { limit })));
        }
        let since = *query.waiting_since.get_or_insert_with(Instant::now);
        let Some(series) = &mut query.series else { return Poll::Ready(None) };
        let Poll::Ready(next) = series.poll_next_unpin(context) else { return Poll::Pending };
        query.waiting_since = None;
        query.waited += since.elapsed();
        let next = next.map(|series| series.and_then(|series| query.count(series)));
        if !matches!(next, Some(Ok(_))) {
            query.end();
        }
        Poll::Ready(next)
    }
}

impl FusedStream for Query {
    fn is_terminated(&self) -> bool {
        self.series.is_none()
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}
