//! The binary, for steps that run it: optimised, and named by an environment variable to the programs that they start.

use std::path::PathBuf;

use crate::run::Result;
use crate::workspace::{CLI, Workspace};

/// Where tests and benchmarks look for the binary.
pub(crate) const TSDB_BIN: &str = "TSDB_BIN";

/// Builds the binary and says where it is.
pub(crate) fn tsdb(workspace: &Workspace) -> Result<PathBuf> {
    workspace.cargo().args(["build", "--release", "-p", CLI, "--bin", "tsdb"]).run()?;
    Ok(workspace.target.join("release").join(format!("tsdb{}", std::env::consts::EXE_SUFFIX)))
}
