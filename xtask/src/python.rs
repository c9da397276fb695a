//! The Python tests: the real binary writes a store, other tools read its files.
//!
//! `interop` is the matrix of tools, layouts and types; `e2e` the roadmap's scenarios. The documentation's commands and
//! some benchmarks use the same Python. The virtual environment lives under the target directory and is made once for each content of
//! `tests/interop/requirements.txt` and each Python. It is the one step that needs PyPI.

use std::fs;
use std::path::{Path, PathBuf};

use crate::binary::{self, TSDB_BIN};
use crate::run::{Cmd, Failure, Result};
use crate::workspace::{TESTS, Workspace};

/// The tests of interoperability, relative to the root.
const INTEROP: &str = "tests/interop";
/// The roadmap's scenarios, relative to the root.
const SCENARIOS: &str = "tests/e2e_parquet_suite.py";
/// The environment variable that says how many series the first scenario has.
const SCENARIO_SERIES: &str = "TSDB_E2E_SERIES";
/// As many as the roadmap names.
const SERIES_FULL: u32 = 1_000_000;
/// The program that writes files in layouts that the binary has no setting for.
const LAYOUTS: &str = "cold-layouts";
/// The oldest Python (3.N) that the pinned packages support.
const PYTHON_MINOR_MIN: u32 = 11;

/// Runs the tests of interoperability with `pytest_args` handed on.
pub(crate) fn interop(workspace: &Workspace, pytest_args: &[String]) -> Result<()> {
    let tests = pytest(workspace, INTEROP)?;
    workspace.cargo().args(["build", "--release", "-p", TESTS, "--example", LAYOUTS]).run()?;
    let layouts = format!("release/examples/{LAYOUTS}{}", std::env::consts::EXE_SUFFIX);
    tests.args(pytest_args).env("TSDB_LAYOUTS", workspace.target.join(layouts)).run()
}

/// Runs the roadmap's scenarios with `pytest_args` handed on; `full` is their full size.
pub(crate) fn e2e(workspace: &Workspace, full: bool, pytest_args: &[String]) -> Result<()> {
    // What the scenarios share with the other tests lies there.
    let shared = format!("pythonpath={INTEROP}");
    let mut tests = pytest(workspace, SCENARIOS)?.args(["-o", &shared]).args(pytest_args);
    if full {
        tests = tests.env(SCENARIO_SERIES, SERIES_FULL.to_string());
    }
    tests.run()
}

/// Pytest over `suite`, with the binary built.
fn pytest(workspace: &Workspace, suite: &str) -> Result<Cmd> {
    let python = environment(workspace)?;
    let binary = binary::tsdb(workspace)?;
    Ok(Cmd::new(&python, &workspace.root)
        .args(["-m", "pytest", "-p", "no:cacheprovider", suite])
        .env(TSDB_BIN, binary)
        .env("PYTHONDONTWRITEBYTECODE", "1"))
}

/// The Python of an environment that holds the pinned packages, made if there is none or another one.
pub(crate) fn environment(workspace: &Workspace) -> Result<PathBuf> {
    let version = host_python(workspace)?;
    let requirements = workspace.root.join(INTEROP).join("requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .map(|pins| format!("{version}\n{pins}"))
        .map_err(|error| Failure::doing(format!("reading {}", requirements.display()), error))?;

    let dir = workspace.target.join("interop-venv");
    let python = dir.join("bin").join("python");
    // Written last: its presence says that the installation came to its end.
    let stamp = dir.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    make(workspace, &dir)?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    Cmd::new(&python, &workspace.root).args(install).arg(&requirements).run().map_err(|error| {
        Failure::doing("installing the Python packages (this needs PyPI or a mirror)", error)
    })?;
    fs::write(&stamp, wanted)
        .map_err(|error| Failure::doing(format!("writing {}", stamp.display()), error))?;
    Ok(python)
}

fn make(workspace: &Workspace, dir: &Path) -> Result<()> {
    let venv = Cmd::new("python3", &workspace.root).args(["-m", "venv", "--clear"]).arg(dir);
    venv.run().map_err(|error| {
        Failure::doing("cannot make a virtual environment (on Debian: apt install python3-venv)", error)
    })
}

/// The version of the machine's `python3`, if it is recent enough.
fn host_python(workspace: &Workspace) -> Result<String> {
    let needed = format!("the Python tests need Python 3.{PYTHON_MINOR_MIN} or newer as `python3`");
    let version = Cmd::new("python3", &workspace.root)
        .args(["-c", "import platform; print(platform.python_version())"])
        .read()
        .map_err(|error| Failure::doing(&needed, error))?;
    let version = version.trim().to_owned();
    if is_recent_enough(&version) {
        Ok(version)
    } else {
        Err(Failure::new(format!("{needed}, and it is {version}")))
    }
}

fn is_recent_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    parts.next() == Some(3) && parts.next().is_some_and(|minor| minor >= PYTHON_MINOR_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_recent_enough("3.11.7"));
        assert!(is_recent_enough("3.100"));
        assert!(!is_recent_enough("3.9.18"));
        assert!(!is_recent_enough("2.7.18"));
        assert!(!is_recent_enough(""));
    }
}
