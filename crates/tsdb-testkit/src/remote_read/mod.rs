//! A client of Prometheus' remote read: requests, and both kinds of responses as series.
//!
//! It shares nothing with the server, protocol buffers and bits included, and checks what it reads: checksums, label order,
//! chunks that say what is in them. What is wrong ends in a sentence.

mod chunk;

use std::sync::Arc;

use tsdb_core::{
    Buckets, Histogram, Labels, MatchOp, Matcher, ResetHint, SampleBuffer, SampleValue, Series, Span,
    TimeRange,
};

use crate::wire::{self, Field, fields};

/// What a client of remote read accepts.
pub const SAMPLES: u64 = 0;
/// What a client of remote read accepts.
pub const STREAMED_XOR_CHUNKS: u64 = 1;

type Result<T> = std::result::Result<T, String>;

/// A body for `POST /api/v1/read`: the queries, and the response types in the order in which they are wanted.
///
/// # Panics
/// If that is more than 4 GiB.
#[must_use]
pub fn read_request(queries: &[(&[Matcher], TimeRange)], accepted: &[u64]) -> Vec<u8> {
    let mut message = Vec::new();
    for (matchers, range) in queries {
        let mut query = Vec::new();
        wire::put_integer(&mut query, 1, range.start_ms as u64);
        wire::put_integer(&mut query, 2, range.end_ms as u64);
        for matcher in *matchers {
            let mut bytes = Vec::new();
            wire::put_integer(&mut bytes, 1, op_number(matcher.op()));
            wire::put_bytes(&mut bytes, 2, matcher.name().as_bytes());
            wire::put_bytes(&mut bytes, 3, matcher.value().as_bytes());
            wire::put_bytes(&mut query, 3, &bytes);
        }
        // Hints, as Prometheus sends them; its own server leaves out what is not between those times.
        let mut hints = Vec::new();
        wire::put_integer(&mut hints, 1, 15_000);
        wire::put_bytes(&mut hints, 2, b"rate");
        wire::put_integer(&mut hints, 3, range.start_ms as u64);
        wire::put_integer(&mut hints, 4, range.end_ms as u64);
        wire::put_bytes(&mut query, 4, &hints);
        wire::put_bytes(&mut message, 1, &query);
    }
    accepted.iter().for_each(|&number| wire::put_integer(&mut message, 2, number));
    snap::raw::Encoder::new().compress_vec(&message).expect("invariant: a request is small")
}

fn op_number(op: MatchOp) -> u64 {
    match op {
        MatchOp::Equal => 0,
        MatchOp::NotEqual => 1,
        MatchOp::Regex => 2,
        MatchOp::NotRegex => 3,
    }
}

/// Reads a response of the type SAMPLES: the series for each query.
///
/// # Errors
/// What is wrong with it.
pub fn read_samples(body: &[u8]) -> Result<Vec<Vec<Series>>> {
    let message = snap::raw::Decoder::new().decompress_vec(body).map_err(|error| error.to_string())?;
    let mut results = Vec::new();
    for field in fields(&message) {
        let (1, Field::Bytes(result)) = field? else { return Err("a field that is no result".into()) };
        let series = fields(result).map(|field| match field? {
            (1, Field::Bytes(series)) => time_series(series),
            other => Err(format!("a field of a result: {other:?}")),
        });
        results.push(series.collect::<Result<_>>()?);
    }
    Ok(results)
}

fn time_series(bytes: &[u8]) -> Result<Series> {
    let (mut labels, mut samples) = (Vec::new(), Vec::new());
    for field in fields(bytes) {
        match field? {
            (1, Field::Bytes(pair)) => labels.push(label(pair)?),
            (2, Field::Bytes(sample)) => {
                let (mut value, mut timestamp_ms) = (0.0, 0);
                for field in fields(sample) {
                    match field? {
                        (1, Field::Fixed(bits)) => value = f64::from_bits(bits),
                        (2, Field::Integer(number)) => timestamp_ms = number as i64,
                        other => return Err(format!("a field of a sample: {other:?}")),
                    }
                }
                samples.push((timestamp_ms, SampleValue::Float(value)));
            }
            (4, Field::Bytes(bytes)) => {
                let (timestamp_ms, histogram) = histogram(bytes)?;
                samples.push((timestamp_ms, SampleValue::Histogram(Arc::new(histogram))));
            }
            other => return Err(format!("a field of a series: {other:?}")),
        }
    }
    // Floats come before histograms, each by time.
    samples.sort_by_key(|(timestamp_ms, _)| *timestamp_ms);
    series(labels, samples)
}

