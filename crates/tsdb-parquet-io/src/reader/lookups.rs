//! Label names, label values and label sets of a file, by its series index alone: no label column and no value is read.
//!
//! A series counts when it has a sample in the range, exactly. The index has the first and the last time of each series, which
//! are those of samples: only where the range lies between the two, and holds neither, are timestamps read, of that series.
//!
//! A file without an index is read through, labels and samples.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt, TryStreamExt, try_unfold};
use tsdb_core::{Labels, Matcher, Postings, TimeRange};

use super::ParquetReader;
use super::blocks::IndexReader;
use super::pages::{NumberPages, PageRun, ToRead};
use crate::series_index::{
    LabelNamesLookup, LabelValuesLookup, RowsLookup, Selection, SeriesLookup, SeriesRows,
};
use crate::{Error, Result};

/// Series whose rows, or labels, are looked up at a time, at most.
const STEP_MAX: usize = 64 * 1024;
/// Series whose labels are looked up first, so that they come at once. Each step has so many times those of the one before.
const FIRST_STEP: usize = 256;
const STEP_GROWTH: usize = 8;
/// Bytes of timestamps that are read at a time, about.
const READ_BYTES: u64 = 4 << 20;

impl ParquetReader {
    /// The label names of the series that match all `matchers` and have a sample in `range`, sorted by bytes.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::Store`] when the file cannot be read.
    pub async fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>> {
        let Some(index) = self.index() else {
            let mut names = BTreeSet::new();
            let mut series = self.read_labels(matchers.into(), range);
            while let Some(labels) = series.try_next().await? {
                labels.iter().for_each(|(name, _)| insert(&mut names, name));
            }
            return Ok(names.into_iter().collect());
        };
        match self.present(&index, matchers, range).await? {
            None => Ok(index.directory().labels().iter().map(|label| label.name.to_string()).collect()),
            Some(series) => index.answer(LabelNamesLookup::new(index.directory(), &series)).await,
        }
    }

    /// The values that label `name` has in the series that match all `matchers` and have a sample in `range`, sorted by
    /// bytes; none for an unknown name.
    ///
    /// # Errors
    /// As [`ParquetReader::label_names`].
    pub async fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<String>> {
        let Some(index) = self.index() else {
            let mut values = BTreeSet::new();
            let mut series = self.read_labels(matchers.into(), range);
            while let Some(labels) = series.try_next().await? {
                labels.get(name).into_iter().for_each(|value| insert(&mut values, value));
            }
            return Ok(values.into_iter().collect());
        };
        let series = self.present(&index, matchers, range).await?;
        index.answer(LabelValuesLookup::new(index.directory(), name, series.as_ref())).await
    }

