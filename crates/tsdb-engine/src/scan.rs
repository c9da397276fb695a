//! The scan: the answer of a query as Arrow record batches, for consumers that work on columns.
//!
//! The table is that of a cold file: `timestamp`, `value`, `histogram`, label columns as dictionaries, `labels`; one row per
//! sample, series in label order, each one's rows by time. Its schema is known before the first batch and is that of every
//! batch, as those who plan a query need it. It hangs on the label names of the answer alone, and on the options.
//!
//! The label names are looked up in the indexes first, over the same sources that are then read. Blocks, cold files and
//! frozen generations do not change meanwhile. The live generation of the head does: a series that comes to it later, with a
//! label that has no column, is left out. It was not there at the call.
//!
//! Memory: a batch, and one series of each source.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{self, FusedStream, Stream, StreamExt};
use tsdb_core::{Labels, Matcher, SampleBuffer, Series, TimeRange};
use tsdb_schema::arrow::array::RecordBatch;
use tsdb_schema::arrow::datatypes::SchemaRef;
use tsdb_schema::{LabelLayout, SampleBatch, SchemaMapper};

use crate::error::{Error, Result};
use crate::query::{Meter, Query, QueryLimits};
use crate::select::{self, Tiers};
use crate::store::Store;
use crate::{QueryStatistics, lookup};

/// Settings of one scan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanOptions {
    /// What the scan may cost. Samples that a projection leaves out count, for they are read.
    pub limits: QueryLimits,
    /// Which labels the table has, and where.
    pub labels: LabelProjection,
    /// Whether the table has the `histogram` column. Without it, samples that are histograms are left out.
    pub histograms: bool,
    /// Most rows of a batch. One is the least.
    pub batch_rows: usize,
}

impl ScanOptions {
    /// Default of [`ScanOptions::batch_rows`]: what DataFusion takes a batch to be.
    pub const BATCH_ROWS: usize = 8192;
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            limits: QueryLimits::default(),
            labels: LabelProjection::default(),
            histograms: true,
            batch_rows: Self::BATCH_ROWS,
        }
    }
}

/// Which labels a table has, and where. A column that is asked for is there also when no series has the label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelProjection {
    /// A column for each label name that occurs in the answer.
    #[default]
    All,
    /// Columns for these labels; the others of each row are in the `labels` map.
    ColumnsAndMap(Vec<String>),
    /// Columns for these labels, and no others: rows of several series may look alike. They stay in the order of the series.
    Columns(Vec<String>),
}

/// The answer of a scan, as a stream of record batches of one schema. It ends at its first error, which comes after all rows
/// of the series before it. Dropped, it ends as a [`Query`](crate::Query) does.
pub struct Scan {
    query: Query,
    columns: Columns,
    rows: Rows,
    /// How the query ended. The last rows may be yet to come.
    ended: Option<Result<()>>,
}

impl Scan {
    /// The schema of every batch.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.columns.mapper.time_series_to_arrow_schema()
    }

    /// What the scan has cost so far.
    #[must_use]
    pub fn statistics(&self) -> QueryStatistics {
        self.query.statistics()
    }
}

impl Stream for Scan {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let scan = &mut *self;
        while scan.ended.is_none() && !scan.rows.are_enough() {
            match scan.query.poll_next_unpin(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(series)) => match series.and_then(|series| scan.columns.project(series)) {
                    Ok(series) => scan.rows.push(series),
                    Err(error) => scan.ended = Some(Err(error)),
                },
                Poll::Ready(None) => scan.ended = Some(Ok(())),
            }
        }
        if let Some(batch) = scan.rows.take() {
            let batch = scan.columns.mapper.sample_batch_to_record_batch(&batch).map_err(Error::from);
            if batch.is_err() {
                scan.ended = Some(Ok(()));
                scan.rows = Rows::new(scan.rows.max);
            }
            return Poll::Ready(Some(batch));
        }
        match scan.ended.replace(Ok(())) {
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            _ => Poll::Ready(None),
        }
    }
}

