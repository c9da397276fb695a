//! The layout of a histogram chunk: what all its histograms have in common, written once.

use std::sync::Arc;

use super::reader::{Reader, put_ivarint};
use crate::cursor::put_varint;
use crate::histogram::MAX_HISTOGRAM_BUCKETS;
use crate::{Buckets, Error, Histogram, ResetHint, Result, Span};

/// The most numbers that the histograms of one chunk may have together, layouts included: bounds the memory of
/// a decoder, whose input may say "the same again" in a few bytes.
pub(super) const MAX_CHUNK_CELLS: usize = 1 << 20;

/// Numbers that one histogram of the layout holds: buckets, spans and bounds, and the four that all have.
pub(super) fn cells(template: &Histogram) -> usize {
    bucket_count(&template.positive_spans)
        + bucket_count(&template.negative_spans)
        + template.positive_spans.len()
        + template.negative_spans.len()
        + template.custom_bounds.len()
        + 4
}

/// Buckets that the spans name.
pub(super) fn bucket_count(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.length as usize).sum()
}

/// Appends the layout of `template`.
pub(super) fn put_layout(template: &Histogram, out: &mut Vec<u8>) {
    put_ivarint(out, i64::from(template.schema));
    out.extend_from_slice(&template.zero_threshold.to_le_bytes());
    put_spans(&template.positive_spans, out);
    put_spans(&template.negative_spans, out);
    put_varint(out, template.custom_bounds.len() as u64);
    for bound in template.custom_bounds.iter() {
        out.extend_from_slice(&bound.to_le_bytes());
    }
}

fn put_spans(spans: &[Span], out: &mut Vec<u8>) {
    put_varint(out, spans.len() as u64);
    for span in spans {
        put_ivarint(out, i64::from(span.offset));
        put_varint(out, u64::from(span.length));
    }
}

/// Reads a layout, as a histogram without counts.
pub(super) fn read_layout(reader: &mut Reader<'_>) -> Result<Histogram> {
    let schema =
        i32::try_from(reader.ivarint()?).map_err(|_| reader.corrupt("the schema exceeds 32 bits"))?;
    let zero_threshold = reader.f64()?;
    let positive_spans = read_spans(reader)?;
    let negative_spans = read_spans(reader)?;
    let bounds = read_len(reader, 8)?;
    let custom_bounds: Arc<[f64]> = (0..bounds).map(|_| reader.f64()).collect::<Result<_>>()?;
    let template = Histogram {
        reset_hint: ResetHint::Unknown,
        schema,
        zero_threshold,
        sum: 0.0,
        positive_spans,
        negative_spans,
        buckets: Buckets::Int { count: 0, zero_count: 0, positive: Vec::new(), negative: Vec::new() },
        custom_bounds,
    };
    match template.check_layout() {
        Ok(()) => Ok(template),
        Err(Error::InvalidHistogram(rule)) => Err(reader.corrupt(rule)),
        Err(other) => Err(other),
    }
}

fn read_spans(reader: &mut Reader<'_>) -> Result<Vec<Span>> {
    let len = read_len(reader, 2)?;
    let mut spans = Vec::with_capacity(len);
    for _ in 0..len {
        let (offset, length) = (reader.ivarint()?, reader.uvarint()?);
        let (Ok(offset), Ok(length)) = (i32::try_from(offset), u32::try_from(length)) else {
            return Err(reader.corrupt("a span exceeds 32 bits"));
        };
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

/// Reads the length of a list whose items take at least `item_len` bytes each.
fn read_len(reader: &mut Reader<'_>, item_len: usize) -> Result<usize> {
    let len = reader.uvarint()?;
    if len > MAX_HISTOGRAM_BUCKETS as u64 || len as usize > reader.remaining() / item_len {
        return Err(reader.corrupt(format!("a list of {len} items cannot be here")));
    }
    Ok(len as usize)
}