    /// The label sets of the series that match all `matchers` and have a sample in `range`, in label order.
    #[must_use]
    pub fn series_labels(
        &self,
        matchers: Arc<[Matcher]>,
        range: TimeRange,
    ) -> BoxStream<'static, Result<Labels>> {
        let Some(index) = self.index() else { return self.read_labels(matchers, range) };
        let reader = self.clone();
        let begin = async move {
            let series = reader.present(&index, &matchers, range).await?;
            let series = series.unwrap_or_else(|| Postings::all(index.directory().series()));
            let unresolved = series.iter().collect::<Vec<u32>>().into_iter();
            let state = Unresolved { index, unresolved, step: FIRST_STEP, ready: VecDeque::new() };
            Ok::<_, Error>(try_unfold(state, Unresolved::next))
        };
        futures::stream::once(begin).try_flatten().boxed()
    }

    /// As [`ParquetReader::series_labels`], of a file without an index.
    fn read_labels(&self, matchers: Arc<[Matcher]>, range: TimeRange) -> BoxStream<'static, Result<Labels>> {
        self.select(matchers, range).map_ok(|series| series.labels).boxed()
    }

    /// The series that match and have a sample in `range`; `None` for all of the file.
    async fn present(
        &self,
        index: &IndexReader,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Option<Postings>> {
        let of_file = self.file_meta().time_range;
        if !range.overlaps(of_file) {
            return Ok(Some(Postings::new()));
        }
        let is_whole = range.covers(of_file);
        if is_whole && matchers.is_empty() {
            return Ok(None);
        }
        let selected = index.answer(Selection::new(index.directory(), matchers)).await?;
        if is_whole {
            return Ok(Some(selected));
        }
        let row_groups = self.possible_row_groups(&[], range);
        let mut pages = NumberPages::new(self.source.clone(), Arc::clone(&self.metadata), index.clone())?;
        let (mut present, mut unknown) = (Postings::new(), selected.iter());
        loop {
            let step: Postings = unknown.by_ref().take(STEP_MAX).collect();
            if step.is_empty() {
                return Ok(Some(present));
            }
            let rows = index.answer(RowsLookup::new(index.directory(), &step, range)).await?;
            let (certain, between): (Vec<_>, Vec<_>) = rows.into_iter().partition(|series| {
                let TimeRange { start_ms, end_ms } = series.time_range;
                range.contains(start_ms) || range.contains(end_ms)
            });
            let between = with_samples(self.source.path(), &mut pages, between, &row_groups, range).await?;
            present.union(&certain.into_iter().map(|series| series.ordinal).collect());
            present.union(&between.into_iter().collect());
        }
    }
}

/// Those of `series` that have a timestamp in `range`: their ordinals, ascending.
async fn with_samples(
    path: &str,
    pages: &mut NumberPages,
    series: Vec<SeriesRows>,
    row_groups: &[bool],
    range: TimeRange,
) -> Result<Vec<u32>> {
    pages.expect(series.iter().map(|series| &series.rows));
    let (mut found, mut parts, mut timestamps) = (Vec::new(), Vec::new(), Vec::<i64>::new());
    let mut series = series.into_iter().peekable();
    while series.peek().is_some() {
        let (mut step, mut run) = (Vec::new(), PageRun::new(pages.timestamps));
        let mut read = ToRead::default();
        while read.bytes < READ_BYTES
            && let Some(next) = series.next()
        {
            pages.parts(next.rows.clone(), &mut parts).await?;
            let mut places = Vec::new();
            for (group, rows) in parts.iter().filter(|(group, _)| row_groups[*group as usize]) {
                places.push((pages.add(&mut run, *group, rows, &mut read), rows.clone()));
            }
            step.push((next, places));
        }
        pages.load([&mut run]).await?;
        let mut last_row = 0;
        for (series, places) in step {
            last_row = series.rows.end;
            for (pages, rows) in places {
                timestamps.clear();
                run.take(pages, &rows, &mut timestamps).map_err(|detail| Error::damaged(path, detail))?;
                let at = timestamps.partition_point(|&ms| ms < range.start_ms);
                if timestamps.get(at).is_some_and(|&ms| ms <= range.end_ms) {
                    found.push(series.ordinal);
                    break;
                }
            }
        }
        pages.forget_before(last_row);
    }
    Ok(found)
}

/// Series on the way to their labels.
struct Unresolved {
    index: IndexReader,
    unresolved: std::vec::IntoIter<u32>,
    step: usize,
    ready: VecDeque<Labels>,
}

impl Unresolved {
    async fn next(mut self) -> Result<Option<(Labels, Self)>> {
        if self.ready.is_empty() {
            let next: Postings = self.unresolved.by_ref().take(self.step).collect();
            self.step = (self.step * STEP_GROWTH).min(STEP_MAX);
            let directory = self.index.directory();
            let resolved = self.index.answer(SeriesLookup::new(directory, &next, TimeRange::ALL)).await?;
            self.ready = resolved.into_iter().map(|series| series.labels).collect();
        }
        Ok(self.ready.pop_front().map(|labels| (labels, self)))
    }
}

fn insert(found: &mut BTreeSet<String>, text: &str) {
    if !found.contains(text) {
        found.insert(text.to_owned());
    }
}
