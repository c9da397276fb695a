//! Tests that documents name, as `path/to/file.rs::function`: the file must be there, and the function in it.
//!
//! The roadmap claims things by naming the test that shows them. A claim whose test was renamed or dropped must not
//! stand.

use std::collections::BTreeMap;

use super::markdown::prose;
use super::{Finding, Source};

pub(super) fn are_there(sources: &[Source]) -> Vec<Finding> {
    let texts: BTreeMap<&str, &str> =
        sources.iter().map(|source| (source.path.as_str(), source.text.as_str())).collect();
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.has_extension("md")) {
        for (number, line) in prose(&source.text) {
            for (file, function) in code_spans(line).filter_map(named) {
                if !texts.get(file).is_some_and(|text| defines(text, function)) {
                    found.push(source.finding(number, format!("`{file}` has no function `{function}`")));
                }
            }
        }
    }
    found
}

/// What stands between backticks.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The file and the function, if the span has that form.
fn named(span: &str) -> Option<(&str, &str)> {
    let (file, function) = span.split_once("::")?;
    let is_source = file.contains('/') && (file.ends_with(".rs") || file.ends_with(".py"));
    is_source.then_some((file, function))
}

fn defines(text: &str, function: &str) -> bool {
    let follows = |rest: &str| rest.starts_with(['(', '<']);
    ["fn ", "def "].iter().any(|keyword| {
        let definition = format!("{keyword}{function}");
        text.match_indices(&definition).any(|(at, _)| follows(&text[at + definition.len()..]))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    const SOURCES: [(&str, &str); 2] = [
        ("crates/x/src/a.rs", "#[test]\nfn it_works() {}\n"),
        ("tests/b.py", "def test_b(store):\n    pass\n"),
    ];

    #[test]
    fn functions_that_are_there_pass() {
        let text =
            "Shown by `crates/x/src/a.rs::it_works`, `tests/b.py::test_b`; see `tsdb_x::Thing::new`.\n";
        check(are_there, &[SOURCES[0], SOURCES[1], ("a.md", text)], &[]);
    }

    #[test]
    fn functions_that_are_gone_are_found() {
        let text = "One\n`crates/x/src/a.rs::it_work` and `tests/gone.py::test_b`\n";
        check(
            are_there,
            &[SOURCES[0], SOURCES[1], ("a.md", text)],
            &[
                "a.md:2: `crates/x/src/a.rs` has no function `it_work`",
                "a.md:2: `tests/gone.py` has no function `test_b`",
            ],
        );
    }
}
