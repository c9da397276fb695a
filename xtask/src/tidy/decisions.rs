//! The records in `docs/decisions/`: named `NNNN-title.md`, each number once, the number in the heading.

use std::collections::BTreeMap;

use super::{Finding, Source};

const DIR: &str = "docs/decisions/";

pub(super) fn are_numbered_once(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for source in sources {
        let Some(name) = source.path.strip_prefix(DIR).filter(|name| *name != "README.md") else { continue };
        let Some(number) = number(name) else {
            found.push(source.finding(1, "a decision is named NNNN-title-in-small-letters.md"));
            continue;
        };
        if let Some(other) = taken.insert(number, name) {
            found.push(source.finding(1, format!("number {number} is taken by {other}")));
        }
        if !source.text.starts_with(&format!("# {number}: ")) {
            found.push(source.finding(1, format!("the heading must begin with `# {number}: `")));
        }
    }
    found
}

/// The four digits that the name begins with, if it is a proper name.
fn number(name: &str) -> Option<&str> {
    let (number, title) = name.strip_suffix(".md")?.split_once('-')?;
    let digits = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    let plain = title.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (digits && plain && !title.is_empty()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn well_numbered_decisions_pass() {
        let files = [
            ("docs/decisions/0001-layers.md", "# 0001: Layers\n"),
            ("docs/decisions/0002-one-file.md", "# 0002: One file\n"),
            ("docs/decisions/README.md", "# Decisions\n"),
        ];
        check(are_numbered_once, &files, &[]);
    }

    #[test]
    fn numbers_are_given_once() {
        let files = [
            ("docs/decisions/0001-layers.md", "# 0001: Layers\n"),
            ("docs/decisions/0001-other.md", "# 0001: Other\n"),
        ];
        check(
            are_numbered_once,
            &files,
            &["docs/decisions/0001-other.md:1: number 0001 is taken by 0001-layers.md"],
        );
    }

    #[test]
    fn names_and_headings_are_checked() {
        check(
            are_numbered_once,
            &[("docs/decisions/1-x.md", "# 1: X\n")],
            &["docs/decisions/1-x.md:1: a decision is named NNNN-title-in-small-letters.md"],
        );
        check(
            are_numbered_once,
            &[("docs/decisions/0003-x.md", "# Something\n")],
            &["docs/decisions/0003-x.md:1: the heading must begin with `# 0003: `"],
        );
    }
}
