//! A client of Prometheus' remote write: bodies of 1.0 and 2.0. It shares nothing with the server.

use std::collections::HashMap;

use tsdb_core::{Buckets, Histogram, Series, Span};

use crate::wire::{put_bytes, put_integer, put_varint};

/// What is said of a metric: its name, the number of its kind, help and unit.
pub type About<'a> = (&'a str, u64, &'a str, &'a str);

/// A message of remote write 1.0: a time series for each series, with an exemplar where `exemplars` says so.
#[must_use]
pub fn write_request_v1(series: &[Series], metadata: &[About<'_>], exemplars: bool) -> Vec<u8> {
    let mut message = Vec::new();
    for series in series {
        let mut out = Vec::new();
        for (name, value) in &series.labels {
            let mut label = Vec::new();
            put_bytes(&mut label, 1, name.as_bytes());
            put_bytes(&mut label, 2, value.as_bytes());
            put_bytes(&mut out, 1, &label);
        }
        for sample in samples(series, None) {
            put_bytes(&mut out, 2, &sample);
        }
        if exemplars {
            put_bytes(&mut out, 3, &[]);
        }
        for histogram in histograms(series, None) {
            put_bytes(&mut out, 4, &histogram);
        }
        put_bytes(&mut message, 1, &out);
    }
    for (metric, kind, help, unit) in metadata {
        let mut about = Vec::new();
        put_integer(&mut about, 1, *kind);
        put_bytes(&mut about, 2, metric.as_bytes());
        put_bytes(&mut about, 4, help.as_bytes());
        put_bytes(&mut about, 5, unit.as_bytes());
        put_bytes(&mut message, 3, &about);
    }
    message
}

/// A message of remote write 2.0. Metadata goes with the series of its metric; `start_ms` with every sample.
#[must_use]
pub fn write_request_v2(
    series: &[Series],
    metadata: &[About<'_>],
    exemplars: bool,
    start_ms: Option<i64>,
) -> Vec<u8> {
    let mut symbols = Symbols::default();
    symbols.number("");
    let mut all = Vec::new();
    for series in series {
        let mut refs = Vec::new();
        for (name, value) in &series.labels {
            put_varint(&mut refs, symbols.number(name));
            put_varint(&mut refs, symbols.number(value));
        }
        let mut out = Vec::new();
        put_bytes(&mut out, 1, &refs);
        for sample in samples(series, start_ms) {
            put_bytes(&mut out, 2, &sample);
        }
        for histogram in histograms(series, start_ms) {
            put_bytes(&mut out, 3, &histogram);
        }
        if exemplars {
            put_bytes(&mut out, 4, &[]);
        }
        if let Some((_, kind, help, unit)) =
            metadata.iter().find(|about| series.labels.metric_name() == Some(about.0))
        {
            let mut about = Vec::new();
            put_integer(&mut about, 1, *kind);
            put_integer(&mut about, 3, symbols.number(help));
            put_integer(&mut about, 4, symbols.number(unit));
            put_bytes(&mut out, 5, &about);
        }
        put_bytes(&mut all, 5, &out);
    }
    let mut message = Vec::new();
    symbols.texts.iter().for_each(|text| put_bytes(&mut message, 4, text.as_bytes()));
    message.extend(all);
    message
}

/// A message as a body: a snappy block.
///
/// # Panics
/// If it has more than 4 GiB.
#[must_use]
pub fn snappy(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).expect("invariant: a message is small")
}

/// Texts by number, each once.
#[derive(Default)]
struct Symbols {
    texts: Vec<String>,
    numbers: HashMap<String, u64>,
}

impl Symbols {
    fn number(&mut self, text: &str) -> u64 {
        let next = self.texts.len() as u64;
        *self.numbers.entry(text.to_owned()).or_insert_with(|| {
            self.texts.push(text.to_owned());
            next
        })
    }
}

fn samples(series: &Series, start_ms: Option<i64>) -> impl Iterator<Item = Vec<u8>> + '_ {
    let floats = series.samples.timestamps_ms.iter().zip(&series.samples.values);
    floats.map(move |(timestamp_ms, value)| {
        let mut out = Vec::new();
        put_double(&mut out, 1, *value);
        put_integer(&mut out, 2, *timestamp_ms as u64);
        if let Some(start_ms) = start_ms {
            put_integer(&mut out, 3, start_ms as u64);
        }
        out
    })
}

fn histograms(series: &Series, start_ms: Option<i64>) -> impl Iterator<Item = Vec<u8>> + '_ {
    series.samples.histograms.iter().map(move |(timestamp_ms, histogram)| {
        let mut out = histogram_message(histogram);
        put_integer(&mut out, 15, *timestamp_ms as u64);
        if let Some(start_ms) = start_ms {
            put_integer(&mut out, 17, start_ms as u64);
        }
        out
    })
}

fn histogram_message(histogram: &Histogram) -> Vec<u8> {
    let mut out = Vec::new();
    put_double(&mut out, 3, histogram.sum);
    put_integer(&mut out, 4, zigzag(i64::from(histogram.schema)));
    put_double(&mut out, 5, histogram.zero_threshold);
    put_spans(&mut out, 8, &histogram.negative_spans);
    put_spans(&mut out, 11, &histogram.positive_spans);
    match &histogram.buckets {
        Buckets::Int { count, zero_count, positive, negative } => {
            put_integer(&mut out, 1, *count);
            put_integer(&mut out, 6, *zero_count);
            put_bytes(&mut out, 9, &deltas(negative));
            put_bytes(&mut out, 12, &deltas(positive));
        }
        Buckets::Float { count, zero_count, positive, negative } => {
            put_double(&mut out, 2, *count);
            put_double(&mut out, 7, *zero_count);
            put_bytes(&mut out, 10, &doubles(negative));
            put_bytes(&mut out, 13, &doubles(positive));
        }
    }
    put_integer(&mut out, 14, histogram.reset_hint as u64);
    put_bytes(&mut out, 16, &doubles(&histogram.custom_bounds));
    out
}

fn put_double(out: &mut Vec<u8>, field: u64, value: f64) {
    put_varint(out, field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_spans(out: &mut Vec<u8>, field: u64, spans: &[Span]) {
    for span in spans {
        let mut message = Vec::new();
        put_integer(&mut message, 1, zigzag(i64::from(span.offset)));
        put_integer(&mut message, 2, u64::from(span.length));
        put_bytes(out, field, &message);
    }
}

/// Each count as the difference to the one before it, packed.
fn deltas(counts: &[u64]) -> Vec<u8> {
    let (mut out, mut before) = (Vec::new(), 0);
    for &count in counts {
        put_varint(&mut out, zigzag(count.wrapping_sub(before) as i64));
        before = count;
    }
    out
}

fn doubles(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}
