//! What each column of a table means.

use arrow::datatypes::Field;

use super::{histogram, label_map, numbers, text, wrong_type};
#[cfg(doc)]
use crate::Error;
use crate::Result;
use crate::mapper::{HISTOGRAM_COLUMN, LABEL_KEY, LABELS_COLUMN, TIMESTAMP_COLUMN, VALUE_COLUMN};

/// What a column of a table means to us.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnRole {
    /// The times of the samples.
    Timestamp,
    /// The float values.
    Value,
    /// The native histograms.
    Histogram,
    /// The label of this name.
    Label(String),
    /// The map of the labels without a column of their own.
    LabelMap,
    /// No part of a sample.
    Ignored,
}

impl ColumnRole {
    /// The role of the column `field`, by its name, type and metadata.
    ///
    /// # Errors
    /// [`Error::WrongType`] for one of our names with a type that cannot hold what the name says.
    pub fn of(field: &Field) -> Result<Self> {
        let data_type = field.data_type();
        let wrong = |expected| Err(wrong_type(field.name(), expected, data_type));
        if let Some(label) = field.metadata().get(LABEL_KEY) {
            return if text::is_text(data_type) {
                Ok(Self::Label(label.clone()))
            } else {
                wrong(text::EXPECTED)
            };
        }
        match field.name().as_str() {
            TIMESTAMP_COLUMN if numbers::is_timestamp(data_type) => Ok(Self::Timestamp),
            TIMESTAMP_COLUMN => wrong(numbers::EXPECTED_TIMESTAMP),
            VALUE_COLUMN if numbers::is_value(data_type) => Ok(Self::Value),
            VALUE_COLUMN => wrong(numbers::EXPECTED_VALUE),
            HISTOGRAM_COLUMN if histogram::is_histogram(data_type) => Ok(Self::Histogram),
            LABELS_COLUMN if label_map::is_label_map(data_type) => Ok(Self::LabelMap),
            // Data of ours in another shape, as some tools write it: to leave it out would join series that differ.
            HISTOGRAM_COLUMN if data_type.is_nested() => wrong(histogram::EXPECTED),
            LABELS_COLUMN if data_type.is_nested() => wrong(label_map::EXPECTED),
            name if text::is_text(data_type) => Ok(Self::Label(name.to_owned())),
            _ => Ok(Self::Ignored),
        }
    }
}
