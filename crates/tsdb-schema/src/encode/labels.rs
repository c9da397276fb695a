//! Label columns, built from runs of equal label sets.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, MapArray, StringArray, StructArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Int32Type;

use super::Run;
use crate::mapper::{LABELS_COLUMN, label_map_entries, label_map_fields};
use crate::{Error, Result, SchemaMapper};

/// Refuses a label that has no column when there is no map for it.
pub(super) fn check_placed(mapper: &SchemaMapper, runs: &[Run<'_>]) -> Result<()> {
    if mapper.has_label_map {
        return Ok(());
    }
    for run in runs {
        if let Some((name, _)) = run.labels.iter().find(|(name, _)| mapper.label_column(name).is_none()) {
            return Err(Error::NoColumn { what: format!("label {name:?}"), series: run.labels.to_string() });
        }
    }
    Ok(())
}

/// The dictionary column of each promoted label, in the mapper's order: the distinct values in order of first
/// use, the keys run by run. Labels and columns are walked side by side, both being sorted by name.
pub(super) fn dictionary_columns(mapper: &SchemaMapper, runs: &[Run<'_>]) -> Result<Vec<ArrayRef>> {
    let mut columns: Vec<DictionaryColumn<'_>> =
        mapper.label_columns.iter().map(|c| DictionaryColumn::new(&c.label)).collect();
    for run in runs {
        let mut labels = run.labels.iter().peekable();
        for column in &mut columns {
            while labels.next_if(|(name, _)| *name < column.label).is_some() {}
            let value = labels.next_if(|(name, _)| *name == column.label).map(|(_, value)| value);
            column.push(value, run.rows)?;
        }
    }
    columns.into_iter().map(DictionaryColumn::finish).collect()
}

/// One dictionary column as it grows.
struct DictionaryColumn<'a> {
    label: &'a str,
    keys: Vec<i32>,
    values: Vec<&'a str>,
    key_of: HashMap<&'a str, i32>,
    /// The runs without the label: first row and number of rows.
    missing: Vec<(usize, usize)>,
}

impl<'a> DictionaryColumn<'a> {
    fn new(label: &'a str) -> Self {
        Self { label, keys: Vec::new(), values: Vec::new(), key_of: HashMap::new(), missing: Vec::new() }
    }

    fn push(&mut self, value: Option<&'a str>, rows: usize) -> Result<()> {
        let key = match value {
            Some(value) => {
                let next = i32::try_from(self.values.len()).map_err(|_| too_large(self.label))?;
                *self.key_of.entry(value).or_insert_with(|| {
                    self.values.push(value);
                    next
                })
            }
            None => {
                self.missing.push((self.keys.len(), rows));
                0
            }
        };
        self.keys.resize(self.keys.len() + rows, key);
        Ok(())
    }

    fn finish(self) -> Result<ArrayRef> {
        let nulls = null_runs(self.keys.len(), &self.missing);
        let values = string_array(self.label, self.values.iter().copied())?;
        let keys = Int32Array::new(ScalarBuffer::from(self.keys), nulls);
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values))?))
    }
}

/// The validity of `rows` rows, null in the runs of `missing`.
fn null_runs(rows: usize, missing: &[(usize, usize)]) -> Option<NullBuffer> {
    if missing.is_empty() {
        return None;
    }
    let mut valid = arrow::array::BooleanBufferBuilder::new(rows);
    for &(start, length) in missing {
        valid.append_n(start - valid.len(), true);
        valid.append_n(length, false);
    }
    valid.append_n(rows - valid.len(), true);
    Some(NullBuffer::new(valid.finish()))
}

/// The `labels` column: for each row the labels without a column of their own, by name; never null.
pub(super) fn map_column(mapper: &SchemaMapper, runs: &[Run<'_>]) -> Result<ArrayRef> {
    let rows: usize = runs.iter().map(|run| run.rows).sum();
    let mut ends = Vec::with_capacity(rows + 1);
    ends.push(0_i32);
    let mut names: Vec<&str> = Vec::new();
    let mut values: Vec<&str> = Vec::new();
    let mut others: Vec<(&str, &str)> = Vec::new();
    for run in runs {
        others.clear();
        others.extend(run.labels.iter().filter(|(name, _)| mapper.label_column(name).is_none()));
        for _ in 0..run.rows {
            names.extend(others.iter().map(|(name, _)| name));
            values.extend(others.iter().map(|(_, value)| value));
            ends.push(i32::try_from(names.len()).map_err(|_| too_large(LABELS_COLUMN))?);
        }
    }
    let entries = StructArray::try_new(
        label_map_fields(),
        vec![
            Arc::new(string_array(LABELS_COLUMN, names.iter().copied())?) as ArrayRef,
            Arc::new(string_array(LABELS_COLUMN, values.iter().copied())?),
        ],
        None,
    )?;
    let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
    Ok(Arc::new(MapArray::try_new(label_map_entries(), ends, entries, None, false)?))
}

/// A string array, or the error that its bytes pass 32-bit offsets.
fn string_array<'a>(
    column: &str,
    strings: impl ExactSizeIterator<Item = &'a str> + Clone,
) -> Result<StringArray> {
    let total: usize = strings.clone().map(str::len).sum();
    if i32::try_from(total).is_err() {
        return Err(too_large(column));
    }
    let mut offsets = Vec::with_capacity(strings.len() + 1);
    offsets.push(0_i32);
    let mut bytes = Vec::with_capacity(total);
    for string in strings {
        bytes.extend_from_slice(string.as_bytes());
        offsets.push(i32::try_from(bytes.len()).map_err(|_| too_large(column))?);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(StringArray::try_new(offsets, Buffer::from_vec(bytes), None)?)
}

fn too_large(column: &str) -> Error {
    Error::BatchTooLarge { column: column.to_owned() }
}
