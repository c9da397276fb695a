//! The order of rows: by label set, then time, checked row by row as they come.
//!
//! Parquet's `sorting_columns` are a promise that other engines act on, and label order is no order of
//! columns: `{a="1"}` sorts before `{a="1", b="2"}`, but a missing `b` is a null. One column does follow:
//! where no label name sorts before `__name__` and no row is without labels, rows ascend by metric name,
//! nulls last. That is declared if the caller has named all labels in advance, and then checked for every
//! series.

use tsdb_core::{Labels, METRIC_NAME, SampleBuffer, TimeRange};
use tsdb_schema::{SampleBatch, SchemaMapper};

use crate::{Error, ParquetConfig, Result};

/// What has been written so far and what must come after it.
#[derive(Debug)]
pub(super) struct OrderCheck {
    last: Option<(Labels, i64)>,
    rows: u64,
    series: u64,
    time_range: TimeRange,
    sorted_by_metric: bool,
}

impl Default for OrderCheck {
    fn default() -> Self {
        Self { last: None, rows: 0, series: 0, time_range: TimeRange::EMPTY, sorted_by_metric: false }
    }
}

impl OrderCheck {
    /// Decides from the settings and the first batch whether rows will ascend by metric name.
    pub(super) fn begin(&mut self, config: &ParquetConfig, mapper: &SchemaMapper, first: &SampleBatch) {
        let named = config.label_names.as_ref();
        let none_before = named.is_some_and(|names| names.iter().all(|name| name.as_str() >= METRIC_NAME));
        let has_unlabelled = first.series.first().is_some_and(|s| s.labels.is_empty());
        self.sorted_by_metric = none_before && !has_unlabelled && mapper.label_column(METRIC_NAME).is_some();
    }

    /// Checks that the rows of `batch` follow what was written, and counts them.
    pub(super) fn check(&mut self, batch: &SampleBatch) -> Result<()> {
        for series in &batch.series {
            let samples = &series.samples;
            let Some(times) = ascending_range(samples) else {
                return Err(Error::OutOfOrder(format!(
                    "the samples of {} do not ascend in time",
                    series.labels
                )));
            };
            if times.is_empty() {
                continue;
            }
            self.follow(&series.labels, times)?;
            self.rows += (samples.timestamps_ms.len() + samples.histograms.len()) as u64;
            self.time_range = self.time_range.hull(times);
        }
        Ok(())
    }

    /// Checks the next series against the last one.
    fn follow(&mut self, labels: &Labels, times: TimeRange) -> Result<()> {
        match &mut self.last {
            Some((last, last_ms)) if last == labels => {
                if times.start_ms <= *last_ms {
                    let TimeRange { start_ms, .. } = times;
                    return Err(Error::OutOfOrder(format!("{labels} has {start_ms} ms after {last_ms} ms")));
                }
                *last_ms = times.end_ms;
                return Ok(());
            }
            Some((last, _)) if *last > *labels => {
                return Err(Error::OutOfOrder(format!("{labels} comes after {last}")));
            }
            Some((last, _)) if self.sorted_by_metric && !metrics_ascend(last, labels) => {
                return Err(Error::OutOfOrder(format!(
                    "{labels} comes after {last}: a label name that was not announced sorts before the metric name"
                )));
            }
            _ => {}
        }
        self.last = Some((labels.clone(), times.end_ms));
        self.series += 1;
        Ok(())
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn series(&self) -> u64 {
        self.series
    }

    pub(super) fn time_range(&self) -> TimeRange {
        self.time_range
    }

    /// Whether rows ascend by metric name, nulls last: so far checked, and enforced from here on.
    pub(super) fn is_sorted_by_metric(&self) -> bool {
        self.sorted_by_metric
    }
}

fn metrics_ascend(before: &Labels, after: &Labels) -> bool {
    match (before.metric_name(), after.metric_name()) {
        (Some(before), Some(after)) => before <= after,
        (None, Some(_)) => false,
        (_, None) => true,
    }
}

/// First and last timestamp (empty without samples), or `None` when time does not ascend strictly.
fn ascending_range(samples: &SampleBuffer) -> Option<TimeRange> {
    let floats = &samples.timestamps_ms;
    if floats.len() != samples.values.len() || !floats.is_sorted_by(|a, b| a < b) {
        return None;
    }
    if !samples.histograms.is_sorted_by(|a, b| a.0 < b.0) {
        return None;
    }
    let both_kinds = samples.histograms.iter().any(|(ms, _)| floats.binary_search(ms).is_ok());
    (!both_kinds).then(|| samples.time_range())
}
