#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod batch;
mod column_name;
mod decode;
mod encode;
mod error;
mod histogram_type;
mod layout;
mod mapper;

/// The crates whose types are in this one's interface, so that they need not be named as dependencies.
pub use {arrow, tsdb_core};

pub use batch::SampleBatch;
pub use column_name::{LABEL_COLUMN_PREFIX, LabelColumn, RESERVED_COLUMNS};
pub use decode::{ColumnRole, LabelArray, LabelMapArray, timestamps_ms};
pub use error::{Error, Result};
pub use histogram_type::histogram_type;
pub use layout::LabelLayout;
pub use mapper::{
    HISTOGRAM_COLUMN, LABEL_KEY, LABELS_COLUMN, LAYOUT_KEY, MAX_LABEL_COLUMNS, SchemaMapper,
    TIMESTAMP_COLUMN, VALUE_COLUMN,
};
