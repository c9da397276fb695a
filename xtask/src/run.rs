//! Running other programs: the command is shown, its output is left alone, its failure becomes a sentence.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Why a step failed, in one sentence for the last line of the output.
#[derive(Debug)]
pub(crate) struct Failure(String);

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// What was tried, and the error that came back.
    pub(crate) fn doing(what: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A command to run in the workspace root, without standard input.
pub(crate) struct Cmd {
    command: Command,
    shown: String,
}

impl Cmd {
    pub(crate) fn new(program: impl AsRef<OsStr>, root: &Path) -> Self {
        let shown = program.as_ref().to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.current_dir(root).stdin(Stdio::null());
        Self { command, shown }
    }

    /// The cargo that runs this program, so that a `cargo +toolchain xtask` stays with its toolchain.
    pub(crate) fn cargo(root: &Path) -> Self {
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut cargo = Self::new(program, root);
        "cargo".clone_into(&mut cargo.shown);
        cargo
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let text = arg.as_ref().to_string_lossy();
        self.shown.push(' ');
        if text.is_empty() || text.contains(char::is_whitespace) {
            self.shown.push_str(&format!("'{text}'"));
        } else {
            self.shown.push_str(&text);
        }
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Shows the command and runs it to its end.
    pub(crate) fn run(mut self) -> Result<()> {
        eprintln!("$ {}", self.shown);
        match self.command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::new(format!("`{}` ended with {status}", self.shown))),
            Err(error) => Err(Failure::doing(format!("cannot start `{}`", self.shown), error)),
        }
    }

    /// Runs the command silently and returns its standard output, however it ends.
    pub(crate) fn read_whatever_comes(mut self) -> Result<String> {
        let output = self.command.output();
        let output =
            output.map_err(|error| Failure::doing(format!("cannot start `{}`", self.shown), error))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the command silently and returns its standard output.
    pub(crate) fn read(mut self) -> Result<String> {
        let output = self
            .command
            .output()
            .map_err(|error| Failure::doing(format!("cannot start `{}`", self.shown), error))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!("`{}` ended with {}\n{stderr}", self.shown, output.status)));
        }
        String::from_utf8(output.stdout)
            .map_err(|error| Failure::doing(format!("output of `{}`", self.shown), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named_with_its_status() {
        let failure = Cmd::new("false", Path::new(".")).arg("two words").run().unwrap_err();
        assert_eq!(failure.to_string(), "`false 'two words'` ended with exit status: 1");
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = Cmd::new("no-such-program", Path::new(".")).run().unwrap_err();
        assert!(failure.to_string().starts_with("cannot start `no-such-program`"), "{failure}");
    }
}
