//! What is shown against what was printed.

/// Whether `printed` is what `shown` says: line by line, spaces at their ends aside. A line `...` stands for any number of
/// lines, `...` inside a line for any part of it.
pub(super) fn is_as_shown(shown: &str, printed: &str) -> bool {
    let lines =
        |text: &str| text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    glob(&lines(shown), &lines(printed), &|shown| shown == "...", &|shown, printed| {
        let parts =
            |text: &str| text.split("...").flat_map(|part| [part, "..."]).map(str::to_owned).collect();
        let mut pattern: Vec<String> = parts(shown);
        pattern.pop();
        line_matches(&pattern, printed)
    })
}

/// Whether `text` is the parts one after the other, `...` being anything.
fn line_matches(pattern: &[String], text: &str) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
    if first == "..." {
        let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        return ends.any(|at| line_matches(rest, &text[at..]));
    }
    text.strip_prefix(first.as_str()).is_some_and(|text| line_matches(rest, text))
}

/// Whether the items match the pattern, of which each item that `is_any` stands for any number of items.
fn glob<T>(
    pattern: &[T],
    items: &[T],
    is_any: &dyn Fn(&T) -> bool,
    matches: &dyn Fn(&T, &T) -> bool,
) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return items.is_empty() };
    if is_any(first) {
        return (0..=items.len()).any(|skipped| glob(rest, &items[skipped..], is_any, matches));
    }
    items
        .split_first()
        .is_some_and(|(item, items)| matches(first, item) && glob(rest, items, is_any, matches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_dots_stand_for_anything_and_nothing_else_does() {
        for (shown, printed, expected) in [
            ("a\nb\n", "a\nb\n", true),
            ("a\n", "a  \n\n", true),
            ("a\n", "b\n", false),
            ("a\n", "a\nb\n", false),
            ("", "", true),
            ("", "a\n", false),
            ("...\n", "", true),
            ("a\n...\nz\n", "a\nb\nc\nz\n", true),
            ("a\n...\nz\n", "a\nz\n", true),
            ("a\n...\nz\n", "a\nb\n", false),
            ("took ... s\n", "took 1.25 s\n", true),
            ("took ... s\n", "took 1.25 ms\n", false),
            ("... of ...\n", "1 of 2\n", true),
            ("ä...ö\n", "äüö\n", true),
        ] {
            assert_eq!(is_as_shown(shown, printed), expected, "{shown:?} {printed:?}");
        }
    }
}
