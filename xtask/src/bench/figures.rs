//! The figures that are kept: JSON lines as the benchmark programs write them, each program's after a line that says on
//! what machine and from which sources they came. A program that runs again replaces its own.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::run::{Cmd, Failure, Result};

/// One measured number.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Figure {
    pub(super) bench: String,
    pub(super) case: String,
    pub(super) figure: String,
    pub(super) unit: String,
    pub(super) value: f64,
    pub(super) baseline: Option<f64>,
    pub(super) baseline_name: Option<String>,
    pub(super) ratio: Option<f64>,
    #[serde(rename = "where")]
    pub(super) place: String,
}

/// Where the figures of a program came from.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Run {
    pub(super) bench: String,
    pub(super) machine: String,
    /// Abbreviated commit.
    pub(super) sources: String,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
enum Line {
    Figure(Figure),
    Run(Run),
}

/// The figures of some programs, each with where they came from, in the order of the programs' names.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Figures(pub(super) Vec<(Run, Vec<Figure>)>);

impl Figures {
    /// Reads the kept figures; none where there is no file yet.
    pub(super) fn read(file: &Path) -> Result<Self> {
        match fs::read_to_string(file) {
            Ok(text) => Self::parse(&text).map_err(|error| Failure::doing(file.display(), error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Failure::doing(format!("reading {}", file.display()), error)),
        }
    }

    fn parse(text: &str) -> serde_json::Result<Self> {
        let mut runs: Vec<(Run, Vec<Figure>)> = Vec::new();
        for line in text.lines() {
            match serde_json::from_str(line)? {
                Line::Run(run) => runs.push((run, Vec::new())),
                Line::Figure(figure) => {
                    if let Some((_, figures)) = runs.iter_mut().find(|(run, _)| run.bench == figure.bench) {
                        figures.push(figure);
                    }
                }
            }
        }
        Ok(Self(runs))
    }

    /// Puts the figures of one program's run in the place of its earlier ones.
    pub(super) fn replace(&mut self, run: Run, lines: &str) -> serde_json::Result<()> {
        let figures = lines.lines().map(serde_json::from_str).collect::<serde_json::Result<Vec<Figure>>>()?;
        self.0.retain(|(earlier, _)| earlier.bench != run.bench);
        self.0.push((run, figures));
        self.0.sort_by(|(a, _), (b, _)| a.bench.cmp(&b.bench));
        Ok(())
    }

    pub(super) fn to_lines(&self) -> serde_json::Result<String> {
        let mut text = String::new();
        for (run, figures) in &self.0 {
            text.push_str(&format!("{}\n", serde_json::to_string(run)?));
            for figure in figures {
                text.push_str(&format!("{}\n", serde_json::to_string(figure)?));
            }
        }
        Ok(text)
    }

    /// The figure of this name.
    pub(super) fn find(&self, bench: &str, case: &str, figure: &str) -> Option<&Figure> {
        let (_, figures) = self.0.iter().find(|(run, _)| run.bench == bench)?;
        figures.iter().find(|found| found.case == case && found.figure == figure)
    }
}

/// The machine in a line: processors, memory, kernel. What Linux does not say is left out.
pub(super) fn machine() -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_start().strip_prefix(':')?.trim().to_owned())
    };
    let mut parts = Vec::new();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let model = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown model".to_owned());
    parts.push(format!("{processors} processors ({model})"));
    let kibibytes = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    if let Some(kibibytes) = kibibytes.split(' ').next().and_then(|number| number.parse::<f64>().ok()) {
        parts.push(format!("{:.0} GiB", kibibytes / f64::from(1 << 20)));
    }
    let release = read("/proc/sys/kernel/osrelease");
    let version: Vec<&str> = release.trim().split('.').take(2).collect();
    if version.len() == 2 {
        parts.push(format!("Linux {}", version.join(".")));
    }
    parts.join(", ")
}

/// The commit of the sources, with a plus where they were changed since; `unknown` without git.
pub(super) fn sources(root: &Path) -> String {
    let git = |args: &[&str]| Cmd::new("git", root).args(args).read();
    let Ok(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else { return "unknown".to_owned() };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_ok_and(|list| !list.is_empty());
    format!("{}{}", commit.trim(), if changed { "+" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bench: &str, value: f64) -> String {
        format!(
            r#"{{"bench":"{bench}","case":"c","figure":"f","unit":"ms","value":{value},"baseline":null,"baseline_name":null,"ratio":null,"where":"w"}}"#
        )
    }

    fn run(bench: &str) -> Run {
        Run { bench: bench.into(), machine: "m".into(), sources: "s".into() }
    }

    #[test]
    fn a_program_that_runs_again_replaces_its_own_figures() {
        let mut figures = Figures::default();
        figures.replace(run("b"), &line("b", 1.0)).unwrap();
        figures.replace(run("a"), &format!("{}\n{}\n", line("a", 2.0), line("a", 3.0))).unwrap();
        figures.replace(run("b"), &line("b", 4.0)).unwrap();
        let lines = figures.to_lines().unwrap();
        assert_eq!(lines.lines().count(), 5);
        let read = Figures::parse(&lines).unwrap();
        assert_eq!(read, figures);
        assert_eq!(
            read.0.iter().map(|(run, of)| (run.bench.as_str(), of.len())).collect::<Vec<_>>(),
            [("a", 2), ("b", 1)]
        );
        assert_eq!(read.find("b", "c", "f").map(|figure| figure.value), Some(4.0));
        assert_eq!(read.find("b", "c", "g"), None);
    }
}
