//! One shell that takes the steps of a document one after the other, as its reader does.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::blocks::{Block, Kind};
use super::compare::is_as_shown;
use crate::run::{Cmd, Failure, Result};
use crate::workspace::Workspace;

/// The server's usual port, in addresses of this machine.
const PORT: &str = "9201";
const HOSTS: [&str; 2] = ["127.0.0.1", "localhost"];
/// Ends a snippet that is handed to another program.
const HERE: &str = "TSDB_END_OF_SNIPPET";

/// A command or a snippet, with what it must print.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    line: usize,
    command: String,
    /// `None`: whatever it likes.
    shown: Option<String>,
}

impl Step {
    /// The steps of a block: each command of a console, the whole of a snippet.
    pub(super) fn of(block: &Block) -> Vec<Self> {
        let Block { line, kind, text, output, .. } = block;
        let snippet = |program: &str| {
            let command = format!("{program} <<'{HERE}'\n{text}{HERE}\n");
            vec![Self { line: *line, command, shown: output.clone() }]
        };
        match kind {
            Kind::Console => Self::of_console(*line, text),
            Kind::Shell => {
                vec![Self { line: *line, command: format!("set -e\n{text}set +e\n"), shown: output.clone() }]
            }
            Kind::Python => snippet("python -"),
            Kind::Sql => snippet("duckdb"),
            Kind::Rust | Kind::Output | Kind::Data => Vec::new(),
        }
    }

    fn of_console(line: usize, text: &str) -> Vec<Self> {
        let mut steps: Vec<Self> = Vec::new();
        for (index, text) in text.lines().enumerate() {
            if let Some(command) = text.strip_prefix("$ ") {
                let command = format!("{command}\n");
                steps.push(Self { line: line + 1 + index, command, shown: Some(String::new()) });
                continue;
            }
            let Some(step) = steps.last_mut() else { continue };
            match text.strip_prefix("> ") {
                Some(more) => step.command.push_str(&format!("{more}\n")),
                None => step.shown.get_or_insert_default().push_str(&format!("{text}\n")),
            }
        }
        steps
    }

    fn must_fail(&self) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.lines().any(|line| line.starts_with("error:")))
    }

    /// What is wrong with how the step has ended.
    fn verdict(&self, printed: &str, status: Option<i32>) -> Option<String> {
        let shown = self.shown.as_deref().unwrap_or("...");
        let what = match status {
            None => "it ended the shell",
            Some(0) if self.must_fail() => "it must fail, and it did not",
            Some(0) | Some(_) if !is_as_shown(shown, printed) && self.shown.is_some() => {
                "it prints something else"
            }
            Some(0) => return None,
            Some(_) if self.must_fail() => return None,
            Some(_) => "it failed",
        };
        let Self { line, command, .. } = self;
        Some(format!("{line}: {what}\n--- command\n{command}--- shown\n{shown}\n--- printed\n{printed}"))
    }
}

/// How documents are run.
pub(super) struct Session {
    root: PathBuf,
    /// The directories of the documents' shells.
    dir: PathBuf,
    path: OsString,
}

impl Session {
    /// A session with the binary and the environment's programs before all others on the path.
    pub(super) fn new(workspace: &Workspace, binary: &Path, python: &Path) -> Result<Self> {
        let ours = [binary, python].map(|program| program.parent().unwrap_or(Path::new("")).to_owned());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(ours.into_iter().chain(std::env::split_paths(&path)))
            .map_err(|error| Failure::doing("the path of the documents' shell", error))?;
        Ok(Self { root: workspace.root.clone(), dir: workspace.target.join("docs"), path })
    }

    /// Takes the steps, in an empty directory called `name`. Gives what is wrong: `line: what`.
    pub(super) fn run(&self, name: &Path, steps: &[Step]) -> Result<Vec<String>> {
        let dir = self.dir.join(name);
        let failed = |error| Failure::doing(format!("making {}", dir.display()), error);
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(failed)?;
        }
        fs::create_dir_all(&dir).map_err(failed)?;
        let port = free_port()?;
        let marks = Marks::new();
        let script = self.dir.join(name).with_extension("sh");
        fs::write(&script, with_port(&marks.script(steps), PORT, &port)).map_err(failed)?;
        let shell = Cmd::new("bash", &dir).arg(&script).env("PATH", &self.path);
        let shell = shell.env("TSDB_REPOSITORY", &self.root).env("PYTHONDONTWRITEBYTECODE", "1");
        let printed = with_port(&shell.read_whatever_comes()?, &port, PORT);
        fs::remove_dir_all(&dir).map_err(failed)?;
        let verdict = |(number, step): (usize, &Step)| {
            let (printed, status) = marks.of(number, &printed);
            step.verdict(printed, status)
        };
        // After a step that ended the shell nothing was tried.
        let ended = (0..steps.len()).find(|number| marks.of(*number, &printed).1.is_none());
        Ok(steps.iter().enumerate().take(ended.map_or(steps.len(), |n| n + 1)).filter_map(verdict).collect())
    }
}

