//! The `labels` column: a map of text, in whichever shape a tool leaves it.
//!
//! Parquet's map is a list of key-value pairs, and tools that know no maps read it and write it back as such a list:
//! older Polars as `List<Struct<key, value>>`, pandas as a list of two-element lists. All are read alike.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{is_null, nullif, take};
use arrow::datatypes::DataType;

use super::lists::{element_of, lists, range_of};
use super::text::{LabelArray, is_text};
use super::{invalid, wrong_type};
#[cfg(doc)]
use crate::Error;
use crate::Result;
use crate::mapper::LABELS_COLUMN;

/// The types that the `labels` column can have, in words.
pub(super) const EXPECTED: &str = "a map of text, or a list of its pairs";

/// The names of a pair's two parts, where it is a struct in a list.
const KEY: &str = "key";
const VALUE: &str = "value";

/// Whether a column of `data_type` can be the `labels` map.
pub(super) fn is_label_map(data_type: &DataType) -> bool {
    let is_pair = |data_type: &DataType| match data_type {
        DataType::Struct(fields) => {
            let is_text = |name| fields.find(name).is_some_and(|(_, field)| is_text(field.data_type()));
            is_text(KEY) && is_text(VALUE)
        }
        pair => element_of(pair).is_some_and(is_text),
    };
    match data_type {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.len() == 2 && fields.iter().all(|f| is_text(f.data_type())),
            _ => false,
        },
        other => element_of(other).is_some_and(is_pair),
    }
}

/// The `labels` column: the labels without a column of their own, for each row.
#[derive(Clone, Debug)]
pub struct LabelMapArray {
    /// Where the pairs of each row begin.
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
    names: LabelArray,
    values: LabelArray,
}

impl LabelMapArray {
    /// Reads the `labels` column: a map of text, or a list of its pairs.
    ///
    /// # Errors
    /// [`Error::WrongType`] for other types, [`Error::InvalidValue`] for a pair that is none and for bytes that are
    /// not UTF-8.
    pub fn new(array: &ArrayRef) -> Result<Self> {
        if !is_label_map(array.data_type()) {
            return Err(wrong_type(LABELS_COLUMN, EXPECTED, array.data_type()));
        }
        let (offsets, nulls, names, values) = match array.as_map_opt() {
            Some(map) => {
                (map.offsets().clone(), map.nulls().cloned(), map.keys().clone(), map.values().clone())
            }
            None => {
                let lists = lists(array)?;
                let (names, values) = pairs(lists.values())?;
                (lists.offsets().clone(), lists.nulls().cloned(), names, values)
            }
        };
        let names = LabelArray::new(LABELS_COLUMN, &names)?;
        let values = LabelArray::new(LABELS_COLUMN, &values)?;
        Ok(Self { offsets, nulls, names, values })
    }

    /// The names and values in `row`, as they stand there; none where the map is null.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (&str, &str)> {
        self.entries(row).map(|entry| (self.names.value(entry), self.values.value(entry)))
    }

    /// The value of the label `name` in `row`; `""` where it is missing.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] where the row has two different values of the label.
    pub fn value(&self, row: usize, name: &str) -> Result<&str> {
        self.value_beside(row, name, "")
    }

    /// The value of the label `name` in `row`, where its own column has `in_column`; `""` where it is in neither.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] where the row has two different values of the label.
    pub fn value_beside<'a>(&'a self, row: usize, name: &str, in_column: &'a str) -> Result<&'a str> {
        let mut in_map = self.row(row).filter(|(found, _)| *found == name).map(|(_, value)| value);
        in_map.try_fold(in_column, |known, value| one_value(name, known, value))
    }

    /// The rows that pass `test`, which is asked once for each run of rows with the same entries.
    ///
    /// # Errors
    /// Those of `test`.
    pub fn rows_where(&self, mut test: impl FnMut(usize) -> Result<bool>) -> Result<BooleanArray> {
        let mut verdict = false;
        let rows = (0..self.offsets.len() - 1).map(|row| {
            if row == 0 || !self.same(row - 1, row) {
                verdict = test(row)?;
            }
            Ok(Some(verdict))
        });
        rows.collect()
    }

    /// The entries of `row`.
    fn entries(&self, row: usize) -> Range<usize> {
        range_of(&self.offsets, self.nulls.as_ref(), row)
    }

    fn same(&self, a: usize, b: usize) -> bool {
        self.entries(a).len() == self.entries(b).len() && self.row(a).eq(self.row(b))
    }

    /// Marks the rows that do not surely hold the same labels as the row before.
    pub(super) fn mark_borders(&self, borders: &mut [bool]) {
        for (row, border) in borders.iter_mut().enumerate().skip(1) {
            *border = *border || !self.same(row - 1, row);
        }
    }
}

/// The one value of the label `name` that a row has in two places. A place without it has the empty value.
///
/// # Errors
/// [`Error::InvalidValue`] when the values differ: to take either could join series that differ.
pub(super) fn one_value<'a>(name: &str, one: &'a str, other: &'a str) -> Result<&'a str> {
    match (one, other) {
        ("", value) | (value, "") => Ok(value),
        _ if one == other => Ok(one),
        _ => {
            let detail = format!("the label {name:?} has two values in one row, {one:?} and {other:?}");
            Err(invalid(LABELS_COLUMN, detail))
        }
    }
}

/// The names and the values of pairs, each a struct or a list of two.
fn pairs(pairs: &ArrayRef) -> Result<(ArrayRef, ArrayRef)> {
    match pairs.as_struct_opt() {
        Some(pairs) => Ok((part(pairs, KEY)?, part(pairs, VALUE)?)),
        None => {
            let pairs = lists(pairs)?;
            let starts = pairs.offsets().windows(2).enumerate().map(|(pair, ends)| match ends[1] - ends[0] {
                2 if pairs.is_valid(pair) => Ok(ends[0]),
                _ => Err(invalid(LABELS_COLUMN, "a pair is not a name and a value".into())),
            });
            let starts = starts.collect::<Result<Vec<i32>>>()?;
            let values = Int32Array::from_iter_values(starts.iter().map(|start| start + 1));
            let names = Int32Array::from(starts);
            Ok((take(pairs.values(), &names, None)?, take(pairs.values(), &values, None)?))
        }
    }
}

/// The field `name` of all `pairs`, null where the pair is.
fn part(pairs: &StructArray, name: &str) -> Result<ArrayRef> {
    let part =
        pairs.column_by_name(name).ok_or_else(|| wrong_type(LABELS_COLUMN, EXPECTED, pairs.data_type()))?;
    match pairs.nulls() {
        Some(_) => Ok(nullif(part, &is_null(pairs)?)?),
        None => Ok(part.clone()),
    }
}
