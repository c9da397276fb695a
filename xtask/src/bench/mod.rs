//! The benchmarks: the programs `bench-NAME` of `benches/`, a brief run of everything to see that it works, and the page
//! of figures that a run of all of them writes.

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

/// What the names of the programs begin with.
const PREFIX: &str = "bench-";
/// The programs that measure Python packages beside ours.
const WITH_PYTHON: &[&str] = &["bench-cold-file", "bench-parquet", "bench-query"];
/// The programs that run the binary.
const WITH_BINARY: &[&str] = &["bench-query", "bench-server"];
/// The page of figures; the directory of what it is made from; that directory as the page names it; the figures in it.
const PAGE: &str = "docs/benchmarks.md";
const PAGE_DIR: &str = "docs/benchmarks";
const PLOTS: &str = "benchmarks";
const FIGURES: &str = "figures.jsonl";
/// Where such a program looks for the Python that has them.
const PEERS_PYTHON: &str = "TSDB_PEERS_PYTHON";

/// Runs each program once with `--smoke`, and each criterion target with `--test`.
pub(crate) fn smoke(workspace: &Workspace) -> Result<()> {
    for program in programs(workspace)? {
        command(workspace, program)?.arg("--smoke").run()?;
    }
    workspace.cargo().args(["bench", "-p", BENCHES, "--benches", "--", "--test"]).run()
}

/// What to run, and where the figures go.
pub(crate) struct Plan<'a> {
    /// The programs by their short names; none is all of them.
    pub(crate) names: &'a [String],
    /// A file for the figures, one JSON object a line.
    pub(crate) json: Option<&'a Path>,
    /// Whether those other stores are measured as well that a program knows how to.
    pub(crate) peers: bool,
    /// Whether the documentation's figures are replaced by these.
    pub(crate) write: bool,
}

/// Runs the programs.
pub(crate) fn run(workspace: &Workspace, plan: &Plan<'_>) -> Result<()> {
    let programs = programs(workspace)?;
    let chosen = choose(&programs, plan.names)?;
    let peers = if plan.peers { peers::arguments(workspace) } else { Vec::new() };
    let json = plan.json.map(start_file).transpose()?;
    for program in chosen {
        let own = start_file(&workspace.target.join(format!("{program}.jsonl")))?;
        let mut command = command(workspace, program)?.args(&peers).arg("--json").arg(&own);
        if WITH_PYTHON.contains(&program) {
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
            keep(workspace, program.trim_start_matches(PREFIX), &lines)?;
        }
    }
    Ok(())
}

/// Replaces a program's figures in the documentation, and what is drawn and written from all of them.
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
    let started = fs::write(file, "").and_then(|()| absolute(file));
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
