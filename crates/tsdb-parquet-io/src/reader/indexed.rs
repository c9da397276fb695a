//! Series by the series index: their labels and rows from its blocks, their samples from the pages that hold them. No
//! label column is read.
//!
//! Series are resolved in steps that grow, so that the first come at once and many are not asked for one by one; and
//! their pages are read in steps of a bounded number of bytes and rows, neighbours together. Memory holds one step.
//!
//! Of the rows of a series only those within the query's time are decoded. Where the series goes beyond it, its timestamps
//! are read first, then the values that are left; otherwise both at once.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt, TryStreamExt, try_unfold};
use parquet::arrow::ProjectionMask;
use tsdb_core::{Matcher, Postings, SampleBuffer, Series, TimeRange};
use tsdb_schema::{HISTOGRAM_COLUMN, TIMESTAMP_COLUMN, VALUE_COLUMN};

use super::blocks::IndexReader;
use super::pages::{NumberPages, PageKey};
use super::series::append;
use super::{ParquetReader, ReadRequest};
use crate::series_index::{ResolvedSeries, Selection, SeriesLookup};
use crate::{Error, Result};

/// Series that are resolved in the first step, and in later ones at most.
const FIRST_STEP: usize = 256;
const STEP_MAX: usize = 64 * 1024;
/// Each step resolves so many times the series of the one before.
const STEP_GROWTH: usize = 8;
/// Bytes of pages that are read at a time, about.
const READ_BYTES: u64 = 1 << 20;
/// Rows that are read at a time, about, 4 MiB of samples: a merge holds a step of each of its files, and samples that
/// compress to next to nothing would be more than memory holds.
const READ_ROWS: u64 = 256 << 10;
/// Rows with histograms, which may take kilobytes each, that are read at a time, about.
const HISTOGRAM_ROWS: u64 = 8 * 1024;
/// A series of no more rows is read as a whole: to look at its timestamps first would cost another request.
const WHOLE_ROWS: u64 = 8 * 1024;

/// The series that satisfy `matchers`, with their samples in `range`.
pub(super) fn series(
    reader: ParquetReader,
    index: IndexReader,
    matchers: Arc<[Matcher]>,
    range: TimeRange,
) -> BoxStream<'static, Result<Series>> {
    let begin = async move {
        let pages = NumberPages::new(reader.source.clone(), Arc::clone(&reader.metadata), index.clone())?;
        let row_groups = reader.possible_row_groups(&matchers, range);
        let selected = if row_groups.contains(&true) {
            index.answer(Selection::new(index.directory(), &matchers)).await?
        } else {
            Postings::new()
        };
        let state = Indexed {
            reader,
            index,
            range,
            row_groups,
            unresolved: selected.iter().collect::<Vec<u32>>().into_iter(),
            step: FIRST_STEP,
            resolved: VecDeque::new(),
            ready: VecDeque::new(),
            pages,
        };
        Ok::<_, Error>(try_unfold(state, Indexed::next))
    };
    futures::stream::once(begin).try_flatten().boxed()
}

struct Indexed {
    reader: ParquetReader,
    index: IndexReader,
    range: TimeRange,
    /// By row group, whether it can have rows that match.
    row_groups: Vec<bool>,
    unresolved: std::vec::IntoIter<u32>,
    step: usize,
    resolved: VecDeque<ResolvedSeries>,
    ready: VecDeque<Series>,
    pages: NumberPages,
}

/// Rows of one series in one row group, counted from the group's start.
#[derive(Clone, Debug)]
struct Part {
    group: u32,
    rows: Range<u64>,
}

/// A series whose pages are read.
struct Wanted {
    series: ResolvedSeries,
    parts: Vec<Part>,
}

impl Indexed {
    async fn next(mut self) -> Result<Option<(Series, Self)>> {
        loop {
            if let Some(series) = self.ready.pop_front() {
                return Ok(Some((series, self)));
            }
            if self.resolved.is_empty() && !self.resolve().await? {
                return Ok(None);
            }
            self.read().await?;
        }
    }

