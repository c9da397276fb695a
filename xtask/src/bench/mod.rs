//! The benchmarks: those of the program of `benches/`, a brief run of everything to see that it works, and the page of figures
//! that a run of all of them writes.

mod figures;
mod page;
mod plot;

use std::fs;
use std::path::{Path, absolute};

use figures::{Figures, Run};

use crate::binary::{self, TSDB_BIN};
use crate::peers;
use crate::python;
use crate::run::{Cmd, Failure, Result};
use crate::workspace::{BENCHES, Workspace};

/// The program.
const PROGRAM: &str = "bench";
/// The benchmarks, as the program knows them.
const NAMES: &[&str] = &["cold-file", "core", "hot", "lifecycle", "parquet", "query", "server"];
/// Those that measure Python packages beside ours.
const WITH_PYTHON: &[&str] = &["cold-file", "parquet", "query"];
/// Those that run the binary.
const WITH_BINARY: &[&str] = &["query", "server"];
/// The page of figures; the directory of what it is made from; that directory as the page names it; the figures in it.
const PAGE: &str = "docs/benchmarks.md";
const PAGE_DIR: &str = "docs/benchmarks";
const PLOTS: &str = "benchmarks";
const FIGURES: &str = "figures.jsonl";
/// Where such a benchmark looks for the Python that has them.
const PEERS_PYTHON: &str = "TSDB_PEERS_PYTHON";

/// Runs each benchmark once with `--smoke`, and each criterion target with `--test`.
pub(crate) fn smoke(workspace: &Workspace) -> Result<()> {
    for name in NAMES {
        command(workspace, name)?.arg("--smoke").run()?;
    }
    workspace.cargo().args(["bench", "-p", BENCHES, "--benches", "--", "--test"]).run()
}

/// What to run, and where the figures go.
pub(crate) struct Plan<'a> {
    /// The benchmarks; none is all of them.
    pub(crate) names: &'a [String],
    /// A file for the figures, one JSON object a line.
    pub(crate) json: Option<&'a Path>,
    /// Whether those other stores are measured as well that a program knows how to.
    pub(crate) peers: bool,
    /// Whether the documentation's figures are replaced by these.
    pub(crate) write: bool,
}

/// Runs the benchmarks.
pub(crate) fn run(workspace: &Workspace, plan: &Plan<'_>) -> Result<()> {
    let chosen = choose(NAMES, plan.names)?;
    let peers = if plan.peers { peers::arguments(workspace) } else { Vec::new() };
    let json = plan.json.map(start_file).transpose()?;
    for name in chosen {
        let own = start_file(&workspace.target.join(format!("bench-{name}.jsonl")))?;
        let mut command = command(workspace, name)?.args(&peers).arg("--json").arg(&own);
        if WITH_PYTHON.contains(&name) {
            match python::environment(workspace) {
                Ok(program) => command = command.env(PEERS_PYTHON, program),
                Err(reason) => eprintln!("xtask: the Python packages are not measured: {reason}"),
            }
        }
        command.run()?;
        let lines = read(&own)?;
        if let Some(file) = &json {
            write(file, &format!("{}{lines}", read(file)?))?;
        }
        if plan.write {
            keep(workspace, name, &lines)?;
        }
    }
    Ok(())
}

/// Replaces a benchmark's figures in the documentation, and what is drawn and written from all of them.
fn keep(workspace: &Workspace, bench: &str, lines: &str) -> Result<()> {
    let dir = workspace.root.join(PAGE_DIR);
    fs::create_dir_all(&dir).map_err(|error| Failure::doing(format!("making {PAGE_DIR}"), error))?;
    let file = dir.join(FIGURES);
    let mut kept = Figures::read(&file)?;
    let run = Run {
        bench: bench.to_owned(),
        machine: figures::machine(),
        sources: figures::sources(&workspace.root),
    };
    let failed = |error| Failure::doing(format!("the figures of {bench}"), error);
    kept.replace(run, lines).map_err(failed)?;
    write(&file, &kept.to_lines().map_err(failed)?)?;
    for (name, svg) in page::plots(&kept) {
        write(&dir.join(name), &svg)?;
    }
    let file = workspace.root.join(PAGE);
    write(&file, &page::update(&read(&file)?, &kept, PLOTS)?)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|error| Failure::doing(format!("reading {}", file.display()), error))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).map_err(|error| Failure::doing(format!("writing {}", file.display()), error))
}

/// Runs a benchmark with the arguments that are added.
fn command(workspace: &Workspace, name: &str) -> Result<Cmd> {
    let command = workspace.cargo().args(["run", "--release", "-p", BENCHES, "--bin", PROGRAM, "--", name]);
    if WITH_BINARY.contains(&name) {
        return Ok(command.env(TSDB_BIN, binary::tsdb(workspace)?));
    }
    Ok(command)
}

/// An empty file, by a path that holds in the programs' working directory as well.
fn start_file(file: &Path) -> Result<std::path::PathBuf> {
    let started = fs::write(file, "").and_then(|()| absolute(file));
    started.map_err(|error| Failure::doing(format!("cannot write {}", file.display()), error))
}

fn choose<'a>(known: &[&'a str], names: &[String]) -> Result<Vec<&'a str>> {
    if names.is_empty() {
        return Ok(known.to_vec());
    }
    let find = |name: &String| {
        let found = known.iter().find(|known| *known == name);
        found
            .copied()
            .ok_or_else(|| Failure::new(format!("no benchmark `{name}`; there are: {}", known.join(", "))))
    };
    names.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarks_are_chosen_by_name() {
        let known = ["core", "cold"];
        assert_eq!(choose(&known, &[]).unwrap(), known);
        assert_eq!(choose(&known, &["cold".to_owned()]).unwrap(), ["cold"]);
        let failure = choose(&known, &["warm".to_owned()]).unwrap_err();
        assert_eq!(failure.to_string(), "no benchmark `warm`; there are: core, cold");
    }
}
