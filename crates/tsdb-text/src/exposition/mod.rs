//! A line-by-line parser of metrics as text: OpenMetrics, and Prometheus' own format with timestamps.
//!
//! The parser is fed one line at a time and keeps no line. A sample comes out as the **raw text of its series**,
//! a timestamp and a value; label sets are built only on request ([`Parser::labels`]), because a file repeats
//! each series' text many times and a caller that remembers it need not parse it again.
//!
//! The formats differ in one thing that matters: OpenMetrics timestamps are seconds, those of Prometheus'
//! format are milliseconds. [`Format::Auto`] decides by the first timestamp of the file: a fraction, an exponent
//! or a magnitude below 1e11 (which as milliseconds would lie before 1973) means seconds.
//!
//! What is read beyond the letter of the formats: any run of spaces and tabs between the parts, `\r\n` ends, a
//! byte order mark, a comma after the last label, quoted names (`{"my.metric", "my.label"="x"}`). Backslashes
//! before other characters than `\`, `"` and `n` stay, as in Prometheus. Exemplars are checked, counted and
//! dropped. Type, help and unit are checked in form and dropped: classic histograms and summaries are plain
//! series. What is refused: hexadecimal numbers, digits parted by `_`, numbers beyond the range of a float.
//!
//! This module reads no files and knows nothing of stores.

mod cursor;
mod error;
mod number;
mod series;
#[cfg(test)]
mod tests;

use tsdb_core::{Labels, LabelsBuilder, check_timestamp};

use self::cursor::{Cursor, Fault};
pub use self::error::{LineError, text_of};
pub use self::number::parse_float;
use self::number::{milliseconds, seconds_to_milliseconds};

/// Timestamps of a smaller magnitude are seconds when the format is to be found out.
const AUTO_SECONDS_BELOW: f64 = 1e11;
/// What `# TYPE` may declare, in either format.
const TYPES: [&str; 9] =
    ["counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown", "untyped"];

/// How timestamps are read, and how strictly the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Decided by the first timestamp. Comments and blank lines are skipped, `# EOF` is heeded but not required.
    Auto,
    /// Timestamps in seconds; no blank lines, no comments; the last line is `# EOF`.
    OpenMetrics,
    /// Timestamps in milliseconds; comments (`# EOF` is one) and blank lines are skipped.
    Prometheus,
}

/// One sample, its series still as text.
#[derive(Clone, Copy, Debug)]
pub struct ParsedSample<'a> {
    /// The series as written, `name{a="b"}`: equal text means an equal series.
    pub series: &'a str,
    /// Milliseconds since the Unix epoch, within the range that a store holds.
    pub timestamp_ms: i64,
    /// The value as written.
    pub value: f64,
    line: &'a str,
    line_number: u64,
}

/// The state that outlives a line. One parser reads one file.
#[derive(Debug)]
pub struct Parser {
    asked: Format,
    /// Like `asked`, but no longer `Auto` once the file has shown its format.
    format: Format,
    default_timestamp_ms: Option<i64>,
    /// Whether `# EOF` was read, which ends an OpenMetrics file.
    ended: bool,
    exemplars: u64,
    labels: LabelsBuilder,
    unescaped: String,
}

impl Parser {
    /// A parser at the start of a file. `default_timestamp_ms` is given to samples that have no timestamp;
    /// without it they are errors.
    pub fn new(format: Format, default_timestamp_ms: Option<i64>) -> Self {
        Self {
            asked: format,
            format,
            default_timestamp_ms,
            ended: false,
            exemplars: 0,
            labels: LabelsBuilder::new(),
            unescaped: String::new(),
        }
    }

    /// Exemplars seen and dropped.
    pub fn exemplars(&self) -> u64 {
        self.exemplars
    }

