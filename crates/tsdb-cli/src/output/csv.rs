//! For spreadsheets: one sample a line, `series,timestamp,value`, quoted as RFC 4180 says.

use std::io::{self, Write};

use tsdb_core::{SampleValue, Series};

use super::float;
use tsdb_text::{jsonl, time};

pub(crate) fn write_header(out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"series,timestamp,value\n")
}

pub(crate) fn write_series(out: &mut impl Write, series: &Series) -> io::Result<()> {
    let name = quoted(&series.labels.to_string());
    for (timestamp_ms, value) in series.samples.iter() {
        let value = match value {
            SampleValue::Float(value) => float(value),
            SampleValue::Histogram(histogram) => quoted(&jsonl::histogram_text(&histogram)),
        };
        writeln!(out, "{name},{},{value}", time::format(timestamp_ms))?;
    }
    Ok(())
}

/// A field in quotes, each quote in it doubled. Always quoted: label sets hold commas and quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use tsdb_core::{Labels, SampleBuffer};

    use super::*;

    #[test]
    fn a_line_is_a_sample() {
        let mut samples = SampleBuffer::default();
        samples.push(0, SampleValue::Float(1.5));
        samples.push(1, SampleValue::Float(f64::NEG_INFINITY));
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a\"b,c")]).unwrap();
        let mut out = Vec::new();
        write_series(&mut out, &Series { labels, samples }).unwrap();
        let series = r#""up{job=""a\""b,c""}""#;
        let expected =
            format!("{series},1970-01-01T00:00:00.000Z,1.5\n{series},1970-01-01T00:00:00.001Z,-Inf\n");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
