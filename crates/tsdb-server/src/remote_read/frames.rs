//! The response type STREAMED_XOR_CHUNKS: frames, each with a `prometheus.ChunkedReadResponse`.
//!
//! ```text
//! frame := uvarint length, crc32c:u32 big-endian, message
//! ```
//!
//! A message has chunks of one series; a series with more than fits goes on in the next one, with its labels again. The stream
//! is pulled: a frame is made when the one before it was taken, so that a client that reads slowly makes nothing pile up here,
//! but the samples of the series that is at its turn.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use prost::Message as _;
use tsdb_core::Series;
use tsdb_engine::QueryOptions;

use super::chunk::Chunks;
use super::proto::{ChunkedReadResponse, ChunkedSeries};
use super::request::ReadQuery;
use super::wire_labels;
use crate::ServerState;

/// The frames of the answers, query after query, each label-sorted. It ends at its first error.
pub(super) fn stream(
    server: Arc<ServerState>,
    queries: Vec<ReadQuery>,
    options: QueryOptions,
) -> impl Stream<Item = tsdb_engine::Result<Bytes>> {
    let frame_bytes = server.options().frame_bytes;
    stream::iter(queries.into_iter().zip(0..)).flat_map(move |(query, query_index)| {
        let series = server.engine().query(&query.matchers, query.range, &options);
        series
            .map_ok(move |series| stream::iter(frames(series, query_index, frame_bytes).map(Ok)))
            .try_flatten()
    })
}

/// The frames of one series, made one at a time. The last chunk of each may go beyond `frame_bytes`.
fn frames(series: Series, query_index: i64, frame_bytes: usize) -> impl Iterator<Item = Bytes> {
    let labels = wire_labels(&series.labels);
    let labels_bytes: usize = labels.iter().map(prost::Message::encoded_len).sum();
    let mut chunks = Chunks::of(series.samples);
    std::iter::from_fn(move || {
        let mut message_bytes = labels_bytes;
        let mut taken = Vec::new();
        while message_bytes < frame_bytes || taken.is_empty() {
            let Some(chunk) = chunks.next() else { break };
            message_bytes += chunk.encoded_len();
            taken.push(chunk);
        }
        let chunked_series = vec![ChunkedSeries { labels: labels.clone(), chunks: taken }];
        let is_end = chunked_series[0].chunks.is_empty();
        (!is_end).then(|| frame(&ChunkedReadResponse { chunked_series, query_index }))
    })
}

fn frame(message: &ChunkedReadResponse) -> Bytes {
    let message = message.encode_to_vec();
    let mut frame = Vec::with_capacity(message.len() + 16);
    prost::encoding::encode_varint(message.len() as u64, &mut frame);
    frame.extend_from_slice(&crc32c::crc32c(&message).to_be_bytes());
    frame.extend_from_slice(&message);
    frame.into()
}
