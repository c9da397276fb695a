//! Aggregation inside the engine: what the samples of groups of series come to, in windows of time.
//!
//! It takes the merged answer of a select, series by series, so duplicates are resolved and deletes applied before, and where a
//! sample lies cannot change a bit. A series comes as columns, whose slices are folded a window at a time; of its labels only
//! those that grouping names are looked at. Memory is that of the groups' windows: what was folded is dropped.
//!
//! The semantics, all of them:
//!
//! - A **window** is `[k * step, (k + 1) * step)` for a whole `k`, in milliseconds since the Unix epoch; only samples in the
//!   range of the query count in it. Its timestamp is its start, which may lie before the range. Without a step there is one
//!   window, whose timestamp is the start of the range, or of the first sample that counts where the range has none.
//! - All samples of all series of a group count, as rows do for SQL's `GROUP BY`. A window without any is left out, and so is
//!   a group without windows.
//! - Staleness markers are no samples. `count` counts histograms; the other functions leave them out, and the statistics say
//!   how many.
//! - `sum` adds in one order, series by label set and each by time, with the rounding error carried along (Neumaier's
//!   compensation); `avg` is that sum divided by the count. Both are NaN where a sample is, or infinities of both signs are, and
//!   then always the same NaN.
//! - `min` and `max` leave NaN out unless there is nothing else. Of equal zeros the first one in the order above counts.
//! - `first` and `last` go by time; of samples at one time the one of the first, or of the last, series by label set counts.

mod fold;
mod table;

use std::sync::Arc;
use std::time::Instant;

use futures::stream::{self, StreamExt, TryStreamExt};
use tsdb_core::TimeRange;

use crate::error::{Error, Result};
use crate::query::Meter;
use crate::select::SeriesStream;
use fold::{Average, Count, First, Last, Maximum, Minimum, Sum};
use table::{GroupTable, Table};

/// Samples that are folded before other tasks of the thread have a turn.
const SAMPLES_A_TURN: usize = 1 << 18;

/// What to make of the samples of a select.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Aggregation {
    /// What the samples of a window come to.
    pub function: AggregateFunction,
    /// Which series are taken together.
    pub grouping: Grouping,
    /// Length of a window in milliseconds, at least 1. `None`: one window, the whole range.
    pub step_ms: Option<i64>,
}

/// What the samples of a window come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AggregateFunction {
    /// How many there are, histograms included.
    Count,
    /// Their sum.
    Sum,
    /// The lowest.
    Min,
    /// The highest.
    Max,
    /// The sum divided by the count.
    Avg,
    /// The first one in time.
    First,
    /// The last one in time.
    Last,
}

/// Which series are taken together: those that have the same values of some labels. A missing label is one of no value. The
/// group's own label set has these labels and no others. `__name__` is a label like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grouping {
    /// By these labels; by none, all series are one group.
    By(Vec<String>),
    /// By all labels but these.
    Without(Vec<String>),
}

impl Aggregation {
    /// All series and the whole range taken together.
    #[must_use]
    pub fn new(function: AggregateFunction) -> Self {
        Self { function, grouping: Grouping::By(Vec::new()), step_ms: None }
    }

    /// Groups by these labels.
    #[must_use]
    pub fn by<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        Self { grouping: Grouping::By(labels.into_iter().map(Into::into).collect()), ..self }
    }

    /// Groups by all labels but these.
    #[must_use]
    pub fn without<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        Self { grouping: Grouping::Without(labels.into_iter().map(Into::into).collect()), ..self }
    }

    /// Sets the length of a window.
    #[must_use]
    pub fn step_ms(self, step_ms: i64) -> Self {
        Self { step_ms: Some(step_ms), ..self }
    }
}

/// What an aggregation has come to so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AggregateCounts {
    /// Groups.
    pub groups: u64,
    /// Windows of all groups.
    pub windows: u64,
    /// Histograms that the function has no use for.
    pub histograms_left_out: u64,
}

/// The groups that `series`, the answer of a select over `range`, comes to.
pub(crate) fn aggregated(
    mut series: SeriesStream,
    aggregation: &Aggregation,
    range: TimeRange,
    meter: Arc<Meter>,
) -> SeriesStream {
    let table = table(aggregation, range);
    let groups = async move {
        let mut table = table?;
        let mut samples = 0;
        while let Some(series) = series.try_next().await? {
            let started = Instant::now();
            table.add(&series);
            meter.aggregated(table.counts(), started.elapsed())?;
            samples += series.samples.len();
            if samples >= SAMPLES_A_TURN {
                samples = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok::<_, Error>(stream::iter(table.finish().map(Ok)))
    };
    stream::once(groups).try_flatten().boxed()
}

fn table(aggregation: &Aggregation, range: TimeRange) -> Result<Box<dyn Table>> {
    if let Some(step_ms) = aggregation.step_ms.filter(|&step_ms| step_ms < 1) {
        return Err(Error::InvalidStep { step_ms });
    }
    Ok(match aggregation.function {
        AggregateFunction::Count => GroupTable::<Count>::boxed(aggregation, range),
        AggregateFunction::Sum => GroupTable::<Sum>::boxed(aggregation, range),
        AggregateFunction::Min => GroupTable::<Minimum>::boxed(aggregation, range),
        AggregateFunction::Max => GroupTable::<Maximum>::boxed(aggregation, range),
        AggregateFunction::Avg => GroupTable::<Average>::boxed(aggregation, range),
        AggregateFunction::First => GroupTable::<First>::boxed(aggregation, range),
        AggregateFunction::Last => GroupTable::<Last>::boxed(aggregation, range),
    })
}
