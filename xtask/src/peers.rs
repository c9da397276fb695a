//! Programs of other stores, for the benchmarks to compare with and for the tests to drive. None is needed: one that cannot be had
//! is left out with a sentence.
//!
//! Those of Debian's packages are fetched once and unpacked beside the build, without being installed and without root.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Cmd, Failure, Result};
use crate::workspace::Workspace;

/// A program of a package of Debian's.
#[derive(Clone, Copy)]
pub(crate) struct Packaged {
    /// Its file name, and the name by which benchmarks know it.
    pub(crate) name: &'static str,
    package: &'static str,
}

/// The server.
pub(crate) const PROMETHEUS: Packaged = Packaged { name: "prometheus", package: "prometheus" };
/// Prometheus' tool.
pub(crate) const PROMTOOL: Packaged = Packaged { name: "promtool", package: "prometheus" };
const VICTORIA_METRICS: Packaged = Packaged { name: "victoria-metrics", package: "victoria-metrics" };

/// Arguments for the benchmark programs: `--peer NAME=PROGRAM` for each peer that is there.
pub(crate) fn arguments(workspace: &Workspace) -> Vec<String> {
    let packaged = [PROMTOOL, PROMETHEUS, VICTORIA_METRICS].map(|peer| (peer.name, peer.program(workspace)));
    let mut arguments = Vec::new();
    for (name, found) in packaged.into_iter().chain([("tsink", tsink(workspace))]) {
        match found {
            Ok(program) => arguments.extend(["--peer".to_owned(), format!("{name}={}", program.display())]),
            Err(failure) => eprintln!("bench: {name} is left out: {failure}"),
        }
    }
    arguments
}

impl Packaged {
    /// Where the program is, after it was fetched if it was not there.
    pub(crate) fn program(self, workspace: &Workspace) -> Result<PathBuf> {
        let dir = workspace.target.join("peers").join(self.package);
        let program = dir.join("usr/bin").join(self.name);
        if !program.is_file() {
            fs::create_dir_all(&dir)
                .map_err(|error| Failure::doing(format!("cannot make {}", dir.display()), error))?;
            self.fetch(&dir)?;
        }
        let missing =
            || Failure::new(format!("Debian's package {} has no usr/bin/{}", self.package, self.name));
        if program.is_file() { Ok(program) } else { Err(missing()) }
    }

    fn fetch(self, dir: &Path) -> Result<()> {
        // Without a network it ends soon: who waits here waits for nothing.
        let apt_get = || {
            let quickly = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=20"];
            Cmd::new("apt-get", dir).arg("-q").args(quickly)
        };
        let download = || apt_get().args(["download", self.package]).run();
        if download().is_err() {
            // The list of packages may be missing, or older than the archive. Without root it cannot be brought up to date; what
            // counts is whether the package can be had then.
            if let Err(failure) = apt_get().arg("update").run() {
                eprintln!("xtask: {failure}");
            }
            download()?;
        }
        Cmd::new("dpkg-deb", dir).arg("-x").arg(find_package(dir)?).arg(".").run()
    }
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
