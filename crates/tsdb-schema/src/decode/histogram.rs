//! The `histogram` column back to histograms.
//!
//! Another tool may have rewritten the struct with its own list and integer types; Arrow casts it to ours,
//! field by field. Every histogram is validated: a reader must be able to trust span and bucket counts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, PrimitiveArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float64Type, Int32Type, UInt8Type, UInt32Type, UInt64Type,
};
use tsdb_core::{Buckets, CustomBounds, Histogram, ResetHint, Span};

use super::wrong_type;
use crate::histogram_type::{field, histogram_fields, histogram_type};
use crate::mapper::HISTOGRAM_COLUMN;
use crate::{Error, Result};

const EXPECTED: &str = "a struct with the fields of a native histogram";

/// Whether a column of `data_type` can be the `histogram` column: a struct with all fields by name.
pub(super) fn is_histogram(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => histogram_fields().iter().all(|ours| fields.find(ours.name()).is_some()),
        _ => false,
    }
}

/// The column of one batch, its fields found and typed.
pub(super) struct HistogramColumn<'a> {
    rows: &'a ArrayRef,
    is_float: arrow::array::BooleanArray,
    reset_hint: PrimitiveArray<UInt8Type>,
    schema: PrimitiveArray<Int32Type>,
    zero_threshold: PrimitiveArray<Float64Type>,
    sum: PrimitiveArray<Float64Type>,
    int: Counts<UInt64Type>,
    float: Counts<Float64Type>,
    positive_spans: Spans,
    negative_spans: Spans,
    custom_values: Lists<Float64Type>,
}

impl<'a> HistogramColumn<'a> {
    pub(super) fn new(array: &'a ArrayRef) -> Result<Self> {
        if !is_histogram(array.data_type()) {
            return Err(wrong_type(HISTOGRAM_COLUMN, EXPECTED, array.data_type()));
        }
        let fields = cast_fields(array)?;
        Ok(Self {
            rows: array,
            is_float: column(&fields, field::IS_FLOAT)?.as_boolean().clone(),
            reset_hint: primitive(&fields, field::RESET_HINT)?,
            schema: primitive(&fields, field::SCHEMA)?,
            zero_threshold: primitive(&fields, field::ZERO_THRESHOLD)?,
            sum: primitive(&fields, field::SUM)?,
            int: Counts {
                count: primitive(&fields, field::COUNT_INT)?,
                zero_count: primitive(&fields, field::ZERO_COUNT_INT)?,
                positive: Lists::new(&fields, field::POSITIVE_COUNTS_INT)?,
                negative: Lists::new(&fields, field::NEGATIVE_COUNTS_INT)?,
            },
            float: Counts {
                count: primitive(&fields, field::COUNT_FLOAT)?,
                zero_count: primitive(&fields, field::ZERO_COUNT_FLOAT)?,
                positive: Lists::new(&fields, field::POSITIVE_COUNTS_FLOAT)?,
                negative: Lists::new(&fields, field::NEGATIVE_COUNTS_FLOAT)?,
            },
            positive_spans: Spans::new(&fields, field::POSITIVE_SPANS)?,
            negative_spans: Spans::new(&fields, field::NEGATIVE_SPANS)?,
            custom_values: Lists::new(&fields, field::CUSTOM_VALUES)?,
        })
    }

    /// Whether one of `rows` is a histogram.
    pub(super) fn any_in(&self, rows: std::ops::Range<usize>) -> bool {
        match self.rows.nulls() {
            Some(nulls) => nulls.slice(rows.start, rows.len()).null_count() < rows.len(),
            None => !rows.is_empty(),
        }
    }

