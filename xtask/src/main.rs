//! The pipeline of the workspace as one small program: `cargo xtask --help`.
//!
//! Every check that a change must pass is a subcommand here, so that a laptop and a CI machine run the same thing.
//! One module a step; [`ci`] only puts them in order. Steps shell out to cargo and to Python, with their output
//! untouched. Nothing here is published, and no crate of the workspace depends on it.

#![forbid(unsafe_code)]

mod bench;
mod binary;
mod ci;
mod consumer;
mod demo;
mod docs;
mod layers;
mod licences;
mod lint;
mod package;
mod peers;
mod prometheus;
mod python;
mod run;
mod test;
mod tidy;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use ci::Step;
use run::Result;
use workspace::Workspace;

/// The pipeline of the workspace. `cargo xtask ci` is what a change must pass; every part of it also runs alone.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_version_flag = true)]
#[command(after_help = "Examples:
  cargo xtask ci                      everything
  cargo xtask ci --from test          the steps from `test` on, after mending a failure
  cargo xtask test tsdb-core          one crate's tests, built with that crate's own features
  cargo xtask interop -- -k duckdb    only the Python tests whose name contains `duckdb`
  cargo xtask bench core --json out.jsonl
  cargo xtask bench hot --peers       with Prometheus' storage and tsink beside")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every step below, in an order that shares builds, and stop at the first failure
    Ci {
        /// Begin with this step
        #[arg(long, value_enum, value_name = "STEP")]
        from: Option<Step>,
    },
    /// Check the formatting (`cargo fmt` mends it)
    Fmt,
    /// Check the prose and the sources: module docs, links, whitespace, file length, machine paths, decision numbers, versions
    Tidy,
    /// Check that dependencies follow the drawn layers
    Layers,
    /// Check that every dependency that is shipped has a known licence, and that docs/licences.md lists it
    Licences {
        /// Write the list
        #[arg(long)]
        write: bool,
    },
    /// Run clippy on all targets, warnings denied
    Clippy,
    /// Build the documentation, warnings denied
    Doc,
    /// Run each crate's tests and examples alone, then all tests together
    Test {
        /// Only these crates, each alone
        #[arg(value_name = "CRATE")]
        crates: Vec<String>,
    },
    /// Run the documentation's examples
    Doctest,
    /// Build and run examples/alone.rs of each library crate outside the workspace
    Consumer {
        /// Only these crates
        #[arg(value_name = "CRATE")]
        crates: Vec<String>,
    },
    /// Pack each crate as it would be published
    Package,
    /// Run `tsdb demo` in a fresh data directory
    Demo,
    /// Read the files of a real store with DataFusion, DuckDB, pyarrow, pandas and Polars, and theirs with ours
    Interop {
        /// Handed to pytest
        #[arg(last = true, value_name = "PYTEST_ARGS")]
        pytest: Vec<String>,
    },
    /// Have a real Prometheus write to the server and read what then lies in Parquet; skipped where it cannot be had
    Prometheus,
    /// Run the roadmap's scenarios with the real binary: a million series, and other tools on its files
    E2e {
        /// A million series, as the roadmap says, and not fewer
        #[arg(long)]
        full: bool,
        /// Handed to pytest
        #[arg(last = true, value_name = "PYTEST_ARGS")]
        pytest: Vec<String>,
    },
    /// Run every command and snippet of README.md and docs/guide, and compare what they print
    Docs {
        /// Only these documents
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Run every benchmark briefly, to see that it works; the figures mean nothing
    BenchSmoke,
    /// For longer than the tests, optimised: the engine's state machine, then a process under everything at once
    ///
    /// The second prints what it did and fails when a sample is lost or memory grows.
    Soak {
        /// How many cases of the state machine; 0 leaves it out
        #[arg(long, value_name = "N", default_value_t = test::SOAK_CASES)]
        cases: u32,
        /// How long the process lives; 0 leaves it out, and from 120 on its memory is judged
        #[arg(long, value_name = "SECONDS", default_value_t = test::SOAK_SECONDS)]
        seconds: u32,
    },
    /// Run benchmarks of `benches/`: `core` is `bench core` of its program
    Bench {
        /// Which ones; all of them if none is named
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Also write one JSON object a line to this file
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Also measure other stores on the same data; fetches and builds them, and leaves out what cannot be had
        #[arg(long)]
        peers: bool,
        /// Replace the figures in docs/benchmarks.md by these; without a NAME that is always done
        #[arg(long)]
        write: bool,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match Workspace::load().and_then(|workspace| dispatch(&workspace, cli.task)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(workspace: &Workspace, task: Task) -> Result<()> {
    match task {
        Task::Ci { from } => ci::run(workspace, from),
        Task::Fmt => Step::Fmt.run(workspace),
        Task::Tidy => Step::Tidy.run(workspace),
        Task::Layers => Step::Layers.run(workspace),
        Task::Licences { write } => licences::run(workspace, write),
        Task::Clippy => Step::Clippy.run(workspace),
        Task::Doc => Step::Doc.run(workspace),
        Task::Test { crates } if crates.is_empty() => Step::Test.run(workspace),
        Task::Test { crates } => test::alone(workspace, &crates),
        Task::Doctest => Step::Doctest.run(workspace),
        Task::Consumer { crates } => consumer::run(workspace, &crates),
        Task::Package => Step::Package.run(workspace),
        Task::Demo => Step::Demo.run(workspace),
        Task::Prometheus => Step::Prometheus.run(workspace),
        Task::Interop { pytest } => python::interop(workspace, &pytest),
        Task::E2e { full, pytest } => python::e2e(workspace, full, &pytest),
        Task::Docs { files } => docs::run(workspace, &files),
        Task::BenchSmoke => Step::BenchSmoke.run(workspace),
        Task::Soak { cases, seconds } => test::soak(workspace, cases, seconds),
        Task::Bench { names, json, peers, write } => {
            let write = write || names.is_empty();
            bench::run(workspace, &bench::Plan { names: &names, json: json.as_deref(), peers, write })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
