//! `tsdb completions`: what a shell needs to complete commands, options and the values of options.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::error::Result;

pub(crate) fn run(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tsdb", &mut script);
    Ok(io::stdout().write_all(&script)?)
}