    /// Reads one line, with or without its line end. `Ok(None)` for a line without a sample. After an error the
    /// parser can go on with the next line. `line_number` counts from 1 and serves the messages only.
    ///
    /// # Errors
    /// What is wrong with the line, and where.
    pub fn parse_line<'a>(
        &mut self,
        line: &'a [u8],
        line_number: u64,
    ) -> Result<Option<ParsedSample<'a>>, LineError> {
        let line = text_of(line, line_number)?;
        let line = if line_number == 1 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        let mut cursor = Cursor::new(line);
        cursor.skip_blanks();
        let read = match cursor.peek() {
            None => self.blank_line().map(|()| None),
            Some(b'#') => self.comment(cursor).map(|()| None),
            Some(_) => self.sample(cursor).map(Some),
        };
        match read {
            Ok(None) => Ok(None),
            Ok(Some((series, timestamp_ms, value))) => {
                Ok(Some(ParsedSample { series, timestamp_ms, value, line, line_number }))
            }
            Err(fault) => Err(LineError::new(line, line_number, fault)),
        }
    }

    /// The label set of a sample that this parser returned.
    ///
    /// # Errors
    /// Labels that do not parse, or that no label set may have.
    pub fn labels(&mut self, sample: &ParsedSample<'_>) -> Result<Labels, LineError> {
        let start = sample.series.as_ptr() as usize - sample.line.as_ptr() as usize;
        let mut cursor = Cursor::new(&sample.line[..start + sample.series.len()]);
        cursor.at = start;
        self.labels.clear();
        series::read(&mut cursor, &mut self.labels, &mut self.unescaped)
            .and_then(|()| self.labels.build().map_err(|error| Fault::new(start, error.to_string())))
            .map_err(|fault| LineError::new(sample.line, sample.line_number, fault))
    }

    /// Checks that the file is whole: to be called after the last line, number `last_line`.
    ///
    /// # Errors
    /// An OpenMetrics text without its end.
    pub fn finish(&self, last_line: u64) -> Result<(), LineError> {
        if self.asked == Format::OpenMetrics && !self.ended {
            let reason = "the file ends without # EOF: it was cut short, or is not OpenMetrics";
            return Err(LineError::new("", last_line, Fault::new(0, reason)));
        }
        Ok(())
    }

    fn blank_line(&self) -> Result<(), Fault> {
        match self.asked {
            Format::OpenMetrics => Err(Fault::new(0, "OpenMetrics has no blank lines")),
            Format::Auto | Format::Prometheus => Ok(()),
        }
    }

    /// A line that begins with `#`.
    fn comment(&mut self, mut cursor: Cursor<'_>) -> Result<(), Fault> {
        let start = cursor.at;
        self.refuse_after_end(start)?;
        let is_eof = cursor.rest().trim_end() == "# EOF";
        if is_eof && self.format != Format::Prometheus {
            self.format = Format::OpenMetrics;
            self.ended = true;
            return Ok(());
        }
        cursor.at += 1;
        // Only `# WORD`, with a blank between, is more than a comment.
        let keyword = if cursor.skip_blanks() { cursor.word() } else { "" };
        match keyword {
            "TYPE" => {
                series::read_family_name(&mut cursor)?;
                cursor.expect_blanks("the metric's type")?;
                let at = cursor.at;
                let declared = cursor.rest().trim_end();
                if TYPES.contains(&declared) {
                    return Ok(());
                }
                Err(Fault::new(
                    at,
                    format!("unknown metric type {declared:?}; known are {}", TYPES.join(", ")),
                ))
            }
            "HELP" | "UNIT" => series::read_family_name(&mut cursor),
            _ if self.asked == Format::OpenMetrics => {
                Err(Fault::new(start, "OpenMetrics has no comments besides # TYPE, # HELP, # UNIT and # EOF"))
            }
            _ => Ok(()),
        }
    }

    /// A sample: series, value, perhaps a timestamp, perhaps an exemplar.
    fn sample<'a>(&mut self, mut cursor: Cursor<'a>) -> Result<(&'a str, i64, f64), Fault> {
        self.refuse_after_end(cursor.at)?;
        let series = series::scan(&mut cursor)?;
        cursor.expect_blanks("the sample's value")?;
        let value = read_value(&mut cursor)?;
        cursor.skip_blanks();
        let timestamp_ms = match cursor.peek() {
            None | Some(b'#') => self.default_timestamp_ms.ok_or_else(|| {
                let reason = "the sample has no timestamp; pass --timestamp now (or a time) to give it one";
                Fault::new(cursor.at, reason)
            })?,
            Some(_) => self.read_timestamp(&mut cursor)?,
        };
        cursor.skip_blanks();
        if cursor.peek() == Some(b'#') {
            self.exemplar(&mut cursor)?;
            cursor.skip_blanks();
        }
        match cursor.peek() {
            None => Ok((series, timestamp_ms, value)),
            Some(_) => Err(Fault::new(cursor.at, "expected the end of the line")),
        }
    }

    fn read_timestamp(&mut self, cursor: &mut Cursor<'_>) -> Result<i64, Fault> {
        let at = cursor.at;
        let text = cursor.word();
        if self.format == Format::Auto {
            self.format = format_by_timestamp(text);
        }
        let read = match self.format {
            Format::Prometheus => milliseconds(text),
            Format::Auto | Format::OpenMetrics => seconds_to_milliseconds(text),
        };
        let timestamp_ms = read.map_err(|reason| Fault::new(at, format!("timestamp {text:?} {reason}")))?;
        check_timestamp(timestamp_ms).map_err(|error| {
            let unit = if self.format == Format::Prometheus { "milliseconds" } else { "seconds" };
            Fault::new(at, format!("{error}; {text} was read as {unit}"))
        })?;
        Ok(timestamp_ms)
    }

    /// ` # {labels} value [timestamp]`, from the `#`.
    fn exemplar(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        cursor.at += 1;
        cursor.skip_blanks();
        self.labels.clear();
        series::read_exemplar_labels(cursor, &mut self.labels, &mut self.unescaped)?;
        cursor.expect_blanks("the exemplar's value")?;
        read_value(cursor)?;
        if cursor.skip_blanks() && cursor.peek().is_some() {
            let at = cursor.at;
            let text = cursor.word();
            seconds_to_milliseconds(text)
                .map_err(|reason| Fault::new(at, format!("the exemplar's timestamp {text:?} {reason}")))?;
        }
        self.exemplars += 1;
        Ok(())
    }

    fn refuse_after_end(&self, at: usize) -> Result<(), Fault> {
        if self.ended {
            Err(Fault::new(at, "text after # EOF, the end of an OpenMetrics file"))
        } else {
            Ok(())
        }
    }
}

fn read_value(cursor: &mut Cursor<'_>) -> Result<f64, Fault> {
    let at = cursor.at;
    let text = cursor.word();
    parse_float(text).map_err(|reason| Fault::new(at, format!("value {text:?} {reason}")))
}

/// The rule of [`Format::Auto`]. A text that is no number is left to the seconds' reader, which tells why.
fn format_by_timestamp(text: &str) -> Format {
    let whole = !text.contains(['.', 'e', 'E']);
    let large = text.parse::<f64>().is_ok_and(|number| number.abs() >= AUTO_SECONDS_BELOW);
    if whole && large { Format::Prometheus } else { Format::OpenMetrics }
}
