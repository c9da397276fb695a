//! The response type SAMPLES: one `prometheus.ReadResponse`, in one snappy block.
//!
//! ```text
//! ReadResponse := (0x0a length QueryResult)*      one for each query, in their order
//! QueryResult  := (0x0a length TimeSeries)*       in label order
//! ```
//!
//! The whole has to be there before its first byte can be sent, for a block begins with its length. What is kept meanwhile is
//! compressed, a series at a time, and there is a limit; whoever needs more asks for STREAMED_XOR_CHUNKS.

use axum::http::StatusCode;
use bytes::Bytes;
use futures::TryStreamExt;
use tsdb_core::{Buckets, Histogram, ResetHint, SampleBuffer, Series, Span};
use tsdb_engine::{Engine, QueryOptions};

use super::proto::{self, Count, ZeroCount};
use super::request::ReadQuery;
use super::snappy_blocks::SnappyBlocks;
use super::{deltas, wire_labels};
use crate::reply::Refusal;

/// The field that both messages consist of.
const REPEATED_FIELD: u32 = 1;

/// The pieces of the response to `queries`, whose content has at most `bytes_max` bytes.
pub(super) async fn respond(
    engine: &Engine,
    queries: Vec<ReadQuery>,
    options: &QueryOptions,
    bytes_max: u64,
) -> Result<Vec<Bytes>, Refusal> {
    let mut blocks = SnappyBlocks::new();
    let mut message = Vec::new();
    for query in queries {
        let result = blocks.slot();
        let mut series = engine.query(&query.matchers, query.range, options);
        while let Some(series) = series.try_next().await? {
            message.clear();
            prost::encoding::message::encode(REPEATED_FIELD, &time_series(&series), &mut message);
            blocks.write(&message);
            if blocks.content_bytes() > bytes_max {
                return Err(too_large(bytes_max));
            }
        }
        blocks.fill(result, |length| {
            let mut header = Vec::new();
            prost::encoding::encode_key(
                REPEATED_FIELD,
                prost::encoding::WireType::LengthDelimited,
                &mut header,
            );
            prost::encoding::encode_varint(length, &mut header);
            header
        });
    }
    Ok(blocks.finish())
}

fn too_large(bytes_max: u64) -> Refusal {
    let reason = format!(
        "the response of type SAMPLES would have more than {bytes_max} bytes: narrow the matchers or the time range, or accept \
         STREAMED_XOR_CHUNKS, which has no such limit"
    );
    Refusal::new(StatusCode::BAD_REQUEST, reason)
}

fn time_series(series: &Series) -> proto::TimeSeries {
    let SampleBuffer { timestamps_ms, values, histograms } = &series.samples;
    let samples = timestamps_ms.iter().zip(values);
    proto::TimeSeries {
        labels: wire_labels(&series.labels),
        samples: samples
            .map(|(&timestamp, &value)| proto::Sample { value: wire_float(value), timestamp })
            .collect(),
        histograms: histograms
            .iter()
            .map(|(timestamp, histogram)| wire_histogram(*timestamp, histogram))
            .collect(),
    }
}

fn wire_histogram(timestamp: i64, histogram: &Histogram) -> proto::Histogram {
    let mut wire = proto::Histogram {
        sum: wire_float(histogram.sum),
        schema: histogram.schema,
        zero_threshold: wire_float(histogram.zero_threshold),
        negative_spans: wire_spans(&histogram.negative_spans),
        positive_spans: wire_spans(&histogram.positive_spans),
        reset_hint: match histogram.reset_hint {
            ResetHint::Unknown => 0,
            ResetHint::Reset => 1,
            ResetHint::NoReset => 2,
            ResetHint::Gauge => 3,
        },
        timestamp,
        custom_values: histogram.custom_bounds.to_vec(),
        ..proto::Histogram::default()
    };
    match &histogram.buckets {
        Buckets::Int { count, zero_count, positive, negative } => {
            wire.count = Some(Count::Int(*count));
            wire.zero_count = Some(ZeroCount::Int(*zero_count));
            wire.positive_deltas = deltas(positive).collect();
            wire.negative_deltas = deltas(negative).collect();
        }
        Buckets::Float { count, zero_count, positive, negative } => {
            wire.count = Some(Count::Float(*count));
            wire.zero_count = Some(ZeroCount::Float(*zero_count));
            wire.positive_counts.clone_from(positive);
            wire.negative_counts.clone_from(negative);
        }
    }
    wire
}

/// Zero, and only that, is the value of a field that is left out.
fn wire_float(value: f64) -> Option<f64> {
    (value.to_bits() != 0).then_some(value)
}

fn wire_spans(spans: &[Span]) -> Vec<proto::BucketSpan> {
    spans.iter().map(|&Span { offset, length }| proto::BucketSpan { offset, length }).collect()
}
