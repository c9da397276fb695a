//! The Rust tests: each crate alone, all of them together, and the documentation's examples.
//!
//! Alone matters because cargo builds a crate's dependencies with the union of the features that the selected
//! packages ask for: in a build of the whole workspace a missing feature of one crate is lent by another.

use crate::run::{Cmd, Result};
use crate::workspace::{Package, Workspace};

pub(crate) fn alone_and_together(workspace: &Workspace) -> Result<()> {
    let runner = Runner::installed(workspace);
    for member in &workspace.members {
        one(workspace, &runner, member)?;
    }
    runner.command(workspace).args(["--workspace", "--tests"]).run()
}

/// Each of the named crates alone.
pub(crate) fn alone(workspace: &Workspace, names: &[String]) -> Result<()> {
    let runner = Runner::installed(workspace);
    names.iter().try_for_each(|name| one(workspace, &runner, workspace.member(name)?))
}

pub(crate) fn doctests(workspace: &Workspace) -> Result<()> {
    workspace.cargo().args(["test", "--workspace", "--doc"]).run()
}

/// Cases of a soak: ten times those of the test.
pub(crate) const SOAK_CASES: u32 = 10_000;
/// Seconds that the process of a soak lives: ten minutes.
pub(crate) const SOAK_SECONDS: u32 = 600;

/// For longer than the tests take: the state machine over the whole engine and the histories that are laid out in every way, with
/// more cases; then a process under everything at once, whose memory must stay flat. These are the modules `model`,
/// `hybrid_query` and `soak` of the workspace's tests. 0 leaves one of the two out.
pub(crate) fn soak(workspace: &Workspace, cases: u32, seconds: u32) -> Result<()> {
    let modules = |modules: &[&str]| {
        let cargo = workspace.cargo().args(["test", "--release", "-p", "tsdb-tests", "--test", "it", "--"]);
        cargo.args(modules).arg("--nocapture")
    };
    if cases > 0 {
        modules(&["model::", "hybrid_query::"]).env("TSDB_MODEL_CASES", cases.to_string()).run()?;
    }
    if seconds > 0 {
        modules(&["soak::"]).env("TSDB_SOAK_SECONDS", seconds.to_string()).run()?;
    }
    Ok(())
}

/// The tests of one crate, then its examples, which are programs with assertions.
fn one(workspace: &Workspace, runner: &Runner, package: &Package) -> Result<()> {
    runner.command(workspace).args(["-p", &package.name, "--tests"]).run()?;
    package.targets_of("example").try_for_each(|example| {
        workspace.cargo().args(["run", "--quiet", "-p", &package.name, "--example", example]).run()
    })
}

/// nextest where it is installed, for it runs the tests of all binaries side by side; otherwise cargo's own runner.
enum Runner {
    Nextest,
    Cargo,
}

impl Runner {
    fn installed(workspace: &Workspace) -> Self {
        match workspace.cargo().args(["nextest", "--version"]).read() {
            Ok(_version) => Self::Nextest,
            Err(_missing) => {
                eprintln!("xtask: cargo-nextest is not installed; using `cargo test`");
                Self::Cargo
            }
        }
    }

    fn command(&self, workspace: &Workspace) -> Cmd {
        match self {
            Self::Nextest => {
                workspace.cargo().args(["nextest", "run", "--no-tests", "pass", "--no-fail-fast"])
            }
            Self::Cargo => workspace.cargo().args(["test", "--no-fail-fast"]),
        }
    }
}