    /// Resolves the next series; false when there are none.
    async fn resolve(&mut self) -> Result<bool> {
        let next: Postings = self.unresolved.by_ref().take(self.step).collect();
        if next.is_empty() {
            return Ok(false);
        }
        self.step = (self.step * STEP_GROWTH).min(STEP_MAX);
        let lookup = SeriesLookup::new(self.index.directory(), &next, self.range);
        self.resolved = self.index.answer(lookup).await?.into();
        self.pages.expect(self.resolved.iter().map(|series| &series.rows.rows));
        Ok(true)
    }

    /// Reads the samples of the next few resolved series.
    async fn read(&mut self) -> Result<()> {
        let mut step = self.wanted().await?;
        let Some(last_row) = step.last().map(|last| last.series.rows.rows.end) else { return Ok(()) };

        let mut timestamps = Vec::with_capacity(step.len());
        for wanted in &mut step {
            timestamps.push(self.timestamps_in_range(wanted)?);
        }
        let values = step.iter().flat_map(|wanted| self.value_pages(wanted)).collect();
        self.pages.load(&values).await?;
        let mut histograms = self.histograms(&step).await?.into_iter();

        for (wanted, timestamps_ms) in step.into_iter().zip(timestamps) {
            let ResolvedSeries { labels, rows } = &wanted.series;
            let samples = if rows.has_histograms {
                histograms.next().unwrap_or_default()
            } else {
                SampleBuffer { values: self.values(&wanted)?, timestamps_ms, histograms: Vec::new() }
            };
            if !samples.is_empty() {
                self.ready.push_back(Series { labels: labels.clone(), samples });
            }
        }
        self.pages.forget_before(last_row);
        Ok(())
    }

    /// Takes as many resolved series as are read in one step, and reads their pages: those of timestamps, and those of
    /// values that are surely needed.
    async fn wanted(&mut self) -> Result<Vec<Wanted>> {
        let mut step = Vec::new();
        let mut keys: BTreeSet<PageKey> = BTreeSet::new();
        let (mut bytes, mut all_rows, mut histogram_rows) = (0, 0, 0);
        while bytes < READ_BYTES && all_rows < READ_ROWS && histogram_rows < HISTOGRAM_ROWS {
            let Some(series) = self.resolved.pop_front() else { break };
            let rows = series.rows.rows.clone();
            let parts = self.pages.parts(rows.clone()).await?;
            let parts = parts.into_iter().filter(|(group, _)| self.row_groups[*group as usize]);
            let wanted = Wanted { parts: parts.map(|(group, rows)| Part { group, rows }).collect(), series };
            let has_all = {
                let TimeRange { start_ms, end_ms } = wanted.series.rows.time_range;
                self.range.start_ms <= start_ms && end_ms <= self.range.end_ms
            };
            let mut add = |key: PageKey| {
                if keys.insert(key) {
                    bytes += self.pages.bytes_to_read(key);
                }
            };
            for Part { group, rows } in &wanted.parts {
                self.pages.pages_with(self.pages.timestamps, *group, rows).for_each(&mut add);
            }
            if has_all || rows.end - rows.start <= WHOLE_ROWS {
                self.value_pages(&wanted).into_iter().for_each(&mut add);
            }
            all_rows += rows.end - rows.start;
            if wanted.series.rows.has_histograms {
                histogram_rows += rows.end - rows.start;
            }
            step.push(wanted);
        }
        self.pages.load(&keys).await?;
        Ok(step)
    }

