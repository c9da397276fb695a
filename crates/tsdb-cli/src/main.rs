//! `tsdb`: metrics from files to queries, in one binary.
//!
//! This file is the way in: arguments, then one [`command`] module each, then the exit code. Nothing here
//! stores or decodes data; `tsdb-engine` does.
//!
//! Exit codes: 0 done, 1 failed, 2 usage.

#![forbid(unsafe_code)]

mod args;
mod clock;
mod command;
mod error;
mod logging;
mod new_file;
mod output;
mod parquet_files;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use args::{CatalogCommand, Cli, Command};
use error::Failure;

fn main() -> ExitCode {
    let Cli { data_dir, json, command } = Cli::parse();
    logging::start(&command);
    let store = command::Store { dir: data_dir, json };
    let done = match command {
        Command::Import(args) => command::import::run(&store, &args),
        Command::Query(args) => command::query::run(&store, &args),
        Command::Export(args) => command::export::run(&store, &args),
        Command::Series(args) => command::lookup::series(&store, &args),
        Command::LabelNames(args) => command::lookup::label_names(&store, &args),
        Command::LabelValues(args) => command::lookup::label_values(&store, &args),
        Command::Rewrite(args) => command::rewrite::run(&store, &args),
        Command::Verify(args) => command::verify::run(&store, &args),
        Command::Delete(args) => command::delete::run(&store, &args),
        Command::Compact => command::compact::run(&store),
        Command::Catalog { command: CatalogCommand::Rebuild } => command::catalog::rebuild(&store),
        Command::Flush => command::flush::run(&store),
        Command::Status => command::status::run(&store),
        Command::Inspect(args) => command::inspect::run(&store, &args),
        Command::Serve(args) => command::serve::run(&store, &args),
        Command::Demo(args) => command::demo::run(&store, &args),
        Command::Completions(args) => command::completions::run(args.shell),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe has seen enough: `tsdb query ... | head` is no failure.
        Err(Failure::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing can be done when not even the error can be written.
            let _ = writeln!(anstream::stderr(), "{}: {failure}", output::error_prefix());
            failure.exit_code()
        }
    }
}
