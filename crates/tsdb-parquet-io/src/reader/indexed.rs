//! Series by the series index: their labels and rows from its blocks, their samples from the pages that hold them. No
//! label column is read.
//!
//! Series are resolved in steps that grow, so that the first come at once and many are not asked for one by one; and
//! their pages are read in steps of a bounded number of bytes and rows, neighbours together. Memory holds one step, and in
//! large selections those that are decoded ahead on other threads (`super::ahead`).
//!
//! Of the rows of a series only those within the query's time are decoded. Where a long series goes beyond it, its timestamps
//! are read first, then the values that are left; otherwise both at once.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt, TryStreamExt, try_unfold};
use parquet::arrow::ProjectionMask;
use tsdb_core::{Matcher, Postings, SampleBuffer, Series, TimeRange};
use tsdb_schema::{HISTOGRAM_COLUMN, TIMESTAMP_COLUMN, VALUE_COLUMN};

use super::blocks::IndexReader;
use super::pages::{NumberPages, PageRun, ToRead};
use super::series::append;
use super::step::{Part, Planned, Step, Wanted};
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
/// Rows that are read at a time, about, 2 MiB of samples: a merge holds a step of each of its files, and samples that
/// compress to next to nothing would be more than memory holds.
const READ_ROWS: u64 = 128 << 10;
/// Rows of pages that are decoded in one step, about: where few rows of each page are wanted, the pages are the work.
const PAGE_ROWS: u64 = 512 << 10;
/// Steps of one reader that are under way ahead of the one that is asked for: others have a share of the threads, too.
const STEPS_AHEAD: usize = 2;
/// Rows of pages that must be left to decode for a step to be decoded ahead: fewer are decoded sooner than another thread has
/// woken.
const AHEAD_PAGE_ROWS: u64 = 128 << 10;
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
            ready: Vec::new().into_iter(),
            rows_left: 0,
            page_rows_each: 0,
            steps: VecDeque::new(),
            failed: None,
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
    /// Rows of `resolved`.
    rows_left: u64,
    /// Rows of pages that were read for each row of the last step, about: two where all rows are wanted, many where few are.
    page_rows_each: u64,
    ready: std::vec::IntoIter<Series>,
    /// Steps whose series come next.
    steps: VecDeque<Planned>,
    /// Why no step comes behind those.
    failed: Option<Error>,
    pages: NumberPages,
}

impl Indexed {
    async fn next(mut self) -> Result<Option<(Series, Self)>> {
        loop {
            if let Some(series) = self.ready.next() {
                return Ok(Some((series, self)));
            }
            let Some(next) = self.next_step().await? else { return Ok(None) };
            self.ready = next.finish().await?.into_iter();
        }
    }

    /// The next step; `None` when there are none. Steps behind it are under way then, if they are worth it.
    async fn next_step(&mut self) -> Result<Option<Planned>> {
        let is_first = self.steps.is_empty();
        let next = match (self.steps.pop_front(), self.failed.take()) {
            (Some(next), failed) => {
                self.failed = failed;
                next
            }
            (None, Some(error)) => return Err(error),
            (None, None) => match self.plan().await? {
                Some(step) => Planned::new(step),
                None => return Ok(None),
            },
        };
        // The first series are not to wait for more than one read behind theirs.
        let steps_max = if is_first { 1 } else { STEPS_AHEAD };
        while self.steps.len() < steps_max
            && self.steps.back().is_none_or(Planned::is_started)
            && self.is_much_left()
        {
            let step = match self.plan().await {
                Ok(Some(step)) => step,
                Ok(None) => break,
                // What was read before the error comes before it.
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            };
            self.steps.push_back(Planned::new(step).start(&self.reader.ahead));
        }
        Ok(Some(next))
    }

    /// Whether there is enough left to read for another thread to be worth it.
    fn is_much_left(&self) -> bool {
        self.failed.is_none()
            && self.reader.ahead.has_place()
            && (self.rows_left.saturating_mul(self.page_rows_each) >= AHEAD_PAGE_ROWS
                || self.unresolved.len() >= STEP_GROWTH)
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
        self.rows_left =
            self.resolved.iter().map(|series| series.rows.rows.end - series.rows.rows.start).sum();
        self.pages.expect(self.resolved.iter().map(|series| &series.rows.rows));
        Ok(true)
    }

