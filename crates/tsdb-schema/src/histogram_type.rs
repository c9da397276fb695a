//! The Arrow type of the `histogram` column.
//!
//! Integer and float counts have fields of their own, so that integer counts above 2^53 survive. Bucket
//! counts are absolute, not deltas, so that SQL can use them. Fields marked with `?` are null where the other
//! form (or no custom bounds) applies:
//!
//! ```text
//! is_float Boolean            reset_hint UInt8            schema Int32
//! zero_threshold Float64      zero_count_int UInt64?      zero_count_float Float64?
//! count_int UInt64?           count_float Float64?        sum Float64
//! positive_spans, negative_spans               List<Struct<offset Int32, length UInt32>>
//! positive_counts_int, negative_counts_int     List<UInt64>?
//! positive_counts_float, negative_counts_float List<Float64>?
//! custom_values                                List<Float64>?
//! ```
//!
//! List elements are named `element`, as the Parquet specification wants.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields};

/// The names of the struct's fields, in order.
pub(crate) mod field {
    pub(crate) const IS_FLOAT: &str = "is_float";
    pub(crate) const RESET_HINT: &str = "reset_hint";
    pub(crate) const SCHEMA: &str = "schema";
    pub(crate) const ZERO_THRESHOLD: &str = "zero_threshold";
    pub(crate) const ZERO_COUNT_INT: &str = "zero_count_int";
    pub(crate) const ZERO_COUNT_FLOAT: &str = "zero_count_float";
    pub(crate) const COUNT_INT: &str = "count_int";
    pub(crate) const COUNT_FLOAT: &str = "count_float";
    pub(crate) const SUM: &str = "sum";
    pub(crate) const POSITIVE_SPANS: &str = "positive_spans";
    pub(crate) const NEGATIVE_SPANS: &str = "negative_spans";
    pub(crate) const POSITIVE_COUNTS_INT: &str = "positive_counts_int";
    pub(crate) const NEGATIVE_COUNTS_INT: &str = "negative_counts_int";
    pub(crate) const POSITIVE_COUNTS_FLOAT: &str = "positive_counts_float";
    pub(crate) const NEGATIVE_COUNTS_FLOAT: &str = "negative_counts_float";
    pub(crate) const CUSTOM_VALUES: &str = "custom_values";
    pub(crate) const SPAN_OFFSET: &str = "offset";
    pub(crate) const SPAN_LENGTH: &str = "length";
}

/// The struct type of the `histogram` column.
#[must_use]
pub fn histogram_type() -> DataType {
    DataType::Struct(histogram_fields())
}

/// The struct's fields, in order.
pub(crate) fn histogram_fields() -> Fields {
    let required = |name, data_type| Field::new(name, data_type, false);
    let optional = |name, data_type| Field::new(name, data_type, true);
    Fields::from(vec![
        required(field::IS_FLOAT, DataType::Boolean),
        required(field::RESET_HINT, DataType::UInt8),
        required(field::SCHEMA, DataType::Int32),
        required(field::ZERO_THRESHOLD, DataType::Float64),
        optional(field::ZERO_COUNT_INT, DataType::UInt64),
        optional(field::ZERO_COUNT_FLOAT, DataType::Float64),
        optional(field::COUNT_INT, DataType::UInt64),
        optional(field::COUNT_FLOAT, DataType::Float64),
        required(field::SUM, DataType::Float64),
        required(field::POSITIVE_SPANS, DataType::List(span_element())),
        required(field::NEGATIVE_SPANS, DataType::List(span_element())),
        optional(field::POSITIVE_COUNTS_INT, DataType::List(element(DataType::UInt64))),
        optional(field::NEGATIVE_COUNTS_INT, DataType::List(element(DataType::UInt64))),
        optional(field::POSITIVE_COUNTS_FLOAT, DataType::List(element(DataType::Float64))),
        optional(field::NEGATIVE_COUNTS_FLOAT, DataType::List(element(DataType::Float64))),
        optional(field::CUSTOM_VALUES, DataType::List(element(DataType::Float64))),
    ])
}

/// The fields of one span.
pub(crate) fn span_fields() -> Fields {
    Fields::from(vec![
        Field::new(field::SPAN_OFFSET, DataType::Int32, false),
        Field::new(field::SPAN_LENGTH, DataType::UInt32, false),
    ])
}

/// The element field of the span lists.
pub(crate) fn span_element() -> FieldRef {
    element(DataType::Struct(span_fields()))
}

/// The element field of a list of `data_type`.
pub(crate) fn element(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("element", data_type, false))
}
