//! List columns of any type as one: tools rewrite `List` as `LargeList` and other forms.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};

use crate::Result;

/// The element type of a list type; `None` for other types. A column without a type, all null, is a list of such.
pub(super) fn element_of(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _)
        | DataType::ListView(element)
        | DataType::LargeListView(element) => Some(element.data_type()),
        DataType::Null => Some(data_type),
        _ => None,
    }
}

/// A column of lists, elements as they are; a column of another type becomes one list of it a row.
///
/// # Errors
/// [`Error::Arrow`](crate::Error::Arrow) when the elements pass 32-bit offsets.
pub(super) fn lists(array: &ArrayRef) -> Result<ListArray> {
    let element = element_of(array.data_type()).unwrap_or(array.data_type());
    let ours = DataType::List(Field::new_list_field(element.clone(), true).into());
    Ok(cast(array, &ours)?.as_list::<i32>().clone())
}

/// The elements of the list in `row`; none where it is null.
pub(super) fn range_of(offsets: &OffsetBuffer<i32>, nulls: Option<&NullBuffer>, row: usize) -> Range<usize> {
    if nulls.is_some_and(|nulls| nulls.is_null(row)) {
        return 0..0;
    }
    // Arrow has checked that offsets ascend from 0.
    let at = |row: usize| usize::try_from(offsets[row]).unwrap_or_default();
    at(row)..at(row + 1)
}
