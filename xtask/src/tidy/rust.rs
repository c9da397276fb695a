//! What holds for Rust sources beyond what the compiler and clippy see.

use super::{Finding, Source};

/// Each file opens with `//!`: what it is and why. A crate root may include its README instead.
pub(super) fn modules_are_documented(sources: &[Source]) -> Vec<Finding> {
    let undocumented = |source: &&Source| source.has_extension("rs") && !is_documented(&source.text);
    sources
        .iter()
        .filter(undocumented)
        .map(|source| source.finding(1, "no module documentation: begin the file with `//!`"))
        .collect()
}

fn is_documented(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.find(|line| !line.starts_with("#![") || line.starts_with("#![doc"));
    first.is_some_and(|line| {
        line.strip_prefix("//!").is_some_and(|prose| !prose.trim().is_empty())
            || line.starts_with("#![doc = include_str!(")
    })
}

/// A file that no `mod` names is not compiled, and its tests pass by never running.
pub(super) fn files_are_modules(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.has_extension("rs")) {
        let Some((dir, name)) = module(&source.path) else { continue };
        let parents =
            [format!("{dir}/mod.rs"), format!("{dir}/lib.rs"), format!("{dir}/main.rs"), format!("{dir}.rs")];
        let declaration = format!("mod {name};");
        let declares = |parent: &Source| {
            parents.contains(&parent.path) && parent.lines().any(|(_, line)| names_module(line, &declaration))
        };
        if !sources.iter().any(declares) {
            found.push(source.finding(1, format!("is compiled by nobody: no `{declaration}` above it")));
        }
    }
    found
}

/// Whether the line holds `mod name;` as words of their own, visibility before it or a comment behind.
fn names_module(line: &str, declaration: &str) -> bool {
    line.split_once(declaration).is_some_and(|(before, _)| before.is_empty() || before.ends_with(' '))
}

/// The directory in which the file's module is declared, and its name; none for the root of a target.
fn module(path: &str) -> Option<(&str, &str)> {
    let (dir, name) = path.strip_suffix(".rs")?.rsplit_once('/')?;
    let in_target = path.contains("/src/") || path.contains("tests/it/");
    match name {
        _ if !in_target || dir.ends_with("/src/bin") => None,
        "lib" | "main" => None,
        "mod" => dir.rsplit_once('/'),
        _ => Some((dir, name)),
    }
}

/// `tsdb-testkit` depends on the lower crates. A unit test of such a crate that used it would see two copies of
/// the crate's types: the one under test and the one that the testkit was built with.
pub(super) fn testkit_stays_in_integration_tests(sources: &[Source]) -> Vec<Finding> {
    let name = concat!("tsdb_test", "kit");
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| is_unit_code(&source.path)) {
        for (number, line) in source.lines() {
            if line.contains(&format!("{name}::")) {
                found.push(source.finding(number, "uses the testkit outside tests/it"));
            }
        }
    }
    found
}

fn is_unit_code(path: &str) -> bool {
    path.starts_with("crates/") && path.contains("/src/") && !path.starts_with("crates/tsdb-testkit/")
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn files_open_with_module_documentation() {
        let documented = [
            ("a.rs", "//! What it is.\nfn f() {}\n"),
            ("b.rs", "\n#![forbid(unsafe_code)]\n//! What it is.\n"),
            ("lib.rs", "#![doc = include_str!(\"../README.md\")]\n"),
            ("prose.md", "No Rust.\n"),
        ];
        check(modules_are_documented, &documented, &[]);
        for text in
            ["", "fn f() {}\n//! Late.\n", "//!\nfn f() {}\n", "// Not for rustdoc.\n", "use std::io;\n"]
        {
            let expected = "a.rs:1: no module documentation: begin the file with `//!`";
            check(modules_are_documented, &[("a.rs", text)], &[expected]);
        }
    }

    #[test]
    fn every_file_is_a_module_of_its_target() {
        let declared = [
            ("crates/x/src/lib.rs", "mod a;\npub(crate) mod b;\n"),
            ("crates/x/src/a.rs", "mod inner;\n"),
            ("crates/x/src/a/inner.rs", ""),
            ("crates/x/src/b/mod.rs", "#[cfg(test)]\nmod tests;\n"),
            ("crates/x/src/b/tests.rs", ""),
            ("crates/x/src/bin/tool.rs", ""),
            ("crates/x/examples/alone.rs", ""),
            ("tests/it/main.rs", "mod road; // The way of a sample.\n"),
            ("tests/it/road.rs", ""),
        ];
        check(files_are_modules, &declared, &[]);
        let forgotten = [
            ("crates/x/src/lib.rs", "mod ab;\n"),
            ("crates/x/src/b.rs", ""),
            ("crates/x/src/ab/mod.rs", ""),
            ("crates/x/tests/it/road.rs", ""),
        ];
        check(
            files_are_modules,
            &forgotten,
            &[
                "crates/x/src/b.rs:1: is compiled by nobody: no `mod b;` above it",
                "crates/x/tests/it/road.rs:1: is compiled by nobody: no `mod road;` above it",
            ],
        );
    }

    #[test]
    fn the_testkit_is_used_in_integration_tests_only() {
        let line = format!("use {}kit::Oracle;\n", "tsdb_test");
        let allowed =
            [("crates/x/tests/it/model.rs", line.as_str()), ("crates/tsdb-testkit/src/lib.rs", &line)];
        check(testkit_stays_in_integration_tests, &allowed, &[]);
        check(
            testkit_stays_in_integration_tests,
            &[("crates/x/src/head.rs", &line)],
            &["crates/x/src/head.rs:1: uses the testkit outside tests/it"],
        );
    }
}
