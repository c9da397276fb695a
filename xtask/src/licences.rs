//! The licences of what the crates and the binary are made of: `docs/licences.md` lists them, and each must be one that
//! asks for nothing but to be named.
//!
//! Counted is what reaches a user on any platform: normal and build dependencies of what lies in `crates/`, the crate for
//! tests aside. A licence is an SPDX expression; of alternatives one has to be known.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use crate::run::{Failure, Result};
use crate::workspace::{TESTKIT, Workspace};

/// The list, relative to the root.
const LIST: &str = "docs/licences.md";
/// Licences that may be in what we ship: permissive ones.
const KNOWN: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Compares the list with the dependencies, or writes it.
pub(crate) fn run(workspace: &Workspace, write: bool) -> Result<()> {
    let shipped = shipped(workspace);
    let unknown: Vec<String> = shipped
        .iter()
        .filter(|(licence, _)| !is_known(licence))
        .map(|(licence, names)| format!("`{licence}`: {}", Vec::from_iter(names.iter().copied()).join(", ")))
        .collect();
    if !unknown.is_empty() {
        return Err(Failure::new(format!("licences that nobody has looked at: {}", unknown.join("; "))));
    }
    let (file, text) = (workspace.root.join(LIST), list(&shipped));
    if write {
        return fs::write(&file, text).map_err(|error| Failure::doing(format!("writing {LIST}"), error));
    }
    if fs::read_to_string(&file).is_ok_and(|present| present == text) {
        eprintln!(
            "licences: {} dependencies, all with known licences",
            shipped.values().map(BTreeSet::len).sum::<usize>()
        );
        return Ok(());
    }
    Err(Failure::new(format!("{LIST} is not what the dependencies say: `cargo xtask licences --write`")))
}

/// The third-party packages that users get, by licence.
fn shipped(workspace: &Workspace) -> BTreeMap<&str, BTreeSet<&str>> {
    let is_ours = |name: &str| workspace.members.iter().any(|member| member.name == name);
    let roots = workspace.members.iter().filter(|member| member.is_crate() && member.name != TESTKIT);
    let roots: BTreeSet<&str> = roots.map(|member| member.name.as_str()).collect();
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = Vec::new();
    open.extend(
        workspace.names.iter().filter(|(_, name)| roots.contains(name.as_str())).map(|(id, _)| id.as_str()),
    );
    while let Some(id) = open.pop() {
        if !reached.insert(id) {
            continue;
        }
        let nodes = workspace.resolved.iter().filter(|node| node.id == id);
        open.extend(
            nodes.flat_map(|node| &node.deps).filter(|dep| dep.is_shipped()).map(|dep| dep.pkg.as_str()),
        );
    }
    let mut by_licence: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for id in reached {
        let name = workspace.names.get(id).map_or("", String::as_str);
        if !is_ours(name) {
            let licence = workspace.licences.get(id).map_or("", String::as_str);
            by_licence.entry(licence).or_default().insert(name);
        }
    }
    by_licence
}

/// Whether the expression can be satisfied with known licences.
fn is_known(expression: &str) -> bool {
    // The old way to write OR.
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = expression.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest) && rest.is_empty()
}

/// Alternatives.
fn any(words: &mut &[&str]) -> bool {
    let mut known = all(words);
    while let Some(rest) = words.strip_prefix(&["OR"]) {
        *words = rest;
        known |= all(words);
    }
    known
}

/// What holds together.
fn all(words: &mut &[&str]) -> bool {
    let mut known = one(words);
    while let Some(rest) = words.strip_prefix(&["AND"]) {
        *words = rest;
        known &= one(words);
    }
    known
}

/// A licence, perhaps with an exception, or an expression in parentheses.
fn one(words: &mut &[&str]) -> bool {
    let Some((first, rest)) = words.split_first() else { return false };
    *words = rest;
    if *first == "(" {
        let known = any(words);
        let Some(rest) = words.strip_prefix(&[")"]) else { return false };
        *words = rest;
        return known;
    }
    let mut licence = (*first).to_owned();
    if let [with @ "WITH", exception, rest @ ..] = words {
        licence = format!("{licence} {with} {exception}");
        *words = rest;
    }
    KNOWN.contains(&licence.as_str())
}

fn list(shipped: &BTreeMap<&str, BTreeSet<&str>>) -> String {
    let mut text = String::from(
        "# Licences of the dependencies\n\nWhat the crates and the binary are made of besides our own code, by licence as \
         each package declares it.\nWritten by `cargo xtask licences --write`, compared by `cargo xtask ci`.\n\n| licence | packages |\n|---|---|\n",
    );
    for (licence, names) in shipped {
        let names = Vec::from_iter(names.iter().copied()).join(", ");
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "| {licence} | {names} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_known_by_their_alternatives() {
        for (expression, known) in [
            ("MIT", true),
            ("MIT OR Apache-2.0", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0-only OR MIT", true),
            ("GPL-3.0-only", false),
            ("MIT AND GPL-3.0-only", false),
            ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only", true),
            ("Apache-2.0 WITH other-exception", false),
            ("", false),
            ("(MIT", false),
            ("MIT Apache-2.0", false),
        ] {
            assert_eq!(is_known(expression), known, "{expression}");
        }
    }

    #[test]
    fn the_list_is_a_table() {
        let shipped = BTreeMap::from([("MIT", BTreeSet::from(["a", "b"]))]);
        assert!(list(&shipped).ends_with("|---|---|\n| MIT | a, b |\n"));
    }
}
