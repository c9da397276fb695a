//! Samples to columns.
//!
//! Timestamps and values are copied as slices where a series has floats only. Label columns are built from
//! runs: a series' rows repeat one value, so a dictionary key is looked up once a series and repeated.

mod histogram;
mod labels;

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, TimestampMillisecondArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Field, FieldRef};
use tsdb_core::{Histogram, Labels, SampleBuffer};

use crate::mapper::{HISTOGRAM_COLUMN, LABELS_COLUMN, TIMESTAMP_COLUMN, VALUE_COLUMN};
use crate::{Error, Result, SampleBatch, SchemaMapper};
use histogram::HistogramColumn;

/// The rows of one series: its labels and how many rows repeat them.
pub(crate) struct Run<'a> {
    pub(crate) labels: &'a Labels,
    pub(crate) rows: usize,
}

/// The table of `batch` in the schema of `mapper`.
pub(crate) fn record_batch(mapper: &SchemaMapper, batch: &SampleBatch) -> Result<RecordBatch> {
    let runs = runs(batch);
    labels::check_placed(mapper, &runs)?;
    let samples = Samples::collect(mapper, batch)?;

    let mut columns: Vec<ArrayRef> = Vec::with_capacity(mapper.schema.fields().len());
    let timestamps: ArrayRef =
        Arc::new(TimestampMillisecondArray::from(samples.timestamps_ms).with_timezone("UTC"));
    let values: ArrayRef = Arc::new(Float64Array::new(samples.values.into(), samples.float_rows));
    // The fields that are not ours are the label columns, in their order.
    let mut labels = labels::dictionary_columns(mapper, &runs)?.into_iter();
    for field in mapper.schema.fields() {
        let column = match field.name().as_str() {
            TIMESTAMP_COLUMN => Arc::clone(&timestamps),
            VALUE_COLUMN => Arc::clone(&values),
            HISTOGRAM_COLUMN => samples.histograms.to_array()?,
            LABELS_COLUMN => labels::map_column(mapper, &runs)?,
            _ => labels.next().ok_or_else(|| not_ours(field))?,
        };
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::clone(&mapper.schema), columns)?)
}

/// The nested columns of that table, each with its field, in the schema's order.
pub(crate) fn nested_columns(
    mapper: &SchemaMapper,
    batch: &SampleBatch,
) -> Result<Vec<(FieldRef, ArrayRef)>> {
    let mut columns = Vec::new();
    for field in mapper.schema.fields() {
        let column = match field.name().as_str() {
            HISTOGRAM_COLUMN => Samples::collect(mapper, batch)?.histograms.to_array()?,
            LABELS_COLUMN => labels::map_column(mapper, &runs(batch))?,
            _ => continue,
        };
        columns.push((Arc::clone(field), column));
    }
    Ok(columns)
}

fn runs(batch: &SampleBatch) -> Vec<Run<'_>> {
    let rows = |samples: &SampleBuffer| samples.timestamps_ms.len() + samples.histograms.len();
    batch.series.iter().map(|s| Run { labels: &s.labels, rows: rows(&s.samples) }).collect()
}

/// A mapper made from a foreign schema has other columns than we write.
fn not_ours(field: &Field) -> Error {
    Error::WrongType {
        column: field.name().clone(),
        expected: "a schema made by SchemaMapper::new",
        found: Box::new(field.data_type().clone()),
    }
}

/// The columns that are not labels, row by row.
struct Samples<'a> {
    timestamps_ms: Vec<i64>,
    values: Vec<f64>,
    /// The rows that are floats; `None` when all are.
    float_rows: Option<NullBuffer>,
    histograms: HistogramColumn<'a>,
}

impl<'a> Samples<'a> {
    fn collect(mapper: &SchemaMapper, batch: &'a SampleBatch) -> Result<Self> {
        let rows = batch.rows();
        let mut timestamps_ms = Vec::with_capacity(rows);
        let mut values = Vec::with_capacity(rows);
        let mut histograms: Vec<Option<&'a Histogram>> = Vec::new();
        for series in &batch.series {
            let samples = &series.samples;
            if samples.histograms.is_empty() {
                timestamps_ms.extend_from_slice(&samples.timestamps_ms);
                values.extend_from_slice(&samples.values);
                continue;
            }
            if !mapper.has_histograms {
                let what = "the histogram samples".to_owned();
                return Err(Error::NoColumn { what, series: series.labels.to_string() });
            }
            histograms.resize(timestamps_ms.len(), None);
            push_by_time(samples, |timestamp_ms, value, histogram| {
                timestamps_ms.push(timestamp_ms);
                values.push(value);
                histograms.push(histogram);
            });
        }
        let float_rows = (!histograms.is_empty()).then(|| {
            histograms.resize(timestamps_ms.len(), None);
            NullBuffer::from_iter(histograms.iter().map(Option::is_none))
        });
        Ok(Self { timestamps_ms, values, float_rows, histograms: HistogramColumn::new(histograms, rows) })
    }
}

/// Hands the samples of both kinds to `push` in time order; the value of a histogram row is 0 and meant to be
/// covered by a null.
fn push_by_time<'a>(samples: &'a SampleBuffer, mut push: impl FnMut(i64, f64, Option<&'a Histogram>)) {
    let mut floats = samples.timestamps_ms.iter().copied().zip(samples.values.iter().copied()).peekable();
    for (timestamp_ms, histogram) in &samples.histograms {
        while let Some((float_ms, value)) = floats.next_if(|(float_ms, _)| float_ms < timestamp_ms) {
            push(float_ms, value, None);
        }
        push(*timestamp_ms, 0.0, Some(histogram));
    }
    for (float_ms, value) in floats {
        push(float_ms, value, None);
    }
}
