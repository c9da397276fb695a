//! [`SchemaMapper`]: which column holds what, in both directions.
//!
//! A mapper is built either from settings ([`SchemaMapper::new`], to write) or from a table's schema
//! ([`SchemaMapper::from_schema`], to read ours or a foreign one). It holds no data and does no I/O.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::column_name::{LabelColumn, label_columns};
use crate::histogram_type::histogram_type;
use crate::{ColumnRole, Error, LabelLayout, Result, SampleBatch, decode, encode};

/// The column of timestamps.
pub const TIMESTAMP_COLUMN: &str = "timestamp";
/// The column of float values; null where the row is a histogram.
pub const VALUE_COLUMN: &str = "value";
/// The column of native histograms; null where the row is a float.
pub const HISTOGRAM_COLUMN: &str = "histogram";
/// The map column of the labels that have no column of their own.
pub const LABELS_COLUMN: &str = "labels";

/// Field metadata: the true name of the label that a column holds.
pub const LABEL_KEY: &str = "tsdb.label";
/// Schema metadata: the [`LabelLayout`], by name.
pub const LAYOUT_KEY: &str = "tsdb.label_layout";

/// The most label columns of one table: Parquet readers count columns in 16 signed bits, and the histogram
/// and the other columns need their share.
pub const MAX_LABEL_COLUMNS: usize = 32_000;

/// The mapping between samples and the columns of an Arrow table.
#[derive(Clone, Debug)]
pub struct SchemaMapper {
    pub(crate) layout: LabelLayout,
    /// By label name ascending.
    pub(crate) label_columns: Vec<LabelColumn>,
    pub(crate) has_values: bool,
    pub(crate) has_histograms: bool,
    pub(crate) has_label_map: bool,
    ignored_columns: Vec<String>,
    pub(crate) schema: SchemaRef,
}

impl SchemaMapper {
    /// The mapping of `layout`, with a column for each of the `promoted` labels (in any order; repeats count
    /// once; ignored by [`LabelLayout::Map`]) and with the `histogram` column if any row will need it.
    ///
    /// # Errors
    /// [`Error::TooManyColumns`] beyond [`MAX_LABEL_COLUMNS`]; [`Error::Model`] for an empty label name.
    pub fn new(layout: LabelLayout, promoted: Vec<String>, has_histograms: bool) -> Result<Self> {
        let promoted: BTreeSet<String> =
            if layout == LabelLayout::Map { BTreeSet::new() } else { promoted.into_iter().collect() };
        if promoted.contains("") {
            return Err(tsdb_core::Error::InvalidLabels("a promoted label has an empty name".into()).into());
        }
        if promoted.len() > MAX_LABEL_COLUMNS {
            return Err(Error::TooManyColumns { found: promoted.len(), max: MAX_LABEL_COLUMNS });
        }
        let label_columns = label_columns(promoted.into_iter().collect());
        let has_label_map = layout != LabelLayout::Columns;
        let schema = build_schema(layout, &label_columns, has_histograms, has_label_map);
        Ok(Self {
            layout,
            label_columns,
            has_values: true,
            has_histograms,
            has_label_map,
            ignored_columns: Vec::new(),
            schema,
        })
    }

    /// The same mapping without the `labels` map, for rows whose labels all have columns. No effect on
    /// [`LabelLayout::Map`], which has no other place for labels.
    #[must_use]
    pub fn without_label_map(mut self) -> Self {
        if self.layout != LabelLayout::Map {
            self.has_label_map = false;
            self.schema = build_schema(self.layout, &self.label_columns, self.has_histograms, false);
        }
        self
    }

    /// The mapping that reads tables of `schema`: one that this crate wrote, or a foreign one.
    ///
    /// A foreign table needs a `timestamp` column (a timestamp of any unit and zone, or `Int64` milliseconds)
    /// and a `value` column (a float or an integer) or our `histogram` column. Every column of text is a label of
    /// its own name; a `labels` column that is a map of text, or a list of its pairs, holds more. The rest are
    /// [ignored](Self::ignored_columns). [`ColumnRole`] says for each column what it is taken for.
    ///
    /// # Errors
    /// [`Error::MissingColumn`], [`Error::RepeatedColumn`] and [`Error::WrongType`].
    pub fn from_schema(schema: &Schema) -> Result<Self> {
        let mut mapper = Self {
            layout: LabelLayout::default(),
            label_columns: Vec::new(),
            has_values: false,
            has_histograms: false,
            has_label_map: false,
            ignored_columns: Vec::new(),
            schema: Arc::new(schema.clone()),
        };
        let mut seen = BTreeSet::new();
        let mut has_timestamps = false;
        for field in schema.fields() {
            let role = ColumnRole::of(field)?;
            if role != ColumnRole::Ignored && !seen.insert(field.name().as_str()) {
                return Err(Error::RepeatedColumn { column: field.name().clone() });
            }
            let column = field.name().clone();
            match role {
                ColumnRole::Timestamp => has_timestamps = true,
                ColumnRole::Value => mapper.has_values = true,
                ColumnRole::Histogram => mapper.has_histograms = true,
                ColumnRole::LabelMap => mapper.has_label_map = true,
                ColumnRole::Label(label) => mapper.label_columns.push(LabelColumn { label, column }),
                ColumnRole::Ignored => mapper.ignored_columns.push(column),
            }
        }
        if !has_timestamps {
            return Err(Error::MissingColumn { column: TIMESTAMP_COLUMN.into() });
        }
        if !mapper.has_values && !mapper.has_histograms {
            return Err(Error::MissingColumn { column: VALUE_COLUMN.into() });
        }
        mapper.sort_label_columns()?;
        mapper.layout = mapper.layout_of(schema)?;
        Ok(mapper)
    }

