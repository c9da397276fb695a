//! Look-ups that DuckDB and Polars make in cold files of ours, where there is a Python that has them.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Value, json};
use tsdb_core::Matcher;

use crate::python;

/// The peers: the name for people, and the key in their answer.
pub(crate) const PEERS: [(&str, &str); 2] = [("DuckDB", "duckdb"), ("Polars", "polars")];

/// What is asked.
#[derive(Default)]
pub(crate) struct Question<'a> {
    /// Series, one after the other, each by values that it has.
    pub(crate) one: Vec<&'a [Matcher]>,
    /// Series by patterns for whole values.
    pub(crate) pattern: &'a [Matcher],
    /// The label whose values are listed.
    pub(crate) values: Option<&'a str>,
}

impl Question<'_> {
    /// Has the peers answer from `files`, a file or a pattern for files: for each key of [`PEERS`] wall milliseconds by name.
    /// Null without them.
    pub(crate) fn ask(&self, files: &Path) -> Value {
        let pairs = |matchers: &[Matcher]| -> Value {
            matchers.iter().map(|m| (m.name().to_owned(), Value::from(m.value()))).collect()
        };
        let question = json!({
            "equal": self.one.iter().map(|matchers| pairs(matchers)).collect::<Vec<_>>(),
            "pattern": pairs(self.pattern),
            "values": self.values,
        });
        let question = question.to_string();
        python::measure("look_ups.py", &[files.as_os_str(), OsStr::new(&question)]).unwrap_or_else(|reason| {
            eprintln!("DuckDB and Polars are left out: {reason}");
            Value::Null
        })
    }
}