/// Addresses of this machine at one port, moved to another.
fn with_port(text: &str, from: &str, to: &str) -> String {
    HOSTS
        .iter()
        .fold(text.to_owned(), |text, host| text.replace(&format!("{host}:{from}"), &format!("{host}:{to}")))
}

fn free_port() -> Result<String> {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = address.map_err(|error| Failure::doing("looking for a free port", error))?;
    Ok(address.port().to_string())
}

/// The lines that part the output of one step from that of the next.
struct Marks {
    word: String,
}

impl Marks {
    fn new() -> Self {
        Self { word: format!("tsdb-docs-{}", std::process::id()) }
    }

    fn script(&self, steps: &[Step]) -> String {
        let word = &self.word;
        let mut script =
            String::from("exec 2>&1\nset -o pipefail\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n");
        for (number, Step { command, .. }) in steps.iter().enumerate() {
            // Writing to a `String` cannot fail.
            let _ = write!(
                script,
                "printf '{word} {number} begins\\n'\n{command}printf '{word} {number} ended %s\\n' \"$?\"\n"
            );
        }
        script
    }

    /// What a step printed, and its exit code; none if it never ended.
    fn of<'a>(&self, number: usize, printed: &'a str) -> (&'a str, Option<i32>) {
        let word = &self.word;
        let begins = format!("{word} {number} begins\n");
        let rest = printed.split_once(&begins).map_or("", |(_, rest)| rest);
        match rest.split_once(&format!("{word} {number} ended ")) {
            Some((own, rest)) => (own, rest.lines().next().and_then(|code| code.parse().ok())),
            None => (rest, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(line: usize, command: &str, shown: &str) -> Step {
        Step { line, command: command.to_owned(), shown: Some(shown.to_owned()) }
    }

    #[test]
    fn a_console_is_commands_each_with_its_output() {
        let text = "$ one\na\nb\n$ two \\\n> more\n$ three\n";
        let expected = [step(8, "one\n", "a\nb\n"), step(11, "two \\\nmore\n", ""), step(13, "three\n", "")];
        assert_eq!(Step::of_console(7, text), expected);
    }

    #[test]
    fn a_step_is_judged_by_its_output_and_its_exit_code() {
        let fails = step(1, "x\n", "error: no\n");
        for (step, printed, status, good) in [
            (&step(1, "x\n", "a\n"), "a\n", Some(0), true),
            (&step(1, "x\n", "a\n"), "b\n", Some(0), false),
            (&step(1, "x\n", "a\n"), "a\n", Some(1), false),
            (&step(1, "x\n", "a\n"), "a\n", None, false),
            (&fails, "error: no\n", Some(1), true),
            (&fails, "error: no\n", Some(0), false),
            (&fails, "error: yes\n", Some(1), false),
            (&Step { shown: None, ..step(1, "x\n", "") }, "whatever\n", Some(0), true),
            (&Step { shown: None, ..step(1, "x\n", "") }, "whatever\n", Some(1), false),
        ] {
            assert_eq!(step.verdict(printed, status).is_none(), good, "{step:?} {printed:?} {status:?}");
        }
    }

    #[test]
    fn what_steps_print_is_told_apart() {
        let marks = Marks { word: "mark".to_owned() };
        let printed =
            "mark 0 begins\na\nmark 0 ended 0\nmark 1 begins\nno newlinemark 1 ended 3\nmark 2 begins\ngone";
        assert_eq!(marks.of(0, printed), ("a\n", Some(0)));
        assert_eq!(marks.of(1, printed), ("no newline", Some(3)));
        assert_eq!(marks.of(2, printed), ("gone", None));
        assert_eq!(marks.of(3, printed), ("", None));
    }

    #[test]
    fn the_servers_port_is_replaced_in_addresses_only() {
        assert_eq!(
            with_port("localhost:9201 127.0.0.1:9201 9201", "9201", "5"),
            "localhost:5 127.0.0.1:5 9201"
        );
    }
}
