//! Record batches of our own files without a series index to series: each series once, in label order.
//!
//! Rows of our files are sorted, so a series is complete when the next one begins: memory holds one batch and
//! one series. The order is checked as it goes by; rows out of order are damage. Rows of foreign files, which come in any
//! order, are `foreign`'s work.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use futures::stream::{BoxStream, StreamExt, TryStreamExt, try_unfold};
use tsdb_core::{Labels, SampleBuffer, Series};

use super::ColdFileMetadata;
use crate::{Error, Result};

/// The series in `batches`.
pub(super) fn series(
    path: String,
    metadata: Arc<ColdFileMetadata>,
    batches: BoxStream<'static, Result<RecordBatch>>,
) -> BoxStream<'static, Result<Series>> {
    let state = Sorted { path, metadata, batches, ready: VecDeque::new(), open: None };
    try_unfold(state, Sorted::next).boxed()
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
                Some(Series { labels, samples }) if *labels == run.labels => {
                    append(&self.path, labels, samples, run.samples)?;
                }
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

/// Appends later samples of the series with `labels`.
pub(super) fn append(
    path: &str,
    labels: &Labels,
    samples: &mut SampleBuffer,
    mut later: SampleBuffer,
) -> Result<()> {
    if !samples.is_empty() && later.time_range().start_ms <= samples.time_range().end_ms {
        return Err(Error::damaged(path, format!("the rows of {labels} do not ascend in time")));
    }
    samples.timestamps_ms.append(&mut later.timestamps_ms);
    samples.values.append(&mut later.values);
    samples.histograms.append(&mut later.histograms);
    Ok(())
}
