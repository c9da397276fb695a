#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cardinality;
mod kind;
mod mixed;
mod openmetrics;
mod random;
mod template;
mod values;
mod wide;

pub use cardinality::{HighCardinality, high_cardinality};
pub use kind::Kind;
pub use mixed::{Mixed, SERIES_PER_TARGET, STEP_MS, Target, Workload};
/// The data model that the signatures speak of.
pub use tsdb_core;
pub use wide::wide_labels;
