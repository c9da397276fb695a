//! Relative links in Markdown: the file must be there, and the heading in it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Source};

/// Checks every relative link of every Markdown file against the files of the repository.
pub(super) fn links_lead_somewhere(sources: &[Source]) -> Vec<Finding> {
    let known = paths(sources);
    let headings: BTreeMap<&str, BTreeSet<String>> = sources
        .iter()
        .filter(|source| source.has_extension("md"))
        .map(|source| (source.path.as_str(), anchors(&source.text)))
        .collect();
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.has_extension("md")) {
        for (number, link) in links(source) {
            if let Err(what) = follow(&source.path, link, &known, &headings) {
                found.push(source.finding(number, what));
            }
        }
    }
    found
}

/// Every file and every directory above one.
fn paths(sources: &[Source]) -> BTreeSet<String> {
    let mut known = BTreeSet::from([String::new()]);
    for source in sources {
        let ends = source.path.match_indices('/').map(|(at, _)| at).chain([source.path.len()]);
        known.extend(ends.map(|end| source.path[..end].to_owned()));
    }
    known
}

fn follow(
    from: &str,
    link: &str,
    known: &BTreeSet<String>,
    headings: &BTreeMap<&str, BTreeSet<String>>,
) -> Result<(), String> {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { Some(from.to_owned()) } else { resolve(from, file) };
    let Some(target) = target.filter(|target| known.contains(target)) else {
        return Err(format!("dead link `{link}`"));
    };
    let missing = |anchors: &BTreeSet<String>| !anchor.is_empty() && !anchors.contains(anchor);
    if headings.get(target.as_str()).is_some_and(missing) {
        return Err(format!("`{target}` has no heading `#{anchor}`"));
    }
    Ok(())
}

/// The path from the root that `link` means in the file `from`; none if it leads out of the repository.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The relative targets of `[text](target)` and `[label]: target`, with their lines. Code is not searched.
fn links(source: &Source) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(&source.text) {
        for (at, _) in line.match_indices("](").filter(|(at, _)| !in_code_span(line, *at)) {
            if let Some((target, _)) = line[at + 2..].split_once(')') {
                found.push((number, target));
            }
        }
        if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            found.push((number, target));
        }
    }
    let bare = |target| str::split_whitespace(target).next().unwrap_or_default().trim_matches(['<', '>']);
    found
        .into_iter()
        .map(|(number, target)| (number, bare(target)))
        .filter(|(_, target)| !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

/// The lines outside fenced code blocks.
pub(super) fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fence && !fenced).then_some((index + 1, line))
    })
}

fn in_code_span(line: &str, at: usize) -> bool {
    line[..at].matches('`').count() % 2 == 1
}

/// The anchors of a file's headings, formed as GitHub does.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let headings = prose(text).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| title.strip_prefix(' ')).flatten()
    });
    for title in headings {
        let slug = slug(title.trim());
        let numbered = (1..).map(|n| format!("{slug}-{n}"));
        let free = std::iter::once(slug.clone()).chain(numbered).find(|anchor| !anchors.contains(anchor));
        anchors.extend(free);
    }
    anchors
}

fn slug(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    const GUIDE: (&str, &str) =
        ("docs/guide.md", "# The guide\n## First steps, quickly\n## First steps, quickly\n");

    fn check_links(text: &str, expected: &[&str]) {
        check(links_lead_somewhere, &[("docs/a.md", text), GUIDE, ("README.md", "# Top\n")], expected);
    }

    #[test]
    fn live_links_pass() {
        check_links("[guide](guide.md) [up](../README.md#top) [dir](../docs) [here](#own)\n# Own\n", &[]);
        check_links("[second](guide.md#first-steps-quickly-1 \"title\")\n", &[]);
        check_links("[web](https://example.org/x.md) [mail](mailto:a@example.org)\n", &[]);
    }

    #[test]
    fn dead_links_are_found() {
        check_links("one\n[gone](gone.md)\n", &["docs/a.md:2: dead link `gone.md`"]);
        check_links("[out](../../README.md)\n", &["docs/a.md:1: dead link `../../README.md`"]);
        check_links("[gone]: gone.md\n", &["docs/a.md:1: dead link `gone.md`"]);
        check_links("[a](guide.md) and [b](gone.md)\n", &["docs/a.md:1: dead link `gone.md`"]);
    }

    #[test]
    fn dead_anchors_are_found() {
        check_links(
            "[x](guide.md#second-steps)\n",
            &["docs/a.md:1: `docs/guide.md` has no heading `#second-steps`"],
        );
        check_links("[x](#nowhere)\n", &["docs/a.md:1: `docs/a.md` has no heading `#nowhere`"]);
    }

    #[test]
    fn code_is_not_searched() {
        check_links("```\n[x](gone.md)\n# Not a heading\n```\nand `[y](gone.md)`\n", &[]);
        check_links("```\n# Own\n```\n[here](#own)\n", &["docs/a.md:4: `docs/a.md` has no heading `#own`"]);
    }
}