    /// The histogram of `row`, if it has one.
    pub(super) fn get(&self, row: usize) -> Result<Option<Histogram>> {
        if self.rows.is_null(row) {
            return Ok(None);
        }
        let invalid = |detail: String| Error::InvalidValue { column: HISTOGRAM_COLUMN.into(), row, detail };
        let missing = |name| invalid(format!("the field `{name}` is null"));
        if self.is_float.is_null(row) {
            return Err(missing(field::IS_FLOAT));
        }
        let buckets = if self.is_float.value(row) {
            Buckets::Float {
                count: at(&self.float.count, row).ok_or_else(|| missing(field::COUNT_FLOAT))?,
                zero_count: at(&self.float.zero_count, row)
                    .ok_or_else(|| missing(field::ZERO_COUNT_FLOAT))?,
                positive: self.float.positive.get(row),
                negative: self.float.negative.get(row),
            }
        } else {
            Buckets::Int {
                count: at(&self.int.count, row).ok_or_else(|| missing(field::COUNT_INT))?,
                zero_count: at(&self.int.zero_count, row).ok_or_else(|| missing(field::ZERO_COUNT_INT))?,
                positive: self.int.positive.get(row),
                negative: self.int.negative.get(row),
            }
        };
        let reset_hint = at(&self.reset_hint, row).ok_or_else(|| missing(field::RESET_HINT))?;
        let histogram = Histogram {
            reset_hint: ResetHint::try_from(reset_hint).map_err(|e| invalid(e.to_string()))?,
            schema: at(&self.schema, row).ok_or_else(|| missing(field::SCHEMA))?,
            zero_threshold: at(&self.zero_threshold, row).ok_or_else(|| missing(field::ZERO_THRESHOLD))?,
            sum: at(&self.sum, row).ok_or_else(|| missing(field::SUM))?,
            positive_spans: self.positive_spans.get(row),
            negative_spans: self.negative_spans.get(row),
            buckets,
            custom_bounds: CustomBounds::from(self.custom_values.get(row)),
        };
        histogram.validate().map_err(|error| invalid(error.to_string()))?;
        Ok(Some(histogram))
    }
}

/// The struct's fields in our types and order.
fn cast_fields(array: &ArrayRef) -> Result<StructArray> {
    if *array.data_type() == histogram_type() {
        return Ok(array.as_struct().clone());
    }
    let theirs = array.as_struct();
    let mut columns = Vec::new();
    let mut fields = Vec::new();
    for ours in &histogram_fields() {
        let column = theirs
            .column_by_name(ours.name())
            .ok_or_else(|| wrong_type(HISTOGRAM_COLUMN, EXPECTED, array.data_type()))?;
        let wrong = |_| wrong_type(HISTOGRAM_COLUMN, EXPECTED, column.data_type());
        columns.push(cast(column, ours.data_type()).map_err(wrong)?);
        // Nulls where we allow none are found row by row.
        fields.push(Arc::new(ours.as_ref().clone().with_nullable(true)));
    }
    Ok(StructArray::try_new(fields.into(), columns, array.nulls().cloned())?)
}

fn column<'s>(fields: &'s StructArray, name: &'static str) -> Result<&'s ArrayRef> {
    fields.column_by_name(name).ok_or_else(|| wrong_type(HISTOGRAM_COLUMN, EXPECTED, fields.data_type()))
}

fn primitive<T: ArrowPrimitiveType>(fields: &StructArray, name: &'static str) -> Result<PrimitiveArray<T>> {
    Ok(column(fields, name)?.as_primitive::<T>().clone())
}

fn at<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    array.is_valid(row).then(|| array.value(row))
}

/// The counts of one form.
struct Counts<T: ArrowPrimitiveType> {
    count: PrimitiveArray<T>,
    zero_count: PrimitiveArray<T>,
    positive: Lists<T>,
    negative: Lists<T>,
}

/// A list of numbers in each row.
struct Lists<T: ArrowPrimitiveType> {
    lists: ListArray,
    elements: PrimitiveArray<T>,
}

impl<T: ArrowPrimitiveType> Lists<T> {
    fn new(fields: &StructArray, name: &'static str) -> Result<Self> {
        let lists = column(fields, name)?.as_list::<i32>().clone();
        let elements = lists.values().as_primitive::<T>().clone();
        Ok(Self { lists, elements })
    }

    /// The numbers of `row`; none where the list is null.
    fn get(&self, row: usize) -> Vec<T::Native> {
        self.elements.values()[elements_of(&self.lists, row)].to_vec()
    }
}

/// A list of spans in each row.
struct Spans {
    lists: ListArray,
    offsets: PrimitiveArray<Int32Type>,
    lengths: PrimitiveArray<UInt32Type>,
}

impl Spans {
    fn new(fields: &StructArray, name: &'static str) -> Result<Self> {
        let lists = column(fields, name)?.as_list::<i32>().clone();
        let spans = lists.values().as_struct();
        let offsets = primitive(spans, field::SPAN_OFFSET)?;
        let lengths = primitive(spans, field::SPAN_LENGTH)?;
        Ok(Self { lists, offsets, lengths })
    }

    fn get(&self, row: usize) -> Vec<Span> {
        elements_of(&self.lists, row)
            .map(|i| Span { offset: self.offsets.value(i), length: self.lengths.value(i) })
            .collect()
    }
}

/// The elements of the list in `row`.
fn elements_of(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    if lists.is_null(row) {
        return 0..0;
    }
    let offsets = lists.value_offsets();
    // Arrow has checked that offsets ascend from 0.
    usize::try_from(offsets[row]).unwrap_or_default()..usize::try_from(offsets[row + 1]).unwrap_or_default()
}
