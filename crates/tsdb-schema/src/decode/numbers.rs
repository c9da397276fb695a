//! Timestamps and values of any type that can stand for them exactly.
//!
//! Nothing is rounded: a time between two milliseconds, an integer that no float can hold, or a count with a fraction is
//! an error.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::compute::kernels::cmp::eq;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::util::display::array_value_to_string;

use super::{invalid, wrong_type};
#[cfg(doc)]
use crate::Error;
use crate::Result;
use crate::mapper::{TIMESTAMP_COLUMN, VALUE_COLUMN};

/// The types that the `timestamp` column can have, in words.
pub(super) const EXPECTED_TIMESTAMP: &str = "a timestamp, or Int64 milliseconds";
/// The types that the `value` column can have, in words.
pub(super) const EXPECTED_VALUE: &str = "a float or an integer";

/// Whether a column of `data_type` can hold timestamps.
pub(super) fn is_timestamp(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, _) | DataType::Int64)
}

/// Whether a column of `data_type` can hold values.
pub(super) fn is_value(data_type: &DataType) -> bool {
    Exact::<Float64Type>::takes(data_type)
}

/// A `timestamp` column in milliseconds: a timestamp of any unit and zone, or `Int64` milliseconds.
///
/// # Errors
/// [`Error::InvalidValue`] for a null or a time between two milliseconds, [`Error::WrongType`] for other types.
pub fn timestamps_ms(array: &ArrayRef) -> Result<ScalarBuffer<i64>> {
    if array.null_count() > 0 {
        return Err(invalid(TIMESTAMP_COLUMN, "a timestamp is null".into()));
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
        other => Err(wrong_type(TIMESTAMP_COLUMN, EXPECTED_TIMESTAMP, other)),
    }
}

fn whole_ms(times: &[i64], per_ms: i64) -> Result<ScalarBuffer<i64>> {
    convert(times, "a time between two milliseconds, which samples cannot hold", |t| {
        (t % per_ms == 0).then_some(t / per_ms)
    })
}

fn convert(times: &[i64], failure: &str, to_ms: impl Fn(i64) -> Option<i64>) -> Result<ScalarBuffer<i64>> {
    let converted = times
        .iter()
        .map(|&time| to_ms(time).ok_or_else(|| invalid(TIMESTAMP_COLUMN, format!("{time} is {failure}"))));
    Ok(converted.collect::<Result<Vec<i64>>>()?.into())
}

/// The `value` column as floats.
pub(super) struct Values(Exact<Float64Type>);

impl Values {
    /// Reads a column of floats or integers.
    pub(super) fn new(array: &ArrayRef) -> Result<Self> {
        if !is_value(array.data_type()) {
            return Err(wrong_type(VALUE_COLUMN, EXPECTED_VALUE, array.data_type()));
        }
        Ok(Self(Exact::new(array)?))
    }

    /// The values of `rows` when none of them is null and all are exact.
    pub(super) fn all_in(&self, rows: Range<usize>) -> Option<&[f64]> {
        self.0.all_in(rows)
    }

    /// The value of `row`, if it has one.
    pub(super) fn get(&self, row: usize) -> Result<Option<f64>> {
        self.0.get(row).map_err(|detail| invalid(VALUE_COLUMN, detail))
    }
}

/// Numbers of any type as `T`. A number that `T` cannot hold exactly is an error once it is asked for.
pub(super) struct Exact<T: ArrowPrimitiveType> {
    theirs: ArrayRef,
    /// Null where `theirs` is, or holds a number that is none of `T`.
    ours: PrimitiveArray<T>,
}

impl<T: ArrowPrimitiveType> Exact<T> {
    /// Whether numbers of `data_type` can be read as `T`: floats and integers can, and decimals as integers (some tools
    /// make them of 64 unsigned bits). A column without a type is null in every row.
    pub(super) fn takes(data_type: &DataType) -> bool {
        let is_decimal = data_type.is_numeric() && !data_type.is_integer() && !data_type.is_floating();
        data_type.is_null() || (data_type.is_numeric() && !(is_decimal && T::DATA_TYPE.is_floating()))
    }

    /// Reads a column of a type that [`takes`](Self::takes) accepts.
    ///
    /// # Errors
    /// [`Error::Arrow`] for other types.
    pub(super) fn new(array: &ArrayRef) -> Result<Self> {
        let ours = cast(array, &T::DATA_TYPE)?.as_primitive::<T>().clone();
        let (from, to) = (array.data_type(), T::DATA_TYPE);
        // A double has room for all narrower floats, but the way back need not keep the bits of a NaN.
        if *from == to || from.is_null() || (from.is_floating() && to == DataType::Float64) {
            return Ok(Self { theirs: array.clone(), ours });
        }
        let back = cast(&ours, from)?;
        let (exact, known) = eq(&back, array)?.into_parts();
        let exact = known.map_or_else(|| exact.clone(), |known| &exact & known.inner());
        let (_, values, _) = ours.into_parts();
        let ours = PrimitiveArray::new(values, Some(NullBuffer::new(exact)));
        Ok(Self { theirs: array.clone(), ours })
    }

    /// The numbers of `rows` when none of them is null and all are exact.
    pub(super) fn all_in(&self, rows: Range<usize>) -> Option<&[T::Native]> {
        let has_null = self.ours.nulls().is_some_and(|n| n.slice(rows.start, rows.len()).null_count() > 0);
        (!has_null).then(|| &self.ours.values()[rows])
    }

    /// The number in `row`, if it has one; in words what it is where it cannot be.
    pub(super) fn get(&self, row: usize) -> Result<Option<T::Native>, String> {
        if self.ours.is_valid(row) {
            return Ok(Some(self.ours.value(row)));
        }
        if self.theirs.is_null(row) || self.theirs.data_type().is_null() {
            return Ok(None);
        }
        let found = array_value_to_string(&self.theirs, row).unwrap_or_else(|_| "its number".into());
        Err(format!("{found} cannot be held exactly as {}", T::DATA_TYPE))
    }
}
