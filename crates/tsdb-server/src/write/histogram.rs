//! A native histogram of remote write, which is the same message in 1.0 and 2.0.
//!
//! On the wire integer buckets are differences to the bucket before; here they are absolute. Which of the two forms a
//! histogram has is said by its count: a float count makes it a float histogram, as in Prometheus.

use std::sync::Arc;

use tsdb_core::{Buckets, CustomBounds, Histogram, MAX_HISTOGRAM_BUCKETS, ResetHint, Span};

use super::wire::{Fields, Malformed, Read, Value, zigzag64};

/// Bytes of the longest number in a list.
const VARINT_BYTES_MAX: usize = 10;

/// A histogram with its place in time.
pub(super) struct HistogramSample {
    pub(super) timestamp_ms: i64,
    pub(super) histogram: Arc<Histogram>,
    /// Whether a start timestamp came with it.
    pub(super) has_start: bool,
}

/// A histogram that cannot be: the sample is refused, the body is not.
pub(super) type Decoded = Result<HistogramSample, String>;

/// A count of either form; the last one on the wire is right.
#[derive(Clone, Copy, Debug)]
enum Count {
    Int(u64),
    Float(f64),
}

/// The fields as they come.
struct Parts {
    count: Count,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    zero_count: Count,
    negative: Side,
    positive: Side,
    reset_hint: u32,
    timestamp_ms: i64,
    custom_bounds: Vec<f64>,
    start_ms: i64,
}

#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

/// Reads the message. What is wrong with its form spoils the body; what is wrong with the histogram, only the sample.
pub(super) fn decode(message: &[u8]) -> Read<Decoded> {
    let mut parts = Parts {
        count: Count::Int(0),
        sum: 0.0,
        schema: 0,
        zero_threshold: 0.0,
        zero_count: Count::Int(0),
        negative: Side::default(),
        positive: Side::default(),
        reset_hint: 0,
        timestamp_ms: 0,
        custom_bounds: Vec::new(),
        start_ms: 0,
    };
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => parts.count = Count::Int(value.varint()?),
            2 => parts.count = Count::Float(value.double()?),
            3 => parts.sum = value.double()?,
            4 => parts.schema = value.zigzag32()?,
            5 => parts.zero_threshold = value.double()?,
            6 => parts.zero_count = Count::Int(value.varint()?),
            7 => parts.zero_count = Count::Float(value.double()?),
            8..=10 => parts.negative.field(number - 8, value)?,
            11..=13 => parts.positive.field(number - 11, value)?,
            14 => parts.reset_hint = value.uint32()?,
            15 => parts.timestamp_ms = value.int64()?,
            16 => {
                check_length(value, parts.custom_bounds.len())?;
                value.each_double(|bound| parts.custom_bounds.push(bound))?;
            }
            17 => parts.start_ms = value.int64()?,
            _ => {}
        }
    }
    Ok(parts.build())
}

impl Side {
    /// A field of this side: spans, differences, or counts.
    fn field(&mut self, which: u32, value: Value<'_>) -> Read<()> {
        check_length(value, self.spans.len().max(self.deltas.len()).max(self.counts.len()))?;
        match which {
            0 => self.spans.push(span(value.bytes()?)?),
            1 => value.each_varint(|delta| self.deltas.push(zigzag64(delta)))?,
            _ => value.each_double(|count| self.counts.push(count))?,
        }
        Ok(())
    }

    fn absolute(&self) -> Result<Vec<u64>, String> {
        let mut count = 0_i64;
        let absolute = self.deltas.iter().map(|&delta| {
            count = count.checked_add(delta).filter(|&count| count >= 0)?;
            Some(count as u64)
        });
        absolute.collect::<Option<_>>().ok_or_else(|| "a bucket's count is negative or too large".to_owned())
    }
}

/// Refuses a list that is longer than that of any histogram, before it takes memory: it would be refused later in any case.
fn check_length(value: Value<'_>, before: usize) -> Read<()> {
    let is_long =
        matches!(value, Value::Bytes(packed) if packed.len() > MAX_HISTOGRAM_BUCKETS * VARINT_BYTES_MAX);
    if is_long || before > MAX_HISTOGRAM_BUCKETS {
        return Err(Malformed::new("a histogram has more buckets than any may have"));
    }
    Ok(())
}

fn span(message: &[u8]) -> Read<Span> {
    let mut span = Span { offset: 0, length: 0 };
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => span.offset = value.zigzag32()?,
            2 => span.length = value.uint32()?,
            _ => {}
        }
    }
    Ok(span)
}

impl Parts {
    fn build(self) -> Decoded {
        let (timestamp_ms, has_start) = (self.timestamp_ms, self.start_ms != 0);
        let histogram = Arc::new(self.histogram()?);
        Ok(HistogramSample { timestamp_ms, histogram, has_start })
    }

    fn histogram(self) -> Result<Histogram, String> {
        if tsdb_core::is_stale_nan(self.sum) {
            return Ok(Histogram::stale(matches!(self.count, Count::Float(_))));
        }
        let reset_hint = u8::try_from(self.reset_hint).ok().and_then(|hint| ResetHint::try_from(hint).ok());
        let reset_hint =
            reset_hint.ok_or_else(|| format!("reset hint {} is not one of 0 to 3", self.reset_hint))?;
        let buckets = match self.count {
            Count::Float(count) => Buckets::Float {
                count,
                zero_count: match self.zero_count {
                    Count::Float(zero_count) => zero_count,
                    Count::Int(0) => 0.0,
                    Count::Int(_) => {
                        return Err("the zero count of a float histogram is an integer".to_owned());
                    }
                },
                positive: self.positive.counts,
                negative: self.negative.counts,
            },
            Count::Int(count) => Buckets::Int {
                count,
                zero_count: match self.zero_count {
                    Count::Int(zero_count) => zero_count,
                    Count::Float(_) => {
                        return Err("the zero count of an integer histogram is a float".to_owned());
                    }
                },
                positive: self.positive.absolute()?,
                negative: self.negative.absolute()?,
            },
        };
        Ok(Histogram {
            reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            sum: self.sum,
            positive_spans: self.positive.spans,
            negative_spans: self.negative.spans,
            buckets,
            custom_bounds: CustomBounds::from(self.custom_bounds),
        })
    }
}
