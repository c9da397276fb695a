//! The README's first command, in a data directory of its own.

use std::fs;
use std::path::Path;

use crate::run::{Failure, Result};
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let data_dir = workspace.target.join("xtask-demo");
    remove_dir_if_present(&data_dir)?;
    workspace.cargo().args(["run", "--release", "--", "demo", "--data-dir"]).arg(&data_dir).run()?;
    remove_dir_if_present(&data_dir)
}

fn remove_dir_if_present(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::doing(format!("removing {}", dir.display()), error))
        }
        _ => Ok(()),
    }
}
