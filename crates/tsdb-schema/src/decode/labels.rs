//! Label columns of any string type, and the `labels` map.

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, MapArray, RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use tsdb_core::{Labels, LabelsBuilder};

use super::{no_labels, wrong_type};
use crate::mapper::LABELS_COLUMN;
use crate::{Error, Result, SchemaMapper};

/// Whether a column of `data_type` can be a label.
pub(super) fn is_string(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_string(values),
        _ => false,
    }
}

/// Whether a column of `data_type` can be the `labels` map.
pub(super) fn is_label_map(data_type: &DataType) -> bool {
    let DataType::Map(entries, _) = data_type else { return false };
    match entries.data_type() {
        DataType::Struct(fields) => fields.len() == 2 && fields.iter().all(|f| is_string(f.data_type())),
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
    /// Reads the column `column`: Utf8, LargeUtf8, Utf8View or a dictionary of them.
    ///
    /// # Errors
    /// [`Error::WrongType`] for other types, [`Error::Arrow`] when the strings pass 2 GiB.
    pub fn new(column: &str, array: &ArrayRef) -> Result<Self> {
        if !is_string(array.data_type()) {
            return Err(wrong_type(column, "a string or a dictionary of strings", array.data_type()));
        }
        if let DataType::Dictionary(_, _) = array.data_type() {
            let ours = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            let array = if *array.data_type() == ours { array.clone() } else { cast(array, &ours)? };
            let array = array.as_dictionary::<Int32Type>().clone();
            let strings = array.values().as_string::<i32>().clone();
            return Ok(Self::Dictionary(array, strings));
        }
        let array =
            if *array.data_type() == DataType::Utf8 { array.clone() } else { cast(array, &DataType::Utf8)? };
        Ok(Self::Plain(array.as_string::<i32>().clone()))
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
    fn same(&self, a: usize, b: usize) -> bool {
        match self {
            Self::Dictionary(array, _) => array.key(a) == array.key(b),
            Self::Plain(_) => self.value(a) == self.value(b),
        }
    }

    /// Marks the rows that do not surely hold the same value as the row before.
    fn mark_borders(&self, borders: &mut [bool]) {
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

/// The `labels` column: the labels without a column of their own, for each row.
#[derive(Clone, Debug)]
pub struct LabelMapArray {
    map: MapArray,
    names: LabelArray,
    values: LabelArray,
}

impl LabelMapArray {
    /// Reads the `labels` column: a map of strings.
    ///
    /// # Errors
    /// [`Error::WrongType`] for other types.
    pub fn new(array: &ArrayRef) -> Result<Self> {
        if !is_label_map(array.data_type()) {
            return Err(wrong_type(LABELS_COLUMN, "a map of strings", array.data_type()));
        }
        let map = array.as_map().clone();
        let names = LabelArray::new(LABELS_COLUMN, map.keys())?;
        let values = LabelArray::new(LABELS_COLUMN, map.values())?;
        Ok(Self { map, names, values })
    }

    /// The names and values in `row`; none where the map is null.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (&str, &str)> {
        self.entries(row).map(|entry| (self.names.value(entry), self.values.value(entry)))
    }

    /// The value of the label `name` in `row`; `""` where it is missing.
    #[must_use]
    pub fn value(&self, row: usize, name: &str) -> &str {
        self.row(row).find(|(found, _)| *found == name).map_or("", |(_, value)| value)
    }

    /// The rows that pass `test`, which is asked once for each run of rows with the same entries.
    pub fn rows_where(&self, mut test: impl FnMut(usize) -> bool) -> BooleanArray {
        let mut verdict = false;
        BooleanArray::from_iter((0..self.map.len()).map(|row| {
            if row == 0 || !self.same(row - 1, row) {
                verdict = test(row);
            }
            Some(verdict)
        }))
    }

    /// The entries of `row`.
    fn entries(&self, row: usize) -> Range<usize> {
        if self.map.is_null(row) {
            return 0..0;
        }
        let offsets = self.map.value_offsets();
        // Arrow has checked that offsets ascend from 0.
        usize::try_from(offsets[row]).unwrap_or_default()
            ..usize::try_from(offsets[row + 1]).unwrap_or_default()
    }

    fn same(&self, a: usize, b: usize) -> bool {
        self.entries(a).len() == self.entries(b).len() && self.row(a).eq(self.row(b))
    }

    fn mark_borders(&self, borders: &mut [bool]) {
        for (row, border) in borders.iter_mut().enumerate().skip(1) {
            *border = *border || !self.same(row - 1, row);
        }
    }
}

/// All label columns of one batch.
pub(super) struct LabelColumns<'a> {
    columns: Vec<(&'a str, LabelArray)>,
    map: Option<LabelMapArray>,
}

impl<'a> LabelColumns<'a> {
    pub(super) fn new(mapper: &'a SchemaMapper, batch: &RecordBatch) -> Result<Self> {
        let schema = batch.schema();
        let by_name: HashMap<&str, &ArrayRef> =
            schema.fields().iter().map(|field| field.name().as_str()).zip(batch.columns()).collect();
        let mut columns = Vec::with_capacity(mapper.label_columns.len());
        for column in &mapper.label_columns {
            // A column that the caller left out of the projection is taken as missing everywhere.
            if let Some(array) = by_name.get(column.column.as_str()) {
                columns.push((column.label.as_str(), LabelArray::new(&column.column, array)?));
            }
        }
        let map = if mapper.has_label_map { batch.column_by_name(LABELS_COLUMN) } else { None };
        Ok(Self { columns, map: map.map(LabelMapArray::new).transpose()? })
    }

    /// The runs of rows with the same labels. Neighbouring runs may still be equal.
    pub(super) fn runs(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let mut borders = vec![false; rows];
        for (_, column) in &self.columns {
            column.mark_borders(&mut borders);
        }
        if let Some(map) = &self.map {
            map.mark_borders(&mut borders);
        }
        let mut start = 0;
        std::iter::from_fn(move || {
            let length = 1 + borders.get(start + 1..)?.iter().take_while(|border| !**border).count();
            let run = (start < rows).then(|| start..start + length);
            start += length;
            run
        })
    }

    pub(super) fn builder(&self) -> RunLabels<'_> {
        RunLabels { columns: self, builder: LabelsBuilder::new() }
    }
}

/// Builds the label sets of runs.
pub(super) struct RunLabels<'a> {
    columns: &'a LabelColumns<'a>,
    builder: LabelsBuilder,
}

impl RunLabels<'_> {
    /// The label set of `row`.
    pub(super) fn labels_of(&mut self, row: usize) -> Result<Labels> {
        if self.columns.columns.is_empty() && self.columns.map.is_none() {
            return Ok(no_labels());
        }
        self.builder.clear();
        for (label, column) in &self.columns.columns {
            let value = column.value(row);
            if !value.is_empty() {
                self.builder.push(label, value);
            }
        }
        for (name, value) in self.columns.map.iter().flat_map(|map| map.row(row)) {
            self.builder.push(name, value);
        }
        self.builder.build().map_err(|error| Error::InvalidValue {
            column: LABELS_COLUMN.into(),
            row,
            detail: error.to_string(),
        })
    }
}
