//! The label sets of rows, from label columns and the `labels` map.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use arrow::array::{ArrayRef, RecordBatch};
use tsdb_core::{Labels, LabelsBuilder};

use super::label_map::{LabelMapArray, one_value};
use super::text::LabelArray;
use super::{invalid, no_labels};
use crate::mapper::LABELS_COLUMN;
use crate::{Result, SchemaMapper};

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

    /// The names and values in `row`, from columns and map.
    fn pairs(&self, row: usize) -> impl Iterator<Item = (&str, &str)> {
        let columns = self.columns.iter().map(move |(label, column)| (*label, column.value(row)));
        let columns = columns.filter(|(_, value)| !value.is_empty());
        columns.chain(self.map.iter().flat_map(move |map| map.row(row)))
    }

    /// The label set of `row`, in which a name may come twice with one value.
    fn united(&self, row: usize) -> Result<Labels> {
        let mut united: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in self.pairs(row).filter(|(_, value)| !value.is_empty()) {
            let known = united.entry(name).or_default();
            *known = one_value(name, known, value)?;
        }
        Labels::from_pairs(united).map_err(|error| invalid(LABELS_COLUMN, error.to_string()))
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
        for (name, value) in self.columns.pairs(row) {
            self.builder.push(name, value);
        }
        // A name that comes twice is rare, and looked into only then.
        self.builder.build().or_else(|_| self.columns.united(row))
    }
}