impl FusedStream for Scan {
    fn is_terminated(&self) -> bool {
        matches!(self.ended, Some(Ok(()))) && self.rows.count == 0
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

/// Begins a scan: finds its sources and its schema.
pub(crate) async fn scan(
    store: &Store,
    matchers: &[Matcher],
    range: TimeRange,
    options: &ScanOptions,
) -> Result<Scan> {
    let meter = Meter::new(options.limits);
    let rows = Rows::new(options.batch_rows.max(1));
    if range.is_empty() {
        let columns = Columns::new(options, BTreeSet::new())?;
        let query = Query::new(&meter, stream::empty().boxed());
        return Ok(Scan { query, columns, rows, ended: None });
    }
    let (tiers, matchers) = (Tiers::of(store, range), matchers.into());
    let names = match &options.labels {
        LabelProjection::All => {
            lookup::label_names(&tiers, &matchers, range, &meter, store.is_read_only()).await?
        }
        _ => BTreeSet::new(),
    };
    let columns = Columns::new(options, names)?;
    let fits = columns.clone();
    let of_head = move |series: &Series| fits.have_place_for(&series.labels);
    let series = select::series(store, tiers, &matchers, range, &meter, of_head);
    Ok(Scan { query: Query::new(&meter, series), columns, rows, ended: None })
}

/// What of a series is in the table, and in which column.
#[derive(Clone)]
struct Columns {
    mapper: SchemaMapper,
    /// Labels without a column are left out.
    only_columns: bool,
}

impl Columns {
    /// The table that `options` ask for; `names` are the label names of the answer.
    fn new(options: &ScanOptions, names: BTreeSet<String>) -> Result<Self> {
        let (layout, labels, only_columns) = match &options.labels {
            LabelProjection::All => (LabelLayout::Columns, names.into_iter().collect(), false),
            LabelProjection::ColumnsAndMap(labels) => (LabelLayout::Hybrid, labels.clone(), false),
            LabelProjection::Columns(labels) => (LabelLayout::Columns, labels.clone(), true),
        };
        Ok(Self { mapper: SchemaMapper::new(layout, labels, options.histograms)?, only_columns })
    }

    /// Whether every label is in the table, or is meant to be left out.
    fn have_place_for(&self, labels: &Labels) -> bool {
        let mapper = &self.mapper;
        let mut names = labels.iter().map(|(name, _)| name);
        self.only_columns || mapper.has_label_map() || names.all(|name| mapper.label_column(name).is_some())
    }

    /// `series` without what the table has no place for.
    fn project(&self, mut series: Series) -> Result<Series> {
        if !self.mapper.has_histograms() {
            series.samples.histograms = Vec::new();
        }
        if self.only_columns {
            let kept = series.labels.iter().filter(|(name, _)| self.mapper.label_column(name).is_some());
            series.labels = Labels::from_pairs(kept)?;
        }
        Ok(series)
    }
}

/// Rows on the way to their batches.
struct Rows {
    series: VecDeque<Series>,
    /// How much of the first series is in a batch already.
    taken: Place,
    /// Rows that are left.
    count: usize,
    /// Most rows of a batch.
    max: usize,
}

impl Rows {
    fn new(max: usize) -> Self {
        Self { series: VecDeque::new(), taken: Place::default(), count: 0, max }
    }

    /// Whether there are those of a whole batch.
    fn are_enough(&self) -> bool {
        self.count >= self.max
    }

    fn push(&mut self, series: Series) {
        if !series.samples.is_empty() {
            self.count += series.samples.len();
            self.series.push_back(series);
        }
    }

    /// The next batch, if there are rows. A series that does not fit is cut.
    fn take(&mut self) -> Option<SampleBatch> {
        let (mut batch, mut free) = (SampleBatch::default(), self.max);
        while free > 0
            && let Some(Series { labels, samples }) = self.series.pop_front()
        {
            let from = std::mem::take(&mut self.taken);
            let to = from.after(&samples, free);
            let rows = to.rows() - from.rows();
            let is_whole = rows == samples.len();
            let left = samples.len() - to.rows();
            (free, self.count) = (free - rows, self.count - rows);
            if is_whole {
                batch.series.push(Series { labels, samples });
                continue;
            }
            batch.series.push(Series { labels: labels.clone(), samples: from.until(to, &samples) });
            if left > 0 {
                self.taken = to;
                self.series.push_front(Series { labels, samples });
            }
        }
        (!batch.series.is_empty()).then_some(batch)
    }
}

/// A place between two samples of a series: how many floats and how many histograms lie before it.
#[derive(Clone, Copy, Default)]
struct Place {
    floats: usize,
    histograms: usize,
}

impl Place {
    fn rows(self) -> usize {
        self.floats + self.histograms
    }

    /// The place so many rows later, or the end.
    fn after(mut self, samples: &SampleBuffer, rows: usize) -> Self {
        let SampleBuffer { timestamps_ms, histograms, .. } = samples;
        for row in 0..rows {
            match (timestamps_ms.get(self.floats), histograms.get(self.histograms)) {
                (None, None) => break,
                (_, None) => {
                    self.floats = timestamps_ms.len().min(self.floats + rows - row);
                    break;
                }
                (Some(float_ms), Some((histogram_ms, _))) if float_ms < histogram_ms => self.floats += 1,
                (_, Some(_)) => self.histograms += 1,
            }
        }
        self
    }

    /// The samples from here to another place.
    fn until(self, to: Self, samples: &SampleBuffer) -> SampleBuffer {
        SampleBuffer {
            timestamps_ms: samples.timestamps_ms[self.floats..to.floats].to_vec(),
            values: samples.values[self.floats..to.floats].to_vec(),
            histograms: samples.histograms[self.histograms..to.histograms].to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::Arc;

    use tsdb_core::SampleValue;

    use super::*;

    fn series(name: &str, rows: Range<i64>) -> Series {
        let mut samples = SampleBuffer::default();
        for ms in rows {
            let histogram = || SampleValue::Histogram(Arc::new(tsdb_core::Histogram::stale(true)));
            samples.push(ms, if ms % 3 == 1 { histogram() } else { SampleValue::Float(ms as f64) });
        }
        Series { labels: Labels::from_pairs([("__name__", name)]).unwrap(), samples }
    }

    #[test]
    fn batches_are_full_and_hold_every_row_once_in_order() {
        for max in 1..30 {
            let mut rows = Rows::new(max);
            let mut found = Vec::new();
            let mut take = |rows: &mut Rows| {
                let batch = rows.take().unwrap();
                found.extend(batch.series.iter().flat_map(|s| {
                    s.samples.iter().map(|(ms, _)| (s.labels.metric_name().unwrap().to_owned(), ms))
                }));
                batch.rows()
            };
            for (name, length) in [("a", 1), ("b", 25), ("c", 0), ("d", 7), ("e", 60)] {
                rows.push(series(name, 0..length));
                while rows.are_enough() {
                    assert_eq!(take(&mut rows), max);
                }
            }
            if rows.count > 0 {
                assert!(take(&mut rows) < max);
            }
            assert!(rows.take().is_none());
            let all = [("a", 1), ("b", 25), ("d", 7), ("e", 60)];
            let all = all.iter().flat_map(|(name, length)| (0..*length).map(|ms| ((*name).to_owned(), ms)));
            assert_eq!(found, all.collect::<Vec<_>>());
        }
    }
}
