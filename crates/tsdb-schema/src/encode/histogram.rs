//! The `histogram` column: one struct of lists, built field by field.
//!
//! Rows without a histogram are null in the struct. Arrow wants a value in its required children all the
//! same: they hold zeros and empty lists there.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, ListArray, StructArray, UInt8Array, UInt32Array,
    UInt64Array, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef};
use tsdb_core::{Buckets, Histogram, Span};

use crate::histogram_type::{element, histogram_fields, histogram_type, span_element, span_fields};
use crate::mapper::HISTOGRAM_COLUMN;
use crate::{Error, Result};

/// The rows of the column before they become arrays.
pub(super) struct HistogramColumn<'a> {
    /// One entry a row; empty when no row is a histogram.
    histograms: Vec<Option<&'a Histogram>>,
    rows: usize,
}

impl<'a> HistogramColumn<'a> {
    pub(super) fn new(histograms: Vec<Option<&'a Histogram>>, rows: usize) -> Self {
        Self { histograms, rows }
    }

    /// The struct array.
    pub(super) fn to_array(&self) -> Result<ArrayRef> {
        if self.histograms.is_empty() {
            return Ok(new_null_array(&histogram_type(), self.rows));
        }
        let nulls = NullBuffer::from_iter(self.histograms.iter().map(Option::is_some));
        // In the order of `histogram_fields`.
        let columns: Vec<ArrayRef> = vec![
            Arc::new(BooleanArray::from_iter(self.required(Histogram::is_float).map(Some))),
            Arc::new(UInt8Array::from_iter_values(self.required(|h| h.reset_hint as u8))),
            Arc::new(Int32Array::from_iter_values(self.required(|h| h.schema))),
            Arc::new(Float64Array::from_iter_values(self.required(|h| h.zero_threshold))),
            Arc::new(UInt64Array::from_iter(self.optional(zero_count_int))),
            Arc::new(Float64Array::from_iter(self.optional(zero_count_float))),
            Arc::new(UInt64Array::from_iter(self.optional(count_int))),
            Arc::new(Float64Array::from_iter(self.optional(count_float))),
            Arc::new(Float64Array::from_iter_values(self.required(|h| h.sum))),
            self.spans(|h| &h.positive_spans)?,
            self.spans(|h| &h.negative_spans)?,
            self.int_counts(|b| if let Buckets::Int { positive, .. } = b { Some(positive) } else { None })?,
            self.int_counts(|b| if let Buckets::Int { negative, .. } = b { Some(negative) } else { None })?,
            self.floats(|h| {
                if let Buckets::Float { positive, .. } = &h.buckets { Some(positive) } else { None }
            })?,
            self.floats(|h| {
                if let Buckets::Float { negative, .. } = &h.buckets { Some(negative) } else { None }
            })?,
            self.floats(|h| Some(&h.custom_bounds[..]).filter(|bounds| !bounds.is_empty()))?,
        ];
        Ok(Arc::new(StructArray::try_new(histogram_fields(), columns, Some(nulls))?))
    }

    /// A field of every row, the default where the row has no histogram.
    fn required<T: Default>(&self, field: impl Fn(&Histogram) -> T) -> impl Iterator<Item = T> {
        self.histograms.iter().map(move |h| h.map_or_else(T::default, &field))
    }

    /// A field of the rows that have it.
    fn optional<T>(&self, field: impl Fn(&Buckets) -> Option<T>) -> impl Iterator<Item = Option<T>> {
        self.histograms.iter().map(move |h| h.and_then(|h| field(&h.buckets)))
    }

    fn spans(&self, field: impl Fn(&'a Histogram) -> &'a Vec<Span>) -> Result<ArrayRef> {
        let rows = self.histograms.iter().map(|h| h.map(|h| field(h).as_slice()));
        let (spans, offsets, _) = flatten(rows.map(|row| Some(row.unwrap_or_default())))?;
        let elements = StructArray::try_new(
            span_fields(),
            vec![
                Arc::new(Int32Array::from_iter_values(spans.iter().map(|s| s.offset))) as ArrayRef,
                Arc::new(UInt32Array::from_iter_values(spans.iter().map(|s| s.length))),
            ],
            None,
        )?;
        list(span_element(), offsets, Arc::new(elements), None)
    }

    fn int_counts(&self, field: impl Fn(&'a Buckets) -> Option<&'a Vec<u64>>) -> Result<ArrayRef> {
        let rows = self.histograms.iter().map(|h| h.and_then(|h| field(&h.buckets)).map(Vec::as_slice));
        let (counts, offsets, nulls) = flatten(rows)?;
        list(element(DataType::UInt64), offsets, Arc::new(UInt64Array::from(counts)), nulls)
    }

    fn floats<L>(&self, field: impl Fn(&'a Histogram) -> Option<&'a L>) -> Result<ArrayRef>
    where
        L: AsRef<[f64]> + ?Sized + 'a,
    {
        let rows = self.histograms.iter().map(|h| h.and_then(&field).map(AsRef::as_ref));
        let (values, offsets, nulls) = flatten(rows)?;
        list(element(DataType::Float64), offsets, Arc::new(Float64Array::from(values)), nulls)
    }
}

fn zero_count_int(buckets: &Buckets) -> Option<u64> {
    if let Buckets::Int { zero_count, .. } = buckets { Some(*zero_count) } else { None }
}

fn zero_count_float(buckets: &Buckets) -> Option<f64> {
    if let Buckets::Float { zero_count, .. } = buckets { Some(*zero_count) } else { None }
}

fn count_int(buckets: &Buckets) -> Option<u64> {
    if let Buckets::Int { count, .. } = buckets { Some(*count) } else { None }
}

fn count_float(buckets: &Buckets) -> Option<f64> {
    if let Buckets::Float { count, .. } = buckets { Some(*count) } else { None }
}

/// The elements of all rows, each row's end, and which rows are not null.
#[allow(clippy::type_complexity, reason = "the three parts of a list array, named by the caller")]
fn flatten<'a, T: Copy + 'a>(
    rows: impl Iterator<Item = Option<&'a [T]>>,
) -> Result<(Vec<T>, OffsetBuffer<i32>, Option<NullBuffer>)> {
    let mut elements = Vec::new();
    let mut ends = vec![0_i32];
    let mut valid = Vec::new();
    for row in rows {
        elements.extend_from_slice(row.unwrap_or_default());
        let end = i32::try_from(elements.len());
        ends.push(end.map_err(|_| Error::BatchTooLarge { column: HISTOGRAM_COLUMN.into() })?);
        valid.push(row.is_some());
    }
    let nulls = Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0);
    Ok((elements, OffsetBuffer::new(ScalarBuffer::from(ends)), nulls))
}

fn list(
    element: FieldRef,
    offsets: OffsetBuffer<i32>,
    elements: ArrayRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    Ok(Arc::new(ListArray::try_new(element, offsets, elements, nulls)?))
}
