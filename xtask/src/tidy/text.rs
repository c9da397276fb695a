//! What holds for every text file: no stray whitespace, no machine's paths, no file that has outgrown a reader.

use super::{Finding, Source};

/// Beyond this a file holds more than one thing. Most are meant to stay under 250 lines.
const LINES_MAX: usize = 900;
/// Grow by their nature.
const MAY_BE_LONG: &[&str] = &["CHANGELOG.md", "LICENSE"];

/// Directories of one machine. Spelt in two parts, or this file would name them.
const MACHINE_DIRS: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("C:\\Us", "ers"),
];

pub(super) fn is_clean(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in source.lines() {
            if line.ends_with([' ', '\t', '\r']) {
                found.push(source.finding(number, "whitespace at the end of the line"));
            }
        }
        let last = source.text.lines().count();
        if !source.text.is_empty() && !source.text.ends_with('\n') {
            found.push(source.finding(last, "no newline at the end of the file"));
        }
        if source.text.ends_with("\n\n") {
            found.push(source.finding(last, "empty lines at the end of the file"));
        }
    }
    found
}

pub(super) fn files_are_short(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !MAY_BE_LONG.contains(&source.path.as_str())) {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            let what = format!("{lines} lines, more than {LINES_MAX}: split the file by what it does");
            found.push(source.finding(LINES_MAX + 1, what));
        }
    }
    found
}

pub(super) fn names_no_machine(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in source.lines() {
            for dir in MACHINE_DIRS.iter().filter(|dir| names_dir(line, dir)) {
                found.push(source.finding(number, format!("names `{dir}`, a path of one machine")));
            }
        }
    }
    found
}

/// Whether `dir` stands in `line` as the beginning of a path: in `target/work/` it doesn't.
fn names_dir(line: &str, dir: &str) -> bool {
    line.match_indices(dir).any(|(at, _)| {
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}' | ')'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn stray_whitespace_is_found() {
        check(is_clean, &[("a.md", "one\ntwo\n"), ("empty.md", "")], &[]);
        check(
            is_clean,
            &[("a.md", "one \ntwo\t\n")],
            &["a.md:1: whitespace at the end of the line", "a.md:2: whitespace at the end of the line"],
        );
        check(is_clean, &[("a.md", "one")], &["a.md:1: no newline at the end of the file"]);
        check(is_clean, &[("a.md", "one\n\n")], &["a.md:2: empty lines at the end of the file"]);
    }

    #[test]
    fn long_files_are_found_where_they_become_too_long() {
        let fits = "x\n".repeat(LINES_MAX);
        let long = "x\n".repeat(LINES_MAX + 1);
        check(files_are_short, &[("a.rs", &fits), ("CHANGELOG.md", &long)], &[]);
        check(
            files_are_short,
            &[("a.rs", &long)],
            &["a.rs:901: 901 lines, more than 900: split the file by what it does"],
        );
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        let own = format!("see {}me/x\n", "/ho");
        let inner = format!("docs{}me/x and ../..{}me/y\n", "/ho", "/ho");
        check(names_no_machine, &[("a.md", &inner)], &[]);
        let expected = format!("a.md:1: names `{}me/`, a path of one machine", "/ho");
        check(names_no_machine, &[("a.md", &own)], &[&expected]);
    }
}
