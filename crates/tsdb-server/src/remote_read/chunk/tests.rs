//! Our chunks against those of Prometheus, byte for byte, and where one ends and the next begins. That all samples come back is
//! tested in `tests/it`, with a reader of its own.

use std::sync::Arc;

use serde_json::Value;
use tsdb_core::{Buckets, Histogram, ResetHint, SampleBuffer, SampleValue, Span};

use super::*;

const PROMETHEUS: &str = include_str!("../../../../../testdata/prometheus/chunks.json");

fn bits(text: &Value) -> f64 {
    f64::from_bits(u64::from_str_radix(text.as_str().unwrap(), 16).unwrap())
}

fn spans(json: &Value) -> Vec<Span> {
    let span = |span: &Value| Span {
        offset: span[0].as_i64().unwrap() as i32,
        length: span[1].as_u64().unwrap() as u32,
    };
    json.as_array().unwrap().iter().map(span).collect()
}

fn floats(json: &Value) -> Vec<f64> {
    json.as_array().unwrap().iter().map(|count| count.as_f64().unwrap()).collect()
}

fn integers(json: &Value) -> Vec<u64> {
    json.as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect()
}

fn histogram(case: &Value, json: &Value) -> Histogram {
    let is_float = case["encoding"] == 3;
    let buckets = if is_float {
        Buckets::Float {
            count: json["count"].as_f64().unwrap(),
            zero_count: json["zero"].as_f64().unwrap(),
            positive: floats(&json["positive"]),
            negative: floats(&json["negative"]),
        }
    } else {
        Buckets::Int {
            count: json["count"].as_u64().unwrap(),
            zero_count: json["zero"].as_u64().unwrap(),
            positive: integers(&json["positive"]),
            negative: integers(&json["negative"]),
        }
    };
    Histogram {
        reset_hint: ResetHint::Unknown,
        schema: case["schema"].as_i64().unwrap() as i32,
        zero_threshold: bits(&case["zero_threshold"]),
        sum: bits(&json["sum"]),
        positive_spans: spans(&case["positive_spans"]),
        negative_spans: spans(&case["negative_spans"]),
        buckets,
        custom_bounds: [].into(),
    }
}

fn samples(case: &Value) -> SampleBuffer {
    let mut samples = SampleBuffer::default();
    for sample in case["floats"].as_array().into_iter().flatten() {
        samples.push(sample[0].as_i64().unwrap(), SampleValue::Float(bits(&sample[1])));
    }
    for sample in case["histograms"].as_array().into_iter().flatten() {
        let value = SampleValue::Histogram(Arc::new(histogram(case, sample)));
        samples.push(sample["t"].as_i64().unwrap(), value);
    }
    samples
}

#[test]
fn chunks_are_those_of_prometheus() {
    let cases: Vec<Value> = serde_json::from_str(PROMETHEUS).unwrap();
    assert_eq!(cases.len(), 3);
    for case in &cases {
        let chunks: Vec<proto::Chunk> = Chunks::of(samples(case)).collect();
        let [chunk] = &chunks[..] else { panic!("{} chunks for {}", chunks.len(), case["encoding"]) };
        let hex: String = chunk.data.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(i64::from(chunk.encoding), case["encoding"].as_i64().unwrap());
        assert_eq!(hex, case["chunk"].as_str().unwrap(), "encoding {}", case["encoding"]);
    }
}

fn counter(count: u64, hint: ResetHint) -> Histogram {
    let buckets = Buckets::Int { count, zero_count: 0, positive: vec![count], negative: Vec::new() };
    let positive_spans = vec![Span { offset: 0, length: 1 }];
    Histogram { reset_hint: hint, sum: 1.0, positive_spans, buckets, ..Histogram::stale(false) }
}

/// How many samples are in each chunk.
fn counts(values: impl IntoIterator<Item = SampleValue>) -> Vec<u16> {
    let mut samples = SampleBuffer::default();
    values.into_iter().zip(1..).for_each(|(value, timestamp_ms)| samples.push(timestamp_ms, value));
    Chunks::of(samples).map(|chunk| u16::from_be_bytes([chunk.data[0], chunk.data[1]])).collect()
}

#[test]
fn a_chunk_ends_where_the_kind_changes_or_it_is_full() {
    let float = || SampleValue::Float(1.0);
    let histogram = |count| SampleValue::Histogram(Arc::new(counter(count, ResetHint::Unknown)));
    assert!(counts([]).is_empty());
    assert_eq!(counts((0..250).map(|_| float())), [120, 120, 10]);
    assert_eq!(counts((0..250).map(histogram)), [120, 120, 10]);
    assert_eq!(counts([float(), histogram(1), histogram(2), float(), float()]), [1, 2, 2]);
}

#[test]
fn no_reset_is_claimed_that_is_not_certain() {
    use ResetHint::{Gauge, NoReset, Reset, Unknown};
    let of = |histograms: &[Histogram]| {
        counts(histograms.iter().map(|histogram| SampleValue::Histogram(Arc::new(histogram.clone()))))
    };
    let stale = || Histogram::stale(false);
    let finer = Histogram { schema: 1, ..counter(9, NoReset) };
    assert_eq!(of(&[counter(5, Reset), counter(5, Unknown), counter(9, NoReset)]), [3]);
    // A count that shrinks, a reset that is announced, another layout.
    assert_eq!(of(&[counter(5, Unknown), counter(4, Unknown)]), [1, 1]);
    assert_eq!(of(&[counter(5, Unknown), counter(6, Reset)]), [1, 1]);
    assert_eq!(of(&[counter(5, Unknown), finer]), [1, 1]);
    // Gauges may shrink, and do not mix with counters.
    assert_eq!(of(&[counter(5, Gauge), counter(4, Gauge), counter(6, Unknown)]), [2, 1]);
    // Behind a staleness marker begins another chunk.
    assert_eq!(of(&[counter(5, Unknown), stale(), stale(), counter(6, Unknown)]), [3, 1]);
    assert_eq!(of(&[stale(), Histogram::stale(true)]), [1, 1]);
}
