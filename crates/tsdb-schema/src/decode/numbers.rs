//! Timestamps and values of any type that can stand for them exactly.
//!
//! Nothing is rounded: a time between two milliseconds or an integer that no float can hold is an error.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};

use super::wrong_type;
use crate::mapper::{TIMESTAMP_COLUMN, VALUE_COLUMN};
use crate::{Error, Result};

/// The largest integer below which every integer is a float: 2^53.
const MAX_EXACT_INTEGER: u64 = 1 << 53;

/// Whether a column of `data_type` can hold timestamps.
pub(super) fn is_timestamp(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, _) | DataType::Int64)
}

/// Whether a column of `data_type` can hold values.
pub(super) fn is_value(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Float16 | DataType::Float32 | DataType::Float64)
}

/// A `timestamp` column in milliseconds: a timestamp of any unit and zone, or `Int64` milliseconds.
///
/// # Errors
/// [`Error::InvalidValue`] for a null or a time between two milliseconds, [`Error::WrongType`] for other types.
pub fn timestamps_ms(array: &ArrayRef) -> Result<ScalarBuffer<i64>> {
    if array.null_count() > 0 {
        let row = (0..array.len()).find(|&row| array.is_null(row)).unwrap_or_default();
        return Err(invalid(TIMESTAMP_COLUMN, row, "the timestamp is null".into()));
    }
    match array.data_type() {
        DataType::Int64 => Ok(array.as_primitive::<Int64Type>().values().clone()),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Ok(array.as_primitive::<TimestampMillisecondType>().values().clone())
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            let seconds = array.as_primitive::<TimestampSecondType>().values();
            convert(seconds, "a time beyond 64-bit milliseconds", |s| s.checked_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            whole_ms(array.as_primitive::<TimestampMicrosecondType>().values(), 1_000)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            whole_ms(array.as_primitive::<TimestampNanosecondType>().values(), 1_000_000)
        }
        other => Err(wrong_type(TIMESTAMP_COLUMN, "a timestamp, or Int64 milliseconds", other)),
    }
}

fn whole_ms(times: &[i64], per_ms: i64) -> Result<ScalarBuffer<i64>> {
    convert(times, "a time between two milliseconds, which samples cannot hold", |t| {
        (t % per_ms == 0).then_some(t / per_ms)
    })
}

fn convert(times: &[i64], failure: &str, to_ms: impl Fn(i64) -> Option<i64>) -> Result<ScalarBuffer<i64>> {
    let converted = times.iter().enumerate().map(|(row, &time)| {
        to_ms(time).ok_or_else(|| invalid(TIMESTAMP_COLUMN, row, format!("{time} is {failure}")))
    });
    Ok(converted.collect::<Result<Vec<i64>>>()?.into())
}

/// The `value` column as floats.
pub(super) struct Values {
    floats: Float64Array,
}

impl Values {
    /// Reads a column of any numeric type.
    pub(super) fn new(array: &ArrayRef) -> Result<Self> {
        if !is_value(array.data_type()) {
            return Err(wrong_type(VALUE_COLUMN, "a number", array.data_type()));
        }
        if matches!(array.data_type(), DataType::Int64 | DataType::UInt64) {
            check_exact(array)?;
        }
        let floats = match array.as_primitive_opt::<Float64Type>() {
            Some(floats) => floats.clone(),
            None => cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone(),
        };
        Ok(Self { floats })
    }

    /// The values of `rows` when none of them is null.
    pub(super) fn all_in(&self, rows: Range<usize>) -> Option<&[f64]> {
        let has_null = self.floats.nulls().is_some_and(|n| n.slice(rows.start, rows.len()).null_count() > 0);
        (!has_null).then(|| &self.floats.values()[rows])
    }

    /// The value of `row`, if it has one.
    pub(super) fn get(&self, row: usize) -> Option<f64> {
        self.floats.is_valid(row).then(|| self.floats.value(row))
    }
}

/// Refuses integers that a float would round.
fn check_exact(integers: &ArrayRef) -> Result<()> {
    // As 128-bit decimals, signed and unsigned integers compare alike.
    let wide = cast(integers, &DataType::Decimal128(20, 0))?;
    let wide = wide.as_primitive::<arrow::datatypes::Decimal128Type>();
    for (row, integer) in wide.iter().enumerate() {
        if let Some(integer) = integer.filter(|i| i.unsigned_abs() > u128::from(MAX_EXACT_INTEGER)) {
            let detail =
                format!("{integer} is an integer beyond 2^53, which a float value cannot hold exactly");
            return Err(invalid(VALUE_COLUMN, row, detail));
        }
    }
    Ok(())
}

fn invalid(column: &str, row: usize, detail: String) -> Error {
    Error::InvalidValue { column: column.to_owned(), row, detail }
}
