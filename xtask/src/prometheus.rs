//! The tests with a real Prometheus: it writes to the binary's server, and reads what then lies in Parquet only.
//!
//! The step needs Prometheus' program and `promtool`, of Debian's package, and says so and passes where they cannot be had.

use crate::binary::{self, TSDB_BIN};
use crate::peers::{PROMETHEUS, PROMTOOL};
use crate::run::Result;
use crate::workspace::{TESTS, Workspace};

/// The test target.
const TEST: &str = "prometheus";

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let found = PROMETHEUS.program(workspace).and_then(|server| Ok((server, PROMTOOL.program(workspace)?)));
    let (server, promtool) = match found {
        Ok(programs) => programs,
        Err(failure) => {
            eprintln!("xtask: prometheus: skipped: {failure}");
            return Ok(());
        }
    };
    let tsdb = binary::tsdb(workspace)?;
    workspace
        .cargo()
        .args(["test", "-p", TESTS, "--test", TEST, "--", "--nocapture"])
        .env(TSDB_BIN, tsdb)
        .env("TSDB_PROMETHEUS", server)
        .env("TSDB_PROMTOOL", promtool)
        .run()
}
