//! The `histogram` column back to histograms.
//!
//! Another tool may have rewritten the struct with its own list and number types: each field is read by name, each number
//! taken if ours holds it exactly. Every histogram is validated: a reader must be able to trust span and bucket counts.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, ListArray, StructArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, UInt8Type, UInt32Type, UInt64Type};
use tsdb_core::{Buckets, CustomBounds, Histogram, ResetHint, Span};

use super::lists::{element_of, lists, range_of};
use super::numbers::Exact;
use super::{invalid, wrong_type};
use crate::histogram_type::{field, histogram_fields};
use crate::mapper::HISTOGRAM_COLUMN;
use crate::{Error, Result};

/// The types that the `histogram` column can have, in words.
pub(super) const EXPECTED: &str = "a struct with the fields of a native histogram";

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
    is_float: BooleanArray,
    reset_hint: Numbers<UInt8Type>,
    schema: Numbers<Int32Type>,
    zero_threshold: Numbers<Float64Type>,
    sum: Numbers<Float64Type>,
    int: Counts<UInt64Type>,
    float: Counts<Float64Type>,
    positive_spans: Spans,
    negative_spans: Spans,
    custom_values: Lists<Float64Type>,
}

impl<'a> HistogramColumn<'a> {
    pub(super) fn new(array: &'a ArrayRef) -> Result<Self> {
        let fields =
            array.as_struct_opt().ok_or_else(|| wrong_type(HISTOGRAM_COLUMN, EXPECTED, array.data_type()))?;
        let is_float = field_of(fields, field::IS_FLOAT)?;
        let is_float = is_float
            .as_boolean_opt()
            .ok_or_else(|| wrong_type(&path(field::IS_FLOAT), "Boolean", is_float.data_type()))?;
        Ok(Self {
            rows: array,
            is_float: is_float.clone(),
            reset_hint: Numbers::new(fields, field::RESET_HINT)?,
            schema: Numbers::new(fields, field::SCHEMA)?,
            zero_threshold: Numbers::new(fields, field::ZERO_THRESHOLD)?,
            sum: Numbers::new(fields, field::SUM)?,
            int: Counts {
                count: Numbers::new(fields, field::COUNT_INT)?,
                zero_count: Numbers::new(fields, field::ZERO_COUNT_INT)?,
                positive: Lists::new(fields, field::POSITIVE_COUNTS_INT)?,
                negative: Lists::new(fields, field::NEGATIVE_COUNTS_INT)?,
            },
            float: Counts {
                count: Numbers::new(fields, field::COUNT_FLOAT)?,
                zero_count: Numbers::new(fields, field::ZERO_COUNT_FLOAT)?,
                positive: Lists::new(fields, field::POSITIVE_COUNTS_FLOAT)?,
                negative: Lists::new(fields, field::NEGATIVE_COUNTS_FLOAT)?,
            },
            positive_spans: Spans::new(fields, field::POSITIVE_SPANS)?,
            negative_spans: Spans::new(fields, field::NEGATIVE_SPANS)?,
            custom_values: Lists::new(fields, field::CUSTOM_VALUES)?,
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
        if self.is_float.is_null(row) {
            return Err(invalid_field(field::IS_FLOAT, "it is null".into()));
        }
        let buckets = if self.is_float.value(row) {
            Buckets::Float {
                count: self.float.count.get(row)?,
                zero_count: self.float.zero_count.get(row)?,
                positive: self.float.positive.get(row)?,
                negative: self.float.negative.get(row)?,
            }
        } else {
            Buckets::Int {
                count: self.int.count.get(row)?,
                zero_count: self.int.zero_count.get(row)?,
                positive: self.int.positive.get(row)?,
                negative: self.int.negative.get(row)?,
            }
        };
        let reset_hint = ResetHint::try_from(self.reset_hint.get(row)?);
        let histogram = Histogram {
            reset_hint: reset_hint.map_err(|error| invalid_field(field::RESET_HINT, error.to_string()))?,
            schema: self.schema.get(row)?,
            zero_threshold: self.zero_threshold.get(row)?,
            sum: self.sum.get(row)?,
            positive_spans: self.positive_spans.get(row)?,
            negative_spans: self.negative_spans.get(row)?,
            buckets,
            custom_bounds: CustomBounds::from(self.custom_values.get(row)?),
        };
        histogram.validate().map_err(|error| invalid(HISTOGRAM_COLUMN, error.to_string()))?;
        Ok(Some(histogram))
    }
}

/// The column with the field, as errors name it.
fn path(field: &str) -> String {
    format!("{HISTOGRAM_COLUMN}.{field}")
}

fn invalid_field(field: &str, detail: String) -> Error {
    invalid(&path(field), detail)
}

fn field_of<'s>(fields: &'s StructArray, name: &str) -> Result<&'s ArrayRef> {
    fields.column_by_name(name).ok_or_else(|| wrong_type(HISTOGRAM_COLUMN, EXPECTED, fields.data_type()))
}

