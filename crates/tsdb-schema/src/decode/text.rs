//! Label columns of any type that holds text.
//!
//! Text is a string of any Arrow type, or bytes of any length: writers of old mark a column of strings as nothing
//! but bytes. Bytes that are not UTF-8 are an error where they are met, never a missing label.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};

use super::{invalid, wrong_type};
use crate::Result;

/// The types that a label column can have, in words.
pub(super) const EXPECTED: &str = "text, or a dictionary of text";

/// Whether a column of `data_type` can be a label.
pub(super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        // A column without a type is null in every row.
        DataType::Null => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// One label column: a string or null for each row. A null, like an empty string, is a missing label.
#[derive(Clone, Debug)]
pub enum LabelArray {
    /// Each distinct string once, and a key for each row.
    Dictionary(DictionaryArray<Int32Type>, StringArray),
    /// A string for each row.
    Plain(StringArray),
}

impl LabelArray {
    /// Reads the column `column`: strings or bytes of any Arrow type, or a dictionary of them.
    ///
    /// # Errors
    /// [`Error::WrongType`](crate::Error::WrongType) for other types,
    /// [`Error::InvalidValue`](crate::Error::InvalidValue) for bytes that are not UTF-8,
    /// [`Error::Arrow`](crate::Error::Arrow) when the text passes 2 GiB.
    pub fn new(column: &str, array: &ArrayRef) -> Result<Self> {
        if !is_text(array.data_type()) {
            return Err(wrong_type(column, EXPECTED, array.data_type()));
        }
        match array.as_any_dictionary_opt() {
            Some(dictionary) => {
                let keys = cast(dictionary.keys(), &DataType::Int32)?.as_primitive::<Int32Type>().clone();
                let values = strings(column, dictionary.values())?;
                let array = DictionaryArray::try_new(keys, Arc::new(values.clone()))?;
                Ok(Self::Dictionary(array, values))
            }
            None => Ok(Self::Plain(strings(column, array)?)),
        }
    }

    /// The label's value in `row`; `""` where it is missing.
    #[must_use]
    pub fn value(&self, row: usize) -> &str {
        match self {
            Self::Dictionary(array, strings) => match array.key(row) {
                Some(key) if strings.is_valid(key) => strings.value(key),
                _ => "",
            },
            Self::Plain(strings) if strings.is_valid(row) => strings.value(row),
            Self::Plain(_) => "",
        }
    }

    /// The rows whose value passes `test`, which is asked once for each distinct value (or run of one).
    pub fn rows_where(&self, mut test: impl FnMut(&str) -> bool) -> BooleanArray {
        match self {
            Self::Dictionary(array, strings) => {
                let mut verdicts: Vec<Option<bool>> = vec![None; strings.len()];
                let mut missing = None;
                let mut verdict_of = |key: Option<usize>| match key {
                    Some(key) if strings.is_valid(key) => {
                        *verdicts[key].get_or_insert_with(|| test(strings.value(key)))
                    }
                    _ => *missing.get_or_insert_with(|| test("")),
                };
                BooleanArray::from_iter((0..array.len()).map(|row| Some(verdict_of(array.key(row)))))
            }
            Self::Plain(strings) => {
                let mut verdict = false;
                BooleanArray::from_iter((0..strings.len()).map(|row| {
                    if row == 0 || !self.same(row - 1, row) {
                        verdict = test(self.value(row));
                    }
                    Some(verdict)
                }))
            }
        }
    }

    /// Whether two rows surely hold one value. Two rows that do not compare equal may still hold one: a
    /// dictionary may hold a string twice.
    pub(super) fn same(&self, a: usize, b: usize) -> bool {
        match self {
            Self::Dictionary(array, _) => array.key(a) == array.key(b),
            Self::Plain(_) => self.value(a) == self.value(b),
        }
    }

    /// Marks the rows that do not surely hold the same value as the row before.
    pub(super) fn mark_borders(&self, borders: &mut [bool]) {
        match self {
            Self::Dictionary(array, _) if array.null_count() == 0 => {
                let keys = array.keys().values();
                for (border, pair) in borders.iter_mut().skip(1).zip(keys.windows(2)) {
                    *border |= pair[0] != pair[1];
                }
            }
            _ => {
                for (row, border) in borders.iter_mut().enumerate().skip(1) {
                    *border |= !self.same(row - 1, row);
                }
            }
        }
    }
}

/// Text as one type of strings.
fn strings(column: &str, array: &ArrayRef) -> Result<StringArray> {
    let strings = cast(array, &DataType::Utf8)?;
    if strings.null_count() > array.null_count() {
        let detail =
            "its bytes are not UTF-8, which a label must be; write the column as text, or leave it out";
        return Err(invalid(column, detail.into()));
    }
    Ok(strings.as_string::<i32>().clone())
}
