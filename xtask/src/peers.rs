//! Other stores for the benchmarks to compare with. None is needed: one that cannot be had is left out with a sentence.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Cmd, Failure, Result};
use crate::workspace::Workspace;

/// Arguments for the benchmark programs: `--peer NAME=PROGRAM` for each peer that is there.
pub(crate) fn arguments(workspace: &Workspace) -> Vec<String> {
    let mut arguments = Vec::new();
    for (name, found) in [("promtool", promtool(workspace)), ("tsink", tsink(workspace))] {
        match found {
            Ok(program) => arguments.extend(["--peer".to_owned(), format!("{name}={}", program.display())]),
            Err(failure) => eprintln!("bench: {name} is left out: {failure}"),
        }
    }
    arguments
}

/// Prometheus' tool, from Debian's package: fetched once and unpacked beside the build, without being installed.
fn promtool(workspace: &Workspace) -> Result<PathBuf> {
    const PACKAGE: &str = "prometheus";
    let dir = workspace.target.join("peers").join(PACKAGE);
    let program = dir.join("usr/bin/promtool");
    if program.is_file() {
        return Ok(program);
    }
    fs::create_dir_all(&dir)
        .map_err(|error| Failure::doing(format!("cannot make {}", dir.display()), error))?;
    Cmd::new("apt-get", &dir).args(["-q", "download", PACKAGE]).run()?;
    let package = find_package(&dir)?;
    Cmd::new("dpkg-deb", &dir).arg("-x").arg(package).arg(".").run()?;
    if program.is_file() { Ok(program) } else { Err(Failure::new("the package has no usr/bin/promtool")) }
}

fn find_package(dir: &Path) -> Result<PathBuf> {
    let failed = |error| Failure::doing(format!("reading {}", dir.display()), error);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            return Ok(path);
        }
    }
    Err(Failure::new(format!("no package in {}", dir.display())))
}

/// The program around the `tsink` crate, built outside the workspace.
fn tsink(workspace: &Workspace) -> Result<PathBuf> {
    workspace
        .cargo()
        .args(["build", "--release", "--manifest-path", "benches/peers/Cargo.toml", "--target-dir"])
        .arg(&workspace.target)
        .run()?;
    Ok(workspace.target.join("release/peer-tsink"))
}