/// The numbers of a column, if it has a type of such.
fn numbers<T: ArrowPrimitiveType>(path: &str, array: &ArrayRef) -> Result<Exact<T>> {
    if Exact::<T>::takes(array.data_type()) {
        Exact::new(array)
    } else {
        Err(wrong_type(path, "a number", array.data_type()))
    }
}

/// A field with a number in each row.
struct Numbers<T: ArrowPrimitiveType> {
    name: &'static str,
    numbers: Exact<T>,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    fn new(fields: &StructArray, name: &'static str) -> Result<Self> {
        Ok(Self { name, numbers: numbers(&path(name), field_of(fields, name)?)? })
    }

    fn get(&self, row: usize) -> Result<T::Native> {
        let number = self.numbers.get(row).and_then(|number| number.ok_or_else(|| "it is null".into()));
        number.map_err(|detail| invalid_field(self.name, detail))
    }
}

/// The counts of one form.
struct Counts<T: ArrowPrimitiveType> {
    count: Numbers<T>,
    zero_count: Numbers<T>,
    positive: Lists<T>,
    negative: Lists<T>,
}

/// A field with a list of numbers in each row.
struct Lists<T: ArrowPrimitiveType> {
    name: &'static str,
    lists: ListArray,
    elements: Exact<T>,
}

impl<T: ArrowPrimitiveType> Lists<T> {
    fn new(fields: &StructArray, name: &'static str) -> Result<Self> {
        let lists = lists_of(fields, name, "a list of numbers")?;
        let elements = numbers(&path(name), lists.values())?;
        Ok(Self { name, lists, elements })
    }

    /// The numbers of `row`; none where the list is null.
    fn get(&self, row: usize) -> Result<Vec<T::Native>> {
        let elements = range_of(self.lists.offsets(), self.lists.nulls(), row);
        match self.elements.all_in(elements.clone()) {
            Some(all) => Ok(all.to_vec()),
            None => elements.map(|i| element(self.name, &self.elements, i)).collect(),
        }
    }
}

/// A field with a list of spans in each row.
struct Spans {
    name: &'static str,
    lists: ListArray,
    offsets: Exact<Int32Type>,
    lengths: Exact<UInt32Type>,
}

impl Spans {
    fn new(fields: &StructArray, name: &'static str) -> Result<Self> {
        const EXPECTED: &str = "a list of structs with `offset` and `length`";
        let lists = lists_of(fields, name, EXPECTED)?;
        let find = |part: &str| match lists.values().as_struct_opt() {
            Some(spans) => spans.column_by_name(part).cloned(),
            // Lists that are all empty have elements of no type.
            None => lists.values().data_type().is_null().then(|| lists.values().clone()),
        };
        let part = |part| find(part).ok_or_else(|| wrong_type(&path(name), EXPECTED, lists.data_type()));
        let offsets = numbers(&path(name), &part(field::SPAN_OFFSET)?)?;
        let lengths = numbers(&path(name), &part(field::SPAN_LENGTH)?)?;
        Ok(Self { name, lists, offsets, lengths })
    }

    fn get(&self, row: usize) -> Result<Vec<Span>> {
        let elements = range_of(self.lists.offsets(), self.lists.nulls(), row);
        let span = |i| {
            if self.lists.values().is_null(i) {
                return Err(invalid_field(self.name, NULL_ELEMENT.into()));
            }
            let offset = element(self.name, &self.offsets, i)?;
            let length = element(self.name, &self.lengths, i)?;
            Ok(Span { offset, length })
        };
        elements.map(span).collect()
    }
}

const NULL_ELEMENT: &str = "an element is null";

/// The number in element `i` of the lists of the field `name`.
fn element<T: ArrowPrimitiveType>(name: &str, elements: &Exact<T>, i: usize) -> Result<T::Native> {
    let number = elements.get(i).and_then(|number| number.ok_or_else(|| NULL_ELEMENT.into()));
    number.map_err(|detail| invalid_field(name, detail))
}

fn lists_of(fields: &StructArray, name: &str, expected: &'static str) -> Result<ListArray> {
    let array = field_of(fields, name)?;
    match element_of(array.data_type()) {
        Some(_) => lists(array),
        None => Err(wrong_type(&path(name), expected, array.data_type())),
    }
}
