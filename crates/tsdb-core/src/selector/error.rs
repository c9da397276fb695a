//! The parser's error: it shows the line and points.

use std::fmt;

/// The most characters of a line that are shown on each side of the place.
const CONTEXT_CHARS: usize = 60;

/// Why a selector does not parse, and where. Its text has three lines: the reason, the line of the selector, and a
/// caret under the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorError {
    offset: usize,
    reason: String,
    /// From one, in characters.
    line: usize,
    column: usize,
    /// The line, or the part of it around the place.
    excerpt: String,
    /// The characters of the excerpt before the place.
    caret: usize,
}

impl SelectorError {
    /// `offset` is at the start of a character, or at the end.
    pub(super) fn new(input: &str, offset: usize, reason: &str) -> Self {
        let (before, after) = input.split_at(offset);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let before = &before[line_start..];
        let after = after.split('\n').next().unwrap_or("").trim_end_matches('\r');
        let column = before.chars().count();
        let cut = column.saturating_sub(CONTEXT_CHARS);
        let mut excerpt: String = if cut > 0 { "...".into() } else { String::new() };
        // Whatever would move the cursor, or is no text at all, is shown as a blank.
        let shown = |c: char| if c.is_control() { ' ' } else { c };
        excerpt.extend(before.chars().skip(cut).map(shown));
        let caret = excerpt.chars().count();
        excerpt.extend(after.chars().take(CONTEXT_CHARS).map(shown));
        if after.chars().nth(CONTEXT_CHARS).is_some() {
            excerpt.push_str("...");
        }
        let line = input[..line_start].matches('\n').count() + 1;
        Self { offset, reason: reason.into(), line, column: column + 1, excerpt, caret }
    }

    /// The place in the selector, in bytes from its start; its length where the selector ends too early.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong there.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, line, column, excerpt, caret, .. } = self;
        let place =
            if *line == 1 { format!("column {column}") } else { format!("line {line}, column {column}") };
        write!(f, "invalid selector at {place}: {reason}\n  {excerpt}\n  {:caret$}^", "")
    }
}

impl std::error::Error for SelectorError {}
