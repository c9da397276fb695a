//! Lines of one input file, whatever their format, to samples.

use tsdb_core::{Labels, Series};

use crate::args::ImportFormat;
use tsdb_text::exposition::{Format, LineError, ParsedSample, Parser};
use tsdb_text::{exposition, jsonl};

/// What one line holds.
pub(super) enum Samples<'a> {
    /// A comment, a blank line.
    None,
    /// A line of text: its series is not parsed yet.
    One(ParsedSample<'a>),
    /// A line of JSON: a whole series.
    Series(Series),
}

/// The reader of one file.
pub(super) struct Lines {
    /// `Auto` until the first line that is not blank.
    format: ImportFormat,
    text: Parser,
}

impl Lines {
    pub(super) fn new(format: ImportFormat, default_timestamp_ms: Option<i64>) -> Self {
        let text = match format {
            ImportFormat::Openmetrics => Format::OpenMetrics,
            ImportFormat::Prometheus => Format::Prometheus,
            ImportFormat::Auto | ImportFormat::Jsonl => Format::Auto,
        };
        Self { format, text: Parser::new(text, default_timestamp_ms) }
    }

    pub(super) fn read<'a>(&mut self, line: &'a [u8], number: u64) -> Result<Samples<'a>, LineError> {
        if self.format == ImportFormat::Auto && !line.trim_ascii().is_empty() {
            // Text, of either kind, is told apart by its timestamps, later and by its parser.
            self.format = if is_json_object(line) { ImportFormat::Jsonl } else { ImportFormat::Prometheus };
        }
        if self.format == ImportFormat::Jsonl {
            if line.trim_ascii().is_empty() {
                return Ok(Samples::None);
            }
            return Ok(Samples::Series(jsonl::parse_line(exposition::text_of(line, number)?, number)?));
        }
        Ok(self.text.parse_line(line, number)?.map_or(Samples::None, Samples::One))
    }

    pub(super) fn labels(&mut self, sample: &ParsedSample<'_>) -> Result<Labels, LineError> {
        self.text.labels(sample)
    }

    pub(super) fn finish(&self, last_line: u64) -> Result<(), LineError> {
        self.text.finish(last_line)
    }

    pub(super) fn exemplars(&self) -> u64 {
        self.text.exemplars()
    }
}

/// Whether a line is a JSON object and not a series without a name before its braces: `{"a": ...` against
/// `{"a", ...`, `{"a"="b"}`, `{a="b"}`.
fn is_json_object(line: &[u8]) -> bool {
    let Some(rest) = line.trim_ascii().strip_prefix(b"{") else { return false };
    let rest = rest.trim_ascii_start();
    if rest.starts_with(b"}") {
        return true;
    }
    let Some(mut rest) = rest.strip_prefix(b"\"") else { return false };
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'\\' => rest = after.get(1..).unwrap_or_default(),
            b'"' => return after.trim_ascii_start().starts_with(b":"),
            _ => rest = after,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_from_text() {
        for json in [r#"{"labels":{}}"#, r#" { "labels" : {} }"#, "{}", r#"{"a\"b":1}"#] {
            assert!(is_json_object(json.as_bytes()), "{json}");
        }
        for text in [
            "up 1 2",
            r#"{"my.metric", a="b"} 1 2"#,
            r#"{"a"="b"} 1"#,
            r#"{a="b"} 1"#,
            "# TYPE",
            "",
            "{",
            r#"{"a"#,
        ] {
            assert!(!is_json_object(text.as_bytes()), "{text}");
        }
    }
}