fn label(bytes: &[u8]) -> Result<(String, String)> {
    let mut pair = [String::new(), String::new()];
    for field in fields(bytes) {
        let (number @ 1..=2, Field::Bytes(text)) = field? else { return Err("a field of a label".into()) };
        pair[number as usize - 1] = String::from_utf8(text.to_vec()).map_err(|error| error.to_string())?;
    }
    let [name, value] = pair;
    Ok((name, value))
}

fn series(labels: Vec<(String, String)>, samples: Vec<(i64, SampleValue)>) -> Result<Series> {
    if !labels.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(format!("labels are not sorted: {labels:?}"));
    }
    let mut buffer = SampleBuffer::default();
    for (timestamp_ms, value) in samples {
        let end_ms = buffer.time_range().end_ms;
        if !buffer.is_empty() && timestamp_ms <= end_ms {
            return Err(format!("{timestamp_ms} comes after {end_ms} in {labels:?}"));
        }
        buffer.push(timestamp_ms, value);
    }
    let labels = Labels::from_pairs(labels).map_err(|error| error.to_string())?;
    Ok(Series { labels, samples: buffer })
}

fn histogram(bytes: &[u8]) -> Result<(i64, Histogram)> {
    let mut made = Histogram { sum: 0.0, ..Histogram::stale(false) };
    let mut timestamp_ms = 0;
    let (mut ints, mut floats) = ([0; 2], [0.0; 2]);
    let (mut int_counts, mut float_counts) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let (mut is_float, mut bounds) = (false, Vec::new());
    for field in fields(bytes) {
        match field? {
            (number @ (1 | 6), Field::Integer(count)) => ints[usize::from(number == 6)] = count,
            (number @ (2 | 7), Field::Fixed(bits)) => {
                is_float = true;
                floats[usize::from(number == 7)] = f64::from_bits(bits);
            }
            (3, Field::Fixed(bits)) => made.sum = f64::from_bits(bits),
            (4, Field::Integer(schema)) => made.schema = wire::zigzag(schema) as i32,
            (5, Field::Fixed(bits)) => made.zero_threshold = f64::from_bits(bits),
            (8, Field::Bytes(bytes)) => made.negative_spans.push(span(bytes)?),
            (11, Field::Bytes(bytes)) => made.positive_spans.push(span(bytes)?),
            (number @ (9 | 12), Field::Bytes(deltas)) => {
                let mut count = 0_u64;
                let counts = wire::integers(deltas)?.into_iter().map(|delta| {
                    count = count.wrapping_add(wire::zigzag(delta) as u64);
                    count
                });
                int_counts[usize::from(number == 9)] = counts.collect();
            }
            (number @ (10 | 13), Field::Bytes(counts)) => {
                float_counts[usize::from(number == 10)] = wire::floats(counts)?;
            }
            (14, Field::Integer(hint)) => {
                let hint = u8::try_from(hint).map_err(|error| error.to_string())?;
                made.reset_hint = ResetHint::try_from(hint).map_err(|error| error.to_string())?;
            }
            (15, Field::Integer(number)) => timestamp_ms = number as i64,
            (16, Field::Bytes(floats)) => bounds = wire::floats(floats)?,
            other => return Err(format!("a field of a histogram: {other:?}")),
        }
    }
    made.custom_bounds = bounds.into();
    made.buckets = if is_float {
        let ([count, zero_count], [positive, negative]) = (floats, float_counts);
        Buckets::Float { count, zero_count, positive, negative }
    } else {
        let ([count, zero_count], [positive, negative]) = (ints, int_counts);
        Buckets::Int { count, zero_count, positive, negative }
    };
    Ok((timestamp_ms, made))
}

fn span(bytes: &[u8]) -> Result<Span> {
    let mut span = Span { offset: 0, length: 0 };
    for field in fields(bytes) {
        match field? {
            (1, Field::Integer(offset)) => span.offset = wire::zigzag(offset) as i32,
            (2, Field::Integer(length)) => span.length = length as u32,
            other => return Err(format!("a field of a span: {other:?}")),
        }
    }
    Ok(span)
}

