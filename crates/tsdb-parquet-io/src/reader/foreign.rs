//! Record batches of a foreign file to series: each series once, in label order.
//!
//! Rows come in any order: all that match are gathered and sorted in memory, and of two samples with one timestamp the
//! later row wins. Unless the file has columns that are no part of a sample: then two different samples of one series and
//! time are more likely of two series that such a column tells apart, and neither is taken.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use tsdb_core::{Labels, SampleBuffer, Series};

use super::ColdFileMetadata;
use crate::{Error, Result};

/// The series in `batches`.
pub(super) fn series(
    path: String,
    metadata: Arc<ColdFileMetadata>,
    batches: BoxStream<'static, Result<RecordBatch>>,
) -> BoxStream<'static, Result<Series>> {
    let all = gather(path, metadata, batches);
    futures::stream::once(all)
        .map_ok(|all| futures::stream::iter(all.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

/// All series of a file in any order, sorted.
async fn gather(
    path: String,
    metadata: Arc<ColdFileMetadata>,
    mut batches: BoxStream<'static, Result<RecordBatch>>,
) -> Result<Vec<Series>> {
    let ignored = metadata.mapper().ignored_columns();
    let join = if ignored.is_empty() { join_any } else { join_equal };
    let ambiguous = |labels: &Labels, timestamp_ms| Error::Ambiguous {
        path: path.clone(),
        series: labels.to_string(),
        timestamp_ms,
        ignored: ignored.to_vec(),
    };
    let mut all: HashMap<Labels, Runs> = HashMap::new();
    while let Some(batch) = batches.try_next().await? {
        let runs = metadata.mapper().record_batch_to_sample_batch(&batch);
        for Series { labels, samples } in runs.map_err(Error::not_samples(&path))?.series {
            match all.get_mut(&labels) {
                Some(runs) => runs.push(samples, join).map_err(|at| ambiguous(&labels, at))?,
                None => drop(all.insert(labels, Runs(vec![samples]))),
            }
        }
    }
    let merged = all.into_iter().map(|(labels, runs)| match runs.merged(join) {
        Ok(samples) => Ok(Series { labels, samples }),
        Err(at) => Err(ambiguous(&labels, at)),
    });
    let mut sorted = merged.collect::<Result<Vec<Series>>>()?;
    sorted.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    Ok(sorted)
}

/// Takes newer samples in with older ones, or names a time at which they contradict each other.
type Join = fn(&mut SampleBuffer, SampleBuffer) -> Result<(), i64>;

/// The newer sample wins.
fn join_any(older: &mut SampleBuffer, newer: SampleBuffer) -> Result<(), i64> {
    older.merge_newer(newer);
    Ok(())
}

/// Samples with one time must be equal.
fn join_equal(older: &mut SampleBuffer, newer: SampleBuffer) -> Result<(), i64> {
    if let Some(at) = contradiction(older, &newer) {
        return Err(at);
    }
    join_any(older, newer)
}

/// The first time at which two buffers have different samples.
fn contradiction(a: &SampleBuffer, b: &SampleBuffer) -> Option<i64> {
    if !a.time_range().overlaps(b.time_range()) {
        return None;
    }
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some((a_ms, a_value)), Some((b_ms, b_value))) = (a.peek(), b.peek()) {
        match a_ms.cmp(b_ms) {
            Ordering::Less => drop(a.next()),
            Ordering::Greater => drop(b.next()),
            Ordering::Equal if !a_value.bits_eq(b_value) => return Some(*a_ms),
            Ordering::Equal => {
                a.next();
                b.next();
            }
        }
    }
    None
}

/// The runs of one series, from the oldest row to the newest. Each is longer than those behind it together, about, so that
/// a sample is copied a few times however many runs there are: rows that descend in time make one of each.
struct Runs(Vec<SampleBuffer>);

impl Runs {
    fn push(&mut self, mut newest: SampleBuffer, join: Join) -> Result<(), i64> {
        while let Some(mut older) = self.0.pop_if(|older| older.len() <= newest.len()) {
            join(&mut older, newest)?;
            newest = older;
        }
        self.0.push(newest);
        Ok(())
    }

    fn merged(mut self, join: Join) -> Result<SampleBuffer, i64> {
        let mut newest = self.0.pop().unwrap_or_default();
        while let Some(mut older) = self.0.pop() {
            join(&mut older, newest)?;
            newest = older;
        }
        Ok(newest)
    }
}
