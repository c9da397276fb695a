//! The text of one line, and the error of one, with its place.

use std::fmt;

use super::cursor::Fault;

/// Characters of the line that an excerpt shows before and after the place.
const EXCERPT_BEFORE: usize = 20;
const EXCERPT_AFTER: usize = 30;

/// A line that does not parse. Displayed as `line:column: reason, at "excerpt"`, so that the file's name and a
/// colon put before it make a place that editors jump to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Line number, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
    /// The text around the place; empty when there is none.
    pub excerpt: String,
}

impl LineError {
    /// The error for `fault` in `line`.
    pub(super) fn new(line: &str, line_number: u64, fault: Fault) -> Self {
        Self::at_byte(line, line_number, fault.at, fault.reason.into_owned())
    }

    /// The error for a place given in bytes; one inside a character or past the end is moved back.
    pub fn at_byte(line: &str, line_number: u64, at: usize, reason: String) -> Self {
        let at = line.floor_char_boundary(at);
        let (before, after) = line.split_at(at);
        let skipped = before.chars().rev().nth(EXCERPT_BEFORE).is_some();
        let start = before.char_indices().rev().nth(EXCERPT_BEFORE - 1).map_or(0, |(start, _)| start);
        let end = after.char_indices().nth(EXCERPT_AFTER).map_or(after.len(), |(end, _)| end);
        let excerpt = [
            if skipped { "..." } else { "" },
            &before[start..],
            &after[..end],
            if end < after.len() { "..." } else { "" },
        ];
        Self { line: line_number, column: before.chars().count() + 1, reason, excerpt: excerpt.concat() }
    }
}

/// The text of a line without its end (`\n` or `\r\n`).
///
/// # Errors
/// A line that is not UTF-8, with its place.
pub fn text_of(line: &[u8], line_number: u64) -> Result<&str, LineError> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    std::str::from_utf8(line).map_err(|error| {
        // Up to the fault the lossy text is the line itself, so the offset holds in it.
        let lossy = String::from_utf8_lossy(line);
        LineError::at_byte(&lossy, line_number, error.valid_up_to(), "the text is not UTF-8".to_owned())
    })
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.reason)?;
        if self.excerpt.is_empty() {
            return Ok(());
        }
        // Line ends and other control characters of a broken file must not reach a terminal.
        f.write_str(", at `")?;
        for c in self.excerpt.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        f.write_str("`")
    }
}

impl std::error::Error for LineError {}