/// One frame of a streamed response: the chunks of a series, or some of them.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The bytes of its message.
    pub message_bytes: usize,
    /// Which query it belongs to.
    pub query_index: u64,
    /// The labels in the order in which they came.
    pub labels: Vec<(String, String)>,
    /// Type (1 floats, 2 histograms, 3 float histograms) and bytes of each chunk.
    pub chunks: Vec<(u64, Vec<u8>)>,
    samples: Vec<(i64, SampleValue)>,
}

/// Reads a response of the type STREAMED_XOR_CHUNKS.
///
/// # Errors
/// What is wrong with it; the end in the middle of a frame, too.
pub fn read_frames(mut body: &[u8]) -> Result<Vec<Frame>> {
    let mut frames = Vec::new();
    while !body.is_empty() {
        let length = wire::take_varint(&mut body)? as usize;
        let (checksum, rest) = body.split_first_chunk().ok_or("the end in the middle of a checksum")?;
        let message = rest.get(..length).ok_or("the end in the middle of a frame")?;
        if crc32c::crc32c(message) != u32::from_be_bytes(*checksum) {
            return Err("a frame does not have its checksum".into());
        }
        frames.push(frame(message)?);
        body = &rest[length..];
    }
    Ok(frames)
}

fn frame(message: &[u8]) -> Result<Frame> {
    let (labels, chunks, samples) = Default::default();
    let mut frame = Frame { message_bytes: message.len(), query_index: 0, labels, chunks, samples };
    let mut series_count = 0;
    for field in fields(message) {
        match field? {
            (1, Field::Bytes(series)) => {
                series_count += 1;
                for field in fields(series) {
                    match field? {
                        (1, Field::Bytes(pair)) => frame.labels.push(label(pair)?),
                        (2, Field::Bytes(bytes)) => add_chunk(&mut frame, bytes)?,
                        other => return Err(format!("a field of a series of chunks: {other:?}")),
                    }
                }
            }
            (2, Field::Integer(index)) => frame.query_index = index,
            other => return Err(format!("a field of a frame: {other:?}")),
        }
    }
    if series_count == 1 { Ok(frame) } else { Err(format!("{series_count} series in a frame")) }
}

fn add_chunk(frame: &mut Frame, bytes: &[u8]) -> Result<()> {
    let (mut min_time_ms, mut max_time_ms, mut encoding, mut data) = (0, 0, 0, Vec::new());
    for field in fields(bytes) {
        match field? {
            (1, Field::Integer(number)) => min_time_ms = number as i64,
            (2, Field::Integer(number)) => max_time_ms = number as i64,
            (3, Field::Integer(number)) => encoding = number,
            (4, Field::Bytes(bytes)) => data = bytes.to_vec(),
            other => return Err(format!("a field of a chunk: {other:?}")),
        }
    }
    let samples = chunk::read(encoding, &data)?;
    let range = (samples.first().map(|sample| sample.0), samples.last().map(|sample| sample.0));
    if range != (Some(min_time_ms), Some(max_time_ms)) {
        return Err(format!("a chunk says {min_time_ms} to {max_time_ms} and has {range:?}"));
    }
    frame.chunks.push((encoding, data));
    frame.samples.extend(samples);
    Ok(())
}

/// The series of each of `queries` queries, of frames that follow one another.
///
/// # Errors
/// Frames that are not in the order of queries and series.
pub fn join_frames(frames: Vec<Frame>, queries: usize) -> Result<Vec<Vec<Series>>> {
    let mut joined: Vec<Frame> = Vec::new();
    for frame in frames {
        match joined.last_mut() {
            Some(last) if last.query_index == frame.query_index && last.labels == frame.labels => {
                last.samples.extend(frame.samples);
            }
            Some(last) if last.query_index > frame.query_index => {
                return Err("a query that is over goes on".into());
            }
            _ => joined.push(frame),
        }
    }
    let mut results = vec![Vec::new(); queries];
    for Frame { query_index, labels, samples, .. } in joined {
        let result = results.get_mut(query_index as usize).ok_or("a query that was not asked")?;
        result.push(series(labels, samples)?);
    }
    Ok(results)
}
