//! A step of a select by the series index: series whose pages are in memory, on the way to their samples. It needs nothing
//! more, so it can be taken on any thread.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use tsdb_core::{SampleBuffer, Series, TimeRange};

use super::ahead::{ReadAhead, Started};
use super::pages::PageRun;
use crate::series_index::ResolvedSeries;
use crate::{Error, Result};

/// A step, and perhaps a thread that is at it.
pub(super) struct Planned {
    path: String,
    step: Arc<Unbegun>,
    started: Option<Started<Option<Result<Vec<Series>>>>>,
}

impl Planned {
    pub(super) fn new(step: Step) -> Self {
        Self { path: step.path.clone(), step: Arc::new(Unbegun(Mutex::new(Some(step)))), started: None }
    }

    /// Has another thread take the step, if there is one to be had.
    pub(super) fn start(mut self, ahead: &ReadAhead) -> Self {
        let step = Arc::clone(&self.step);
        self.started = ahead.start(move || step.run());
        self
    }

    pub(super) fn is_started(&self) -> bool {
        self.started.is_some()
    }

    /// What the step comes to. A thread that has not begun it is not waited for.
    pub(super) async fn finish(self) -> Result<Vec<Series>> {
        if let Some(done) = self.step.run() {
            return done;
        }
        let done = match self.started {
            Some(started) => started.finish().await.flatten(),
            None => None,
        };
        done.unwrap_or_else(|| {
            Err(Error::damaged(&self.path, "the thread that decoded a part of it gave up"))
        })
    }
}

/// A step for whoever begins it first.
struct Unbegun(Mutex<Option<Step>>);

impl Unbegun {
    /// What the step comes to; nothing when it was begun before.
    fn run(&self) -> Option<Result<Vec<Series>>> {
        let step = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        step.map(Step::run)
    }
}

/// Series with the pages that hold their rows. Taking it uses it up, so that each page goes as soon as nothing more is wanted of it.
pub(super) struct Step {
    pub(super) path: String,
    pub(super) range: TimeRange,
    pub(super) series: Vec<Wanted>,
    /// Of all series, one after the other.
    pub(super) parts: Vec<Part>,
    pub(super) timestamps: PageRun,
    /// `None` for a file without floats.
    pub(super) values: Option<PageRun>,
}

/// A series of a step.
pub(super) struct Wanted {
    pub(super) series: ResolvedSeries,
    /// Its parts among those of the step.
    pub(super) parts: Range<usize>,
    /// The samples of a series with histograms.
    pub(super) samples: Option<SampleBuffer>,
}

/// Rows of one series in one row group.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) group: u32,
    /// Counted from the group's start.
    pub(super) rows: Range<u64>,
    /// The pages that hold them, in the step's runs of pages.
    pub(super) timestamps: Range<usize>,
    pub(super) values: Range<usize>,
}

impl Step {
    /// The series with their samples in the range; those without any are left out.
    pub(super) fn run(mut self) -> Result<Vec<Series>> {
        let mut ready = Vec::with_capacity(self.series.len());
        for mut wanted in std::mem::take(&mut self.series) {
            let samples = match wanted.samples.take() {
                Some(samples) => samples,
                None => {
                    self.forget_before(&wanted);
                    self.floats(&wanted)?
                }
            };
            if !samples.is_empty() {
                ready.push(Series { labels: wanted.series.labels, samples });
            }
        }
        Ok(ready)
    }

    /// Lets go of the pages that only series before `wanted` have rows in.
    fn forget_before(&mut self, wanted: &Wanted) {
        let Some(first) = self.parts_of(wanted).next() else { return };
        let (timestamps, values) = (first.timestamps.start, first.values.start);
        self.timestamps.forget_before(timestamps);
        if let Some(run) = &mut self.values {
            run.forget_before(values);
        }
    }

    /// The parts of a series that have rows.
    pub(super) fn parts_of(&self, wanted: &Wanted) -> impl Iterator<Item = &Part> {
        self.parts[wanted.parts.clone()].iter().filter(|part| !part.rows.is_empty())
    }

    fn floats(&self, wanted: &Wanted) -> Result<SampleBuffer> {
        let rows = self.parts_of(wanted).map(|part| part.rows.end - part.rows.start).sum::<u64>();
        let mut samples = SampleBuffer::default();
        samples.timestamps_ms.reserve_exact(rows as usize);
        for part in self.parts_of(wanted) {
            let rows = self.rows_in_range(wanted, part, &mut samples.timestamps_ms)?;
            let count = (rows.end - rows.start) as usize;
            if count == 0 {
                continue;
            }
            let Some(values) = &self.values else {
                return Err(self.damaged(wanted, "it has floats, and the file no column for them"));
            };
            samples.values.reserve(count);
            let taken = values.take(part.values.clone(), &rows, &mut samples.values);
            taken.map_err(|detail| self.damaged(wanted, &detail))?;
        }
        if !samples.timestamps_ms.is_sorted_by(|a, b| a < b) {
            return Err(self.damaged(wanted, "its rows do not ascend in time"));
        }
        // All timestamps were decoded; who collects an answer is not to keep the room of those that were not asked for.
        if samples.timestamps_ms.len() < samples.timestamps_ms.capacity() / 2 {
            samples.timestamps_ms.shrink_to_fit();
        }
        Ok(samples)
    }

    /// Appends the timestamps of `part` that lie in the range; the rows that they belong to.
    pub(super) fn rows_in_range(
        &self,
        wanted: &Wanted,
        part: &Part,
        timestamps_ms: &mut Vec<i64>,
    ) -> Result<Range<u64>> {
        let at = timestamps_ms.len();
        let taken = self.timestamps.take(part.timestamps.clone(), &part.rows, timestamps_ms);
        taken.map_err(|detail| self.damaged(wanted, &detail))?;
        let all = &timestamps_ms[at..];
        let end = all.partition_point(|&ms| ms <= self.range.end_ms);
        let start = all[..end].partition_point(|&ms| ms < self.range.start_ms);
        timestamps_ms.truncate(at + end);
        timestamps_ms.drain(at..at + start);
        Ok(part.rows.start + start as u64..part.rows.start + end as u64)
    }

    fn damaged(&self, wanted: &Wanted, detail: &str) -> Error {
        Error::damaged(&self.path, format!("{}: {detail}", wanted.series.labels))
    }
}
