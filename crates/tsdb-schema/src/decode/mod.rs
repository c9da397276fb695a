//! Columns to samples, from our tables and foreign ones.
//!
//! Labels are read once a run: row borders are found by comparing neighbouring keys or strings, and only the
//! first row of a run becomes a label set.

mod histogram;
mod label_map;
mod labels;
mod lists;
mod numbers;
mod role;
mod text;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use tsdb_core::{Histogram, Labels, SampleBuffer, Series};

pub use label_map::LabelMapArray;
pub use numbers::timestamps_ms;
pub use role::ColumnRole;
pub use text::LabelArray;

use crate::mapper::{HISTOGRAM_COLUMN, TIMESTAMP_COLUMN, VALUE_COLUMN};
use crate::{Error, Result, SampleBatch, SchemaMapper};
use histogram::HistogramColumn;
use labels::LabelColumns;
use numbers::Values;

/// The samples of `batch`, run by run.
pub(crate) fn sample_batch(mapper: &SchemaMapper, batch: &RecordBatch) -> Result<SampleBatch> {
    let timestamps_ms = timestamps_ms(required(batch, TIMESTAMP_COLUMN)?)?;
    let rows = Rows {
        timestamps_ms: &timestamps_ms,
        values: mapper.has_values.then(|| required(batch, VALUE_COLUMN).and_then(Values::new)).transpose()?,
        histograms: mapper
            .has_histograms
            .then(|| required(batch, HISTOGRAM_COLUMN).and_then(HistogramColumn::new))
            .transpose()?,
    };
    let labels = LabelColumns::new(mapper, batch)?;

    let mut series: Vec<Series> = Vec::new();
    let mut builder = labels.builder();
    for run in labels.runs(batch.num_rows()) {
        let at = || format!("the row at {} ms", timestamps_ms[run.start]);
        let set = builder.labels_of(run.start).map_err(|error| error.at(at))?;
        // Neighbouring runs can have one label set: a dictionary may hold a string twice.
        let mut target = match series.pop_if(|last| last.labels == set) {
            Some(last) => last,
            None => Series { labels: set, samples: SampleBuffer::default() },
        };
        rows.append(run, &mut target, &mut series)?;
        if !is_empty(&target.samples) {
            series.push(target);
        }
    }
    Ok(SampleBatch { series })
}

fn required<'a>(batch: &'a RecordBatch, column: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(column).ok_or_else(|| Error::MissingColumn { column: column.to_owned() })
}

fn is_empty(samples: &SampleBuffer) -> bool {
    samples.timestamps_ms.is_empty() && samples.histograms.is_empty()
}

/// The columns that are not labels.
struct Rows<'a> {
    timestamps_ms: &'a [i64],
    values: Option<Values>,
    histograms: Option<HistogramColumn<'a>>,
}

impl Rows<'_> {
    /// Appends the rows of `run` to `target`. Where time does not ascend, the series so far goes to `done`
    /// and a new one with the same labels begins.
    fn append(&self, run: std::ops::Range<usize>, target: &mut Series, done: &mut Vec<Series>) -> Result<()> {
        if self.append_floats(run.clone(), target) {
            return Ok(());
        }
        let mut last_ms = last_timestamp_ms(&target.samples);
        for row in run {
            let timestamp_ms = self.timestamps_ms[row];
            let at = || format!("{} at {timestamp_ms} ms", target.labels);
            let Some(value) = self.value(row).map_err(|error| error.at(at))? else { continue };
            if last_ms.is_some_and(|last| last >= timestamp_ms) {
                let next = Series { labels: target.labels.clone(), samples: SampleBuffer::default() };
                done.push(std::mem::replace(target, next));
            }
            last_ms = Some(timestamp_ms);
            match value {
                Value::Float(float) => {
                    target.samples.timestamps_ms.push(timestamp_ms);
                    target.samples.values.push(float);
                }
                Value::Histogram(histogram) => target.samples.histograms.push((timestamp_ms, histogram)),
            }
        }
        Ok(())
    }

    /// The ordinary case, as slices: floats only, time ascends. False, and nothing appended, where it is not.
    fn append_floats(&self, run: std::ops::Range<usize>, target: &mut Series) -> bool {
        let Some(values) = self.values.as_ref().and_then(|v| v.all_in(run.clone())) else { return false };
        if self.histograms.as_ref().is_some_and(|h| h.any_in(run.clone())) {
            return false;
        }
        let timestamps_ms = &self.timestamps_ms[run];
        let follows = match (last_timestamp_ms(&target.samples), timestamps_ms.first()) {
            (Some(last), Some(first)) => last < *first,
            _ => true,
        };
        if !follows || !timestamps_ms.is_sorted_by(|a, b| a < b) {
            return false;
        }
        target.samples.timestamps_ms.extend_from_slice(timestamps_ms);
        target.samples.values.extend_from_slice(values);
        true
    }

    fn value(&self, row: usize) -> Result<Option<Value>> {
        let float = self.values.as_ref().map_or(Ok(None), |values| values.get(row))?;
        let histogram = self.histograms.as_ref().map_or(Ok(None), |histograms| histograms.get(row))?;
        match (float, histogram) {
            (Some(_), Some(_)) => Err(invalid(
                HISTOGRAM_COLUMN,
                "the row has a value and a histogram; a sample is one of them".into(),
            )),
            (Some(float), None) => Ok(Some(Value::Float(float))),
            (None, Some(histogram)) => Ok(Some(Value::Histogram(Arc::new(histogram)))),
            (None, None) => Ok(None),
        }
    }
}

enum Value {
    Float(f64),
    Histogram(Arc<Histogram>),
}

fn last_timestamp_ms(samples: &SampleBuffer) -> Option<i64> {
    let float = samples.timestamps_ms.last().copied();
    let histogram = samples.histograms.last().map(|(timestamp_ms, _)| *timestamp_ms);
    float.max(histogram)
}

/// The error that `array` of the column `column` has a type that cannot be read.
fn wrong_type(column: &str, expected: &'static str, found: &DataType) -> Error {
    Error::WrongType { column: column.to_owned(), expected, found: Box::new(found.clone()) }
}

/// The error that a cell of the column `column` is none of a sample.
fn invalid(column: &str, detail: String) -> Error {
    Error::InvalidValue { column: column.to_owned(), place: None, detail }
}

/// The label set of a row that has none.
fn no_labels() -> Labels {
    Labels::empty()
}
