//! Programs of `peers/` in Python: they print what they have measured as JSON.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The environment variable that names a Python with the packages to compare with; `cargo xtask bench` sets it.
const PYTHON: &str = "TSDB_PEERS_PYTHON";

/// Runs `peers/PROGRAM` with `arguments`. Returns what it prints.
///
/// # Errors
/// Why it could not be run, or what it printed instead.
pub fn measure(program: &str, arguments: &[&OsStr]) -> Result<Value, String> {
    let python = std::env::var_os(PYTHON)
        .ok_or_else(|| format!("{PYTHON} names no Python that has them (`cargo xtask bench` makes one)"))?;
    let program = format!("{}/peers/{program}", env!("CARGO_MANIFEST_DIR"));
    let done = Command::new(&python)
        .arg(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start {}: {error}", python.display()))?;
    if !done.status.success() {
        return Err(format!("{program} ended with {}", done.status));
    }
    serde_json::from_slice(&done.stdout).map_err(|error| format!("{program} printed no JSON: {error}"))
}