    /// The Arrow schema of the table: `timestamp`, `value`, `histogram`, the label columns by label name, and
    /// `labels`, of which those not needed are left out. For [`SchemaMapper::from_schema`], that very schema.
    #[must_use]
    pub fn time_series_to_arrow_schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The rows of `batch` as one Arrow table, in the batch's order.
    ///
    /// # Errors
    /// [`Error::NoColumn`] for a label or histogram without a place in the schema, [`Error::BatchTooLarge`] when
    /// the strings of a column pass 2 GiB.
    pub fn sample_batch_to_record_batch(&self, batch: &SampleBatch) -> Result<RecordBatch> {
        encode::record_batch(self, batch)
    }

    /// Of the columns of [`SchemaMapper::sample_batch_to_record_batch`] those that are nested, `histogram` and `labels` as
    /// far as the schema has them, each with its field. For writers that encode the flat columns themselves.
    ///
    /// # Errors
    /// As there.
    pub fn nested_columns(&self, batch: &SampleBatch) -> Result<Vec<(FieldRef, ArrayRef)>> {
        encode::nested_columns(self, batch)
    }

    /// The samples of `batch`, in row order: one [`Series`](tsdb_core::Series) for each run of rows with one
    /// label set and ascending time. Columns are found by name, so a batch may hold them in another order, or
    /// leave label columns out that the caller does not want decoded.
    ///
    /// A row whose value and histogram are both null holds no sample and is passed over, as SQL would.
    ///
    /// # Errors
    /// [`Error::MissingColumn`], [`Error::WrongType`], [`Error::InvalidValue`], and [`Error::Model`] for a label
    /// or histogram that the data model refuses.
    pub fn record_batch_to_sample_batch(&self, batch: &RecordBatch) -> Result<SampleBatch> {
        decode::sample_batch(self, batch)
    }

    /// The label layout.
    #[must_use]
    pub fn layout(&self) -> LabelLayout {
        self.layout
    }

    /// The labels that have a column of their own, by label name.
    #[must_use]
    pub fn label_columns(&self) -> &[LabelColumn] {
        &self.label_columns
    }

    /// The column of the label `name`, if it has one of its own.
    #[must_use]
    pub fn label_column(&self, name: &str) -> Option<&LabelColumn> {
        let found = self.label_columns.binary_search_by(|c| c.label.as_str().cmp(name));
        found.ok().map(|i| &self.label_columns[i])
    }

    /// Whether the table has the `labels` map.
    #[must_use]
    pub fn has_label_map(&self) -> bool {
        self.has_label_map
    }

    /// Whether the table has the `histogram` column.
    #[must_use]
    pub fn has_histograms(&self) -> bool {
        self.has_histograms
    }

    /// Whether the table has the `value` column. Foreign tables of histograms only may lack it.
    #[must_use]
    pub fn has_values(&self) -> bool {
        self.has_values
    }

    /// The columns of the table that hold no part of a sample, in the table's order. Series that differ in them only
    /// are read as one.
    #[must_use]
    pub fn ignored_columns(&self) -> &[String] {
        &self.ignored_columns
    }

    fn sort_label_columns(&mut self) -> Result<()> {
        self.label_columns.sort_by(|a, b| a.label.cmp(&b.label));
        match self.label_columns.windows(2).find(|pair| pair[0].label == pair[1].label) {
            Some(pair) => Err(Error::RepeatedColumn { column: pair[0].label.clone() }),
            None => Ok(()),
        }
    }

    /// The layout that the metadata names, or the one that fits the columns.
    fn layout_of(&self, schema: &Schema) -> Result<LabelLayout> {
        match schema.metadata().get(LAYOUT_KEY) {
            Some(name) => name.parse(),
            None if self.has_label_map && self.label_columns.is_empty() => Ok(LabelLayout::Map),
            None if self.has_label_map => Ok(LabelLayout::Hybrid),
            None => Ok(LabelLayout::Columns),
        }
    }
}

fn build_schema(layout: LabelLayout, labels: &[LabelColumn], histograms: bool, map: bool) -> SchemaRef {
    let mut fields = vec![
        Field::new(TIMESTAMP_COLUMN, timestamp_type(), false),
        Field::new(VALUE_COLUMN, DataType::Float64, true),
    ];
    if histograms {
        fields.push(Field::new(HISTOGRAM_COLUMN, histogram_type(), true));
    }
    for LabelColumn { label, column } in labels {
        let metadata = HashMap::from([(LABEL_KEY.to_owned(), label.clone())]);
        fields.push(Field::new(column, label_type(), true).with_metadata(metadata));
    }
    if map {
        // Never null in a row that has it, but a reader that unites files puts nulls where a file has no map.
        fields.push(Field::new(LABELS_COLUMN, DataType::Map(label_map_entries(), false), true));
    }
    let metadata = HashMap::from([(LAYOUT_KEY.to_owned(), layout.name().to_owned())]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn label_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The fields of one map entry, named as the Parquet specification names them.
pub(crate) fn label_map_fields() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)])
}

/// The entries field of the `labels` map.
pub(crate) fn label_map_entries() -> FieldRef {
    Arc::new(Field::new("key_value", DataType::Struct(label_map_fields()), false))
}
