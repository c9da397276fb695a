//! Record batches to series: each series once, in label order.
//!
//! Rows of our files are sorted, so a series is complete when the next one begins: memory holds one batch and
//! one series. The order is checked as it goes by; rows out of order are damage. Rows of a foreign file come
//! in any order: all that match are gathered and sorted in memory first, and of two samples with one
//! timestamp the later row wins.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use futures::stream::{BoxStream, StreamExt, TryStreamExt, try_unfold};
use tsdb_core::{Labels, SampleBuffer, Series};

use super::ColdFileMetadata;
use crate::{Error, Origin, Result};

/// The series in `batches`.
pub(super) fn series(
    path: String,
    metadata: Arc<ColdFileMetadata>,
    batches: BoxStream<'static, Result<RecordBatch>>,
) -> BoxStream<'static, Result<Series>> {
    match metadata.file_meta().origin {
        Origin::Tsdb => {
            let state = Sorted { path, metadata, batches, ready: VecDeque::new(), open: None };
            try_unfold(state, Sorted::next).boxed()
        }
        Origin::Foreign => {
            let gathered = gather(path, metadata, batches);
            futures::stream::once(gathered)
                .map_ok(|all| futures::stream::iter(all.into_iter().map(Ok)))
                .try_flatten()
                .boxed()
        }
    }
}

/// The series of a sorted file.
struct Sorted {
    path: String,
    metadata: Arc<ColdFileMetadata>,
    batches: BoxStream<'static, Result<RecordBatch>>,
    /// Complete series.
    ready: VecDeque<Series>,
    /// The last series seen: the next batch may go on with it.
    open: Option<Series>,
}

impl Sorted {
    async fn next(mut self) -> Result<Option<(Series, Self)>> {
        loop {
            if let Some(series) = self.ready.pop_front() {
                return Ok(Some((series, self)));
            }
            match self.batches.try_next().await? {
                Some(batch) => self.take(&batch)?,
                None => return Ok(self.open.take().map(|last| (last, self))),
            }
        }
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let runs = self.metadata.mapper().record_batch_to_sample_batch(batch);
        for run in runs.map_err(Error::not_samples(&self.path))?.series {
            match &mut self.open {
                Some(open) if open.labels == run.labels => append(&self.path, open, run.samples)?,
                Some(open) if open.labels > run.labels => {
                    let detail = format!("{} comes after {}, which sorts behind it", run.labels, open.labels);
                    return Err(Error::damaged(&self.path, detail));
                }
                open => self.ready.extend(open.replace(run)),
            }
        }
        Ok(())
    }
}

/// Appends later samples of one series.
fn append(path: &str, open: &mut Series, mut later: SampleBuffer) -> Result<()> {
    if later.time_range().start_ms <= open.samples.time_range().end_ms {
        return Err(Error::damaged(path, format!("the rows of {} do not ascend in time", open.labels)));
    }
    open.samples.timestamps_ms.append(&mut later.timestamps_ms);
    open.samples.values.append(&mut later.values);
    open.samples.histograms.append(&mut later.histograms);
    Ok(())
}

/// All series of a file in any order, sorted.
async fn gather(
    path: String,
    metadata: Arc<ColdFileMetadata>,
    mut batches: BoxStream<'static, Result<RecordBatch>>,
) -> Result<Vec<Series>> {
    let mut all: HashMap<Labels, Runs> = HashMap::new();
    while let Some(batch) = batches.try_next().await? {
        let runs = metadata.mapper().record_batch_to_sample_batch(&batch);
        for run in runs.map_err(Error::not_samples(&path))?.series {
            all.entry(run.labels).or_default().push(run.samples);
        }
    }
    let mut sorted: Vec<Series> =
        all.into_iter().map(|(labels, runs)| Series { labels, samples: runs.merged() }).collect();
    sorted.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    Ok(sorted)
}

/// The runs of one series, from the oldest row to the newest. Each is longer than those behind it together, about, so that
/// a sample is copied a few times however many runs there are: rows that descend in time make one of each.
#[derive(Default)]
struct Runs(Vec<SampleBuffer>);

impl Runs {
    fn push(&mut self, mut newest: SampleBuffer) {
        while let Some(mut older) = self.0.pop_if(|older| older.len() <= newest.len()) {
            older.merge_newer(newest);
            newest = older;
        }
        self.0.push(newest);
    }

    fn merged(mut self) -> SampleBuffer {
        let mut newest = self.0.pop().unwrap_or_default();
        while let Some(mut older) = self.0.pop() {
            older.merge_newer(newest);
            newest = older;
        }
        newest
    }
}
