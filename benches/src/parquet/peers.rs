//! What other tools take for the same rows: `peers/parquet.py`, run by the Python that has them.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::Table;

/// The environment variable that names a Python with pyarrow and DuckDB; `cargo xtask bench` sets it.
const PYTHON: &str = "TSDB_PEERS_PYTHON";
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/parquet.py");

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
    let python = std::env::var_os(PYTHON).ok_or_else(|| {
        format!("{PYTHON} names no Python that has them (`cargo xtask bench parquet` makes one)")
    })?;
    let labels: serde_json::Map<String, Value> =
        table.one_series().iter().map(|m| (m.name().to_owned(), m.value().into())).collect();
    let done = Command::new(&python)
        .arg(PROGRAM)
        .arg(file)
        .arg(Value::Object(labels).to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start {}: {error}", python.display()))?;
    if !done.status.success() {
        return Err(format!("{PROGRAM} ended with {}", done.status));
    }
    serde_json::from_slice(&done.stdout).map_err(|error| format!("{PROGRAM} printed no JSON: {error}"))
}
