//! The benchmarks: the programs `bench-NAME` of `benches/`, and a brief run of everything to see that it works.

use std::path::{Path, absolute};

use crate::binary::{self, TSDB_BIN};
use crate::interop;
use crate::peers;
use crate::run::{Cmd, Failure, Result};
use crate::workspace::{BENCHES, Workspace};

/// What the names of the programs begin with.
const PREFIX: &str = "bench-";
/// The programs that measure Python packages beside ours.
const WITH_PYTHON: &[&str] = &["bench-cold-file", "bench-parquet"];
/// The programs that run the binary.
const WITH_BINARY: &[&str] = &["bench-server"];
/// Where such a program looks for the Python that has them.
const PEERS_PYTHON: &str = "TSDB_PEERS_PYTHON";

/// Runs each program once with `--smoke`, and each criterion target with `--test`.
pub(crate) fn smoke(workspace: &Workspace) -> Result<()> {
    for program in programs(workspace)? {
        command(workspace, program)?.arg("--smoke").run()?;
    }
    workspace.cargo().args(["bench", "-p", BENCHES, "--benches", "--", "--test"]).run()
}

/// Runs the named programs, or all. With `json`, each appends its figures there, one JSON object a line. With `peers`,
/// each also measures those other stores that it knows how to.
pub(crate) fn run(workspace: &Workspace, names: &[String], json: Option<&Path>, peers: bool) -> Result<()> {
    let programs = programs(workspace)?;
    let chosen = choose(&programs, names)?;
    let peers = if peers { peers::arguments(workspace) } else { Vec::new() };
    let json = json.map(start_file).transpose()?;
    for program in chosen {
        let mut command = command(workspace, program)?.args(&peers);
        if let Some(file) = &json {
            command = command.arg("--json").arg(file);
        }
        if WITH_PYTHON.contains(&program) {
            match interop::environment(workspace) {
                Ok(python) => command = command.env(PEERS_PYTHON, python),
                Err(reason) => eprintln!("xtask: the Python packages are not measured: {reason}"),
            }
        }
        command.run()?;
    }
    Ok(())
}

/// Runs a program with the arguments that are added.
fn command(workspace: &Workspace, program: &str) -> Result<Cmd> {
    let command = workspace.cargo().args(["run", "--release", "-p", BENCHES, "--bin", program, "--"]);
    if WITH_BINARY.contains(&program) {
        return Ok(command.env(TSDB_BIN, binary::tsdb(workspace)?));
    }
    Ok(command)
}

/// An empty file, by a path that holds in the programs' working directory as well.
fn start_file(file: &Path) -> Result<std::path::PathBuf> {
    let started = std::fs::write(file, "").and_then(|()| absolute(file));
    started.map_err(|error| Failure::doing(format!("cannot write {}", file.display()), error))
}

fn programs(workspace: &Workspace) -> Result<Vec<&str>> {
    let benches = workspace.member(BENCHES)?;
    Ok(benches.targets_of("bin").filter(|name| name.starts_with(PREFIX)).collect())
}

fn choose<'a>(programs: &[&'a str], names: &[String]) -> Result<Vec<&'a str>> {
    if names.is_empty() {
        return Ok(programs.to_vec());
    }
    let find = |name: &String| {
        let found = programs.iter().find(|program| program.strip_prefix(PREFIX) == Some(name.as_str()));
        found.copied().ok_or_else(|| {
            let known: Vec<_> = programs.iter().filter_map(|program| program.strip_prefix(PREFIX)).collect();
            Failure::new(format!("no benchmark `{name}`; there are: {}", known.join(", ")))
        })
    };
    names.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_chosen_by_their_short_names() {
        let programs = ["bench-core", "bench-cold"];
        assert_eq!(choose(&programs, &[]).unwrap(), programs);
        assert_eq!(choose(&programs, &["cold".to_owned()]).unwrap(), ["bench-cold"]);
        let failure = choose(&programs, &["warm".to_owned()]).unwrap_err();
        assert_eq!(failure.to_string(), "no benchmark `warm`; there are: core, cold");
    }
}
