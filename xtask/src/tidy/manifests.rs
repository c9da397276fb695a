//! Manifests: one version for all crates of the workspace, and they ask for each other in that version.

use super::{Finding, Source};

/// The manifest of the workspace.
const ROOT: &str = "Cargo.toml";

/// Where a crate asks for another of the workspace in a version that is not the workspace's, publishing would pick another
/// one from the registry.
pub(super) fn agree_on_the_version(sources: &[Source]) -> Vec<Finding> {
    let Some(root) = sources.iter().find(|source| source.path == ROOT) else { return Vec::new() };
    let Some(version) = section(root, "[workspace.package]").find_map(|(_, line)| value_of(line, "version"))
    else {
        return vec![root.finding(1, "no version in [workspace.package]")];
    };
    let mut found = Vec::new();
    for (number, line) in
        section(root, "[workspace.dependencies]").filter(|(_, line)| line.contains("path = "))
    {
        if let Some(asked) = line.split_once("version = ").and_then(|(_, rest)| quoted(rest))
            && asked != version
        {
            found.push(
                root.finding(number, format!("asks for version {asked}; the workspace's is {version}")),
            );
        }
    }
    for member in sources.iter().filter(|source| is_member(&source.path)) {
        if !member.lines().any(|(_, line)| line == "version.workspace = true") {
            found.push(member.finding(1, "no `version.workspace = true`"));
        }
    }
    found
}

fn is_member(path: &str) -> bool {
    let crates = path.strip_prefix("crates/").and_then(|rest| rest.split_once('/'));
    crates.is_some_and(|(_, file)| file == ROOT)
}

/// The lines of a table, with their numbers.
fn section<'a>(source: &'a Source, heading: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let lines = source.lines().skip_while(move |(_, line)| *line != heading).skip(1);
    lines.take_while(|(_, line)| !line.starts_with('['))
}

/// The text in `key = "text"`.
fn value_of<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    quoted(line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim_start())
}

/// The text between the quotes with which `rest` begins.
fn quoted(rest: &str) -> Option<&str> {
    Some(rest.strip_prefix('"')?.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    const WORKSPACE: &str = "[workspace.package]\nversion = \"1.2.0\"\n\n[workspace.dependencies]\n";

    #[test]
    fn one_version_for_all() {
        let asks = |version: &str| {
            format!("{WORKSPACE}a = {{ path = \"crates/a\", version = \"{version}\" }}\nserde = \"1\"\n")
        };
        let member = ("crates/a/Cargo.toml", "[package]\nname = \"a\"\nversion.workspace = true\n");
        check(agree_on_the_version, &[("Cargo.toml", &asks("1.2.0")), member], &[]);
        check(
            agree_on_the_version,
            &[("Cargo.toml", &asks("1.1.0")), ("crates/a/Cargo.toml", "[package]\nversion = \"1.2.0\"\n")],
            &[
                "Cargo.toml:5: asks for version 1.1.0; the workspace's is 1.2.0",
                "crates/a/Cargo.toml:1: no `version.workspace = true`",
            ],
        );
    }
}