    /// Takes as many series as are read in one step, and reads their pages.
    async fn plan(&mut self) -> Result<Option<Step>> {
        while self.resolved.is_empty() {
            if !self.resolve().await? {
                return Ok(None);
            }
        }
        let mut step = Step {
            path: self.reader.source.path().to_owned(),
            range: self.range,
            series: Vec::new(),
            parts: Vec::new(),
            timestamps: PageRun::new(self.pages.timestamps),
            values: self.pages.values.map(PageRun::new),
        };
        let needs_times = self.take_series(&mut step).await?;
        if needs_times.contains(&true) {
            self.pages.load([&mut step.timestamps]).await?;
            narrow(&mut step, &needs_times)?;
            self.add_values(&mut step);
        }
        match &mut step.values {
            Some(values) => self.pages.load([&mut step.timestamps, values]).await?,
            None => self.pages.load([&mut step.timestamps]).await?,
        }
        self.read_histograms(&mut step).await?;
        if let Some(last) = step.series.last() {
            self.pages.forget_before(last.series.rows.rows.end);
        }
        Ok(Some(step))
    }

    /// Moves resolved series into `step`, with their parts and the pages that hold them. Gives which of them need to have their
    /// timestamps looked at before more is read of them.
    async fn take_series(&mut self, step: &mut Step) -> Result<Vec<bool>> {
        let mut needs_times = Vec::new();
        let mut parts = Vec::new();
        let (mut read, mut all_rows, mut histogram_rows) = (ToRead::default(), 0, 0);
        while read.bytes < READ_BYTES
            && read.page_rows < PAGE_ROWS
            && all_rows < READ_ROWS
            && histogram_rows < HISTOGRAM_ROWS
        {
            let Some(series) = self.resolved.pop_front() else { break };
            let rows = series.rows.rows.clone();
            let count = rows.end - rows.start;
            self.pages.parts(rows, &mut parts).await?;
            let first = step.parts.len();
            for (group, rows) in parts.iter().filter(|(group, _)| self.row_groups[*group as usize]) {
                let timestamps = self.pages.add(&mut step.timestamps, *group, rows, &mut read);
                let mut part = Part { group: *group, rows: rows.clone(), timestamps, values: 0..0 };
                if let Some(values) = step.values.as_mut().filter(|_| !series.rows.has_histograms) {
                    part.values = self.pages.add(values, *group, rows, &mut read);
                }
                step.parts.push(part);
            }
            let has_all = self.range.covers(series.rows.time_range);
            needs_times.push(series.rows.has_histograms || !has_all && count > WHOLE_ROWS);
            all_rows += count;
            self.rows_left = self.rows_left.saturating_sub(count);
            if series.rows.has_histograms {
                histogram_rows += count;
            }
            step.series.push(Wanted { series, parts: first..step.parts.len(), samples: None });
        }
        self.page_rows_each = read.page_rows.div_ceil(all_rows.max(1));
        Ok(needs_times)
    }

    /// Names the pages with the values anew, now that less of some series is wanted.
    fn add_values(&self, step: &mut Step) {
        let Some(values) = &mut step.values else { return };
        *values = PageRun::new(values.column());
        for wanted in step.series.iter().filter(|wanted| !wanted.series.rows.has_histograms) {
            for part in &mut step.parts[wanted.parts.clone()] {
                part.values = self.pages.add(values, part.group, &part.rows, &mut ToRead::default());
            }
        }
    }

    async fn read_histograms(&self, step: &mut Step) -> Result<()> {
        let mut samples = self.histograms(step).await?.into_iter();
        for wanted in step.series.iter_mut().filter(|wanted| wanted.series.rows.has_histograms) {
            wanted.samples = Some(samples.next().unwrap_or_default());
        }
        Ok(())
    }

    /// The samples of those series that have histograms, decoded as tables.
    async fn histograms(&self, step: &Step) -> Result<Vec<SampleBuffer>> {
        let with_histograms: Vec<&Wanted> =
            step.series.iter().filter(|wanted| wanted.series.rows.has_histograms).collect();
        let rows_of = |part: &Part| {
            let start = self.index.directory().row_group_range(part.group).map_or(0, |span| span.start);
            start + part.rows.start..start + part.rows.end
        };
        let rows: Vec<Range<u64>> =
            with_histograms.iter().flat_map(|wanted| step.parts_of(wanted)).map(rows_of).collect();
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
            step.parts_of(wanted).map(move |part| (at, (part.rows.end - part.rows.start) as usize))
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

/// Leaves, of the parts of those series that `needs_times` names, the rows in the range. Their timestamps are in memory.
fn narrow(step: &mut Step, needs_times: &[bool]) -> Result<()> {
    let mut timestamps_ms = Vec::new();
    for (wanted, _) in step.series.iter().zip(needs_times).filter(|(_, needs_times)| **needs_times) {
        for at in wanted.parts.clone() {
            timestamps_ms.clear();
            let rows = step.rows_in_range(wanted, &step.parts[at], &mut timestamps_ms)?;
            step.parts[at].rows = rows;
        }
    }
    Ok(())
}
