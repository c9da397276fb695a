//! Proptest strategies with the odd cases in them on purpose.
//!
//! Names and values come mostly from small pools, so that label sets share labels and matchers hit something; the
//! rest is unicode, control characters, capital names (which sort before `__name__`) and very long strings.
//! Everything generated is valid input for a store, except [`any_timestamp`], which is for codecs.

mod histograms;
mod labels;
mod matchers;
mod script;
mod values;

pub use histograms::{histogram, histogram_run};
pub use labels::{distinct_label_sets, label_name, label_set, label_value};
pub use matchers::{matcher, matchers, matchers_for};
pub use script::{Script, ScriptSample, script};
pub use values::{any_timestamp, float_run, float_value, sample_value, time_range, timestamp};
