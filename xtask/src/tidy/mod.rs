//! Style that a program can check: prose drifts, and a promise in a document needs something that fails.
//!
//! Each check is a function from the sources to findings, so that its tests need no files. Fixtures (`testdata/`,
//! recorded proptest cases) are listed but not read: they may hold anything.

mod decisions;
mod manifests;
mod markdown;
mod names;
mod rust;
mod text;

use std::fs;
use std::path::Path;

use crate::run::{Failure, Result};
use crate::workspace::Workspace;

/// A file of the repository.
struct Source {
    /// Relative to the root, with `/`.
    path: String,
    /// Empty where the file is a fixture or no text.
    text: String,
}

impl Source {
    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// The lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into() }
    }
}

/// A breach, at a line counted from 1.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    what: String,
}

type Check = fn(&[Source]) -> Vec<Finding>;

/// All checks, in no particular order.
const CHECKS: &[Check] = &[
    decisions::are_numbered_once,
    manifests::agree_on_the_version,
    markdown::links_lead_somewhere,
    names::are_there,
    rust::files_are_modules,
    rust::modules_are_documented,
    rust::testkit_stays_in_integration_tests,
    text::is_clean,
    text::files_are_short,
    text::names_no_machine,
];

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut sources = Vec::new();
    collect(&workspace.root, "", &mut sources)?;
    let mut findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check(&sources)).collect();
    findings.sort();
    for finding in &findings {
        eprintln!("{}:{}: {}", finding.path, finding.line, finding.what);
    }
    if findings.is_empty() {
        eprintln!("tidy: {} files, nothing to mend", sources.len());
        return Ok(());
    }
    Err(Failure::new(format!("tidy found {} things to mend", findings.len())))
}

/// Reads the files under `relative`, in the order of their names.
fn collect(root: &Path, relative: &str, sources: &mut Vec<Source>) -> Result<()> {
    let dir = root.join(relative);
    let failed = |error| Failure::doing(format!("reading {}", dir.display()), error);
    let mut entries =
        fs::read_dir(&dir).map_err(failed)?.collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if relative.is_empty() { name.clone() } else { format!("{relative}/{name}") };
        if entry.file_type().map_err(failed)?.is_dir() {
            if is_searched(&path, &name) {
                collect(root, &path, sources)?;
            }
            continue;
        }
        let read = |error| Failure::doing(format!("reading {path}"), error);
        let text = if is_text(&path, &name) {
            fs::read_to_string(entry.path()).map_err(read)?
        } else {
            String::new()
        };
        sources.push(Source { path, text });
    }
    Ok(())
}

/// Where the binary keeps its data when it is run from the root.
const DATA_DIRS: &[&str] = &["tsdb-data", "tsdb-demo-data"];

fn is_searched(path: &str, name: &str) -> bool {
    match name {
        ".ci" | ".cargo" | ".config" => true,
        "target" | "__pycache__" => false,
        _ => !name.starts_with('.') && !DATA_DIRS.contains(&path),
    }
}

fn is_text(path: &str, name: &str) -> bool {
    const EXTENSIONS: &[&str] = &["rs", "md", "toml", "py", "sh", "sql", "yml", "yaml"];
    const NAMES: &[&str] = &["run", ".gitignore", "LICENSE"];
    if path.split('/').any(|dir| dir == "testdata" || dir == "proptest-regressions") {
        return false;
    }
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    NAMES.contains(&name)
        || name.starts_with("Dockerfile")
        || extension.is_some_and(|e| EXTENSIONS.contains(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs one check over made-up files and compares `path:line: what`.
    pub(super) fn check(check: Check, files: &[(&str, &str)], expected: &[&str]) {
        let sources: Vec<_> = files
            .iter()
            .map(|(path, text)| Source { path: (*path).to_owned(), text: (*text).to_owned() })
            .collect();
        let found: Vec<_> =
            check(&sources).iter().map(|f| format!("{}:{}: {}", f.path, f.line, f.what)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn build_output_is_not_searched() {
        for (path, searched) in [("crates", true), (".ci", true), ("target", false), (".git", false)] {
            assert_eq!(is_searched(path, path), searched, "{path}");
        }
        assert!(!is_searched("tsdb-data", "tsdb-data"));
    }

    #[test]
    fn text_is_known_by_its_name_unless_it_is_a_fixture() {
        let read = |path: &str| is_text(path, path.rsplit('/').next().unwrap());
        assert!(read("docker/Dockerfile.dev") && read(".ci/run") && read("crates/x/src/lib.rs"));
        assert!(
            !read("Cargo.lock") && !read("crates/x/testdata/bad.md") && !read("proptest-regressions/it.rs")
        );
    }
}
