//! What other tools take for the same rows: `peers/parquet.py`, run by the Python that has them.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::Value;

use super::Table;
use crate::python;

/// Medians of CPU time, in seconds, and a size; `None` where the tool is not there.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// pyarrow writes the table, read from the file before, to memory, in pages of as many rows as ours.
    pub(super) pyarrow_write_s: Option<f64>,
    /// The same in the large pages that it makes by itself.
    pub(super) pyarrow_own_pages_write_s: Option<f64>,
    /// The size of what it wrote.
    pub(super) pyarrow_bytes: Option<f64>,
    /// pyarrow reads all columns.
    pub(super) pyarrow_read_s: Option<f64>,
    /// DuckDB sums the values.
    pub(super) duckdb_sum_s: Option<f64>,
    /// DuckDB reads the samples of one series.
    pub(super) duckdb_one_s: Option<f64>,
}

impl Peers {
    /// Runs the peers on `file`. Without them a sentence says so, and ours is measured alone.
    pub(super) fn measure(file: &Path, table: &Table) -> Self {
        match run(file, table) {
            Ok(found) => {
                let number = |name: &str| found[name].as_f64();
                Self {
                    pyarrow_write_s: number("pyarrow_write_s"),
                    pyarrow_own_pages_write_s: number("pyarrow_own_pages_write_s"),
                    pyarrow_bytes: number("pyarrow_bytes"),
                    pyarrow_read_s: number("pyarrow_read_s"),
                    duckdb_sum_s: number("duckdb_sum_s"),
                    duckdb_one_s: number("duckdb_one_s"),
                }
            }
            Err(reason) => {
                eprintln!("pyarrow and DuckDB are left out: {reason}");
                Self::default()
            }
        }
    }
}

fn run(file: &Path, table: &Table) -> Result<Value, String> {
    let labels: serde_json::Map<String, Value> =
        table.one_series().iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let labels = Value::Object(labels).to_string();
    python::measure("parquet.py", &[file.as_os_str(), OsStr::new(&labels)])
}