    /// The pages with the values of a series that has floats only.
    fn value_pages(&self, wanted: &Wanted) -> Vec<PageKey> {
        match self.pages.values {
            Some(values) if !wanted.series.rows.has_histograms => {
                let parts = wanted.parts.iter();
                parts.flat_map(|part| self.pages.pages_with(values, part.group, &part.rows)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The timestamps of a series in the query's time. Leaves in its parts the rows that they belong to.
    fn timestamps_in_range(&self, wanted: &mut Wanted) -> Result<Vec<i64>> {
        let (mut all, mut in_range) = (Vec::new(), Vec::new());
        for part in &mut wanted.parts {
            all.clear();
            self.pages.take(self.pages.timestamps, part.group, &part.rows, &mut all)?;
            let start = all.partition_point(|&ms| ms.cast_signed() < self.range.start_ms);
            let end = all.partition_point(|&ms| ms.cast_signed() <= self.range.end_ms).max(start);
            part.rows = part.rows.start + start as u64..part.rows.start + end as u64;
            in_range.extend(all[start..end].iter().map(|ms| ms.cast_signed()));
        }
        if !in_range.is_sorted_by(|a, b| a < b) {
            let detail = format!("the rows of {} do not ascend in time", wanted.series.labels);
            return Err(Error::damaged(self.reader.source.path(), detail));
        }
        wanted.parts.retain(|part| !part.rows.is_empty());
        Ok(in_range)
    }

    fn values(&self, wanted: &Wanted) -> Result<Vec<f64>> {
        let Some(column) = self.pages.values else {
            let detail = format!("{} has floats, and the file no column for them", wanted.series.labels);
            return Err(Error::damaged(self.reader.source.path(), detail));
        };
        let mut bits = Vec::new();
        for Part { group, rows } in &wanted.parts {
            self.pages.take(column, *group, rows, &mut bits)?;
        }
        Ok(bits.into_iter().map(f64::from_bits).collect())
    }

    /// The samples of those series that have histograms, decoded as tables.
    async fn histograms(&self, step: &[Wanted]) -> Result<Vec<SampleBuffer>> {
        let with_histograms: Vec<&Wanted> =
            step.iter().filter(|wanted| wanted.series.rows.has_histograms).collect();
        let rows_of = |part: &Part| {
            let start = self.index.directory().row_group_range(part.group).map_or(0, |span| span.start);
            start + part.rows.start..start + part.rows.end
        };
        let rows: Vec<Range<u64>> =
            with_histograms.iter().flat_map(|wanted| &wanted.parts).map(rows_of).collect();
        let mut samples = vec![SampleBuffer::default(); with_histograms.len()];
        if rows.is_empty() {
            return Ok(samples);
        }
        let path = self.reader.source.path();
        let mut batches = self
            .reader
            .read(ReadRequest { rows: Some(rows), ..ReadRequest::default() }, self.sample_columns());
        // Whose rows come next, and how many.
        let counts = with_histograms.iter().enumerate().flat_map(|(at, wanted)| {
            wanted.parts.iter().map(move |part| (at, (part.rows.end - part.rows.start) as usize))
        });
        let mut counts = counts.collect::<Vec<_>>().into_iter();
        let (mut at, mut left) = (0, 0);
        while let Some(batch) = batches.try_next().await? {
            let mut row = 0;
            while row < batch.num_rows() {
                if left == 0 {
                    let more = || Error::damaged(path, "more rows than its series index has named");
                    (at, left) = counts.next().ok_or_else(more)?;
                }
                let count = left.min(batch.num_rows() - row);
                let slice = batch.slice(row, count);
                let mapper = self.reader.metadata.mapper();
                let run = mapper.record_batch_to_sample_batch(&slice).map_err(Error::not_samples(path))?;
                for series in run.series {
                    append(path, &with_histograms[at].series.labels, &mut samples[at], series.samples)?;
                }
                (row, left) = (row + count, left - count);
            }
        }
        if left > 0 || counts.next().is_some() {
            return Err(Error::damaged(path, "fewer rows than its series index has named"));
        }
        Ok(samples)
    }

    fn sample_columns(&self) -> ProjectionMask {
        self.reader.roots(|name| [TIMESTAMP_COLUMN, VALUE_COLUMN, HISTOGRAM_COLUMN].contains(&name))
    }
}
