//! Series to lines.

use std::io::{self, Write};

use tsdb_core::{Buckets, Histogram, Series, Span};

use super::value::ValueText;

/// Writes one line, with its line end. Writes are many and small: `out` should be buffered.
///
/// # Errors
/// Those of `out`.
pub fn write_series(out: &mut impl Write, series: &Series) -> io::Result<()> {
    out.write_all(b"{\"labels\":{")?;
    for (i, (name, value)) in series.labels.iter().enumerate() {
        separate(out, i)?;
        serde_json::to_writer(&mut *out, name)?;
        out.write_all(b":")?;
        serde_json::to_writer(&mut *out, value)?;
    }
    out.write_all(b"},\"samples\":[")?;
    let samples = &series.samples;
    for (i, (timestamp_ms, value)) in samples.timestamps_ms.iter().zip(&samples.values).enumerate() {
        separate(out, i)?;
        write!(out, "[{timestamp_ms},\"{}\"]", ValueText(*value))?;
    }
    out.write_all(b"],\"histograms\":[")?;
    for (i, (timestamp_ms, histogram)) in samples.histograms.iter().enumerate() {
        separate(out, i)?;
        write!(out, "[{timestamp_ms},")?;
        write_histogram(out, histogram)?;
        out.write_all(b"]")?;
    }
    out.write_all(b"]}\n")
}

/// The JSON object of one histogram, for the formats that have no form of their own for it.
pub fn histogram_text(histogram: &Histogram) -> String {
    let mut text = Vec::new();
    // A vector takes every write, and JSON is UTF-8.
    let written = write_histogram(&mut text, histogram);
    debug_assert!(written.is_ok(), "a vector refused a write");
    String::from_utf8_lossy(&text).into_owned()
}

fn write_histogram(out: &mut impl Write, histogram: &Histogram) -> io::Result<()> {
    write!(
        out,
        "{{\"is_float\":{},\"reset_hint\":{},\"schema\":{},\"zero_threshold\":\"{}\"",
        histogram.is_float(),
        histogram.reset_hint as u8,
        histogram.schema,
        ValueText(histogram.zero_threshold)
    )?;
    match &histogram.buckets {
        Buckets::Int { count, zero_count, .. } => {
            write!(out, ",\"zero_count\":{zero_count},\"count\":{count}")?;
        }
        Buckets::Float { count, zero_count, .. } => {
            write!(
                out,
                ",\"zero_count\":\"{}\",\"count\":\"{}\"",
                ValueText(*zero_count),
                ValueText(*count)
            )?;
        }
    }
    write!(out, ",\"sum\":\"{}\"", ValueText(histogram.sum))?;
    write_spans(out, "positive_spans", &histogram.positive_spans)?;
    write_spans(out, "negative_spans", &histogram.negative_spans)?;
    match &histogram.buckets {
        Buckets::Int { positive, negative, .. } => {
            write_list(out, "positive_counts", positive, |out, count| write!(out, "{count}"))?;
            write_list(out, "negative_counts", negative, |out, count| write!(out, "{count}"))?;
        }
        Buckets::Float { positive, negative, .. } => {
            write_list(out, "positive_counts", positive, write_float)?;
            write_list(out, "negative_counts", negative, write_float)?;
        }
    }
    if !histogram.custom_bounds.is_empty() {
        write_list(out, "custom_values", &histogram.custom_bounds, write_float)?;
    }
    out.write_all(b"}")
}

fn write_spans(out: &mut impl Write, field: &str, spans: &[Span]) -> io::Result<()> {
    write_list(out, field, spans, |out, span| write!(out, "[{},{}]", span.offset, span.length))
}

fn write_float<W: Write>(out: &mut W, value: &f64) -> io::Result<()> {
    write!(out, "\"{}\"", ValueText(*value))
}

fn write_list<W: Write, T>(
    out: &mut W,
    field: &str,
    items: &[T],
    write_item: impl Fn(&mut W, &T) -> io::Result<()>,
) -> io::Result<()> {
    write!(out, ",\"{field}\":[")?;
    for (i, item) in items.iter().enumerate() {
        separate(out, i)?;
        write_item(out, item)?;
    }
    out.write_all(b"]")
}

/// A comma before every item but the first.
fn separate(out: &mut impl Write, item: usize) -> io::Result<()> {
    if item == 0 { Ok(()) } else { out.write_all(b",") }
}
