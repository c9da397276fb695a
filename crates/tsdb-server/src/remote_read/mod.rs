//! `POST /api/v1/read`: Prometheus' remote read, by which its query engine, and every dashboard above it, works on what is here.
//!
//! A [`request`] names matchers and ranges; the first of the response types that it accepts and that is known here is taken:
//!
//! - SAMPLES ([`samples`]): all samples in one message. Old clients know only this one. It is made as a whole, compressed, and
//!   has a limit ([`ServerOptions::samples_response_bytes_max`](crate::ServerOptions)).
//! - STREAMED_XOR_CHUNKS ([`frames`]): a frame after the other, of Prometheus' own chunks ([`chunk`]). It needs no more memory
//!   than one series does, and flows as fast as the client reads.
//!
//! An error before the first byte is a status code and a sentence. One after it cannot be: the connection ends in the middle of
//! the body, which no client takes for a whole answer.
//!
//! Hints are not looked at: they allow to leave samples out, and never ask for it.

mod chunk;
mod frames;
mod proto;
mod request;
mod samples;
mod snappy_blocks;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderName, Response};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tokio::runtime::Handle;
use tsdb_core::Labels;
use tsdb_engine::QueryOptions;

use self::proto::ResponseType;
use self::request::ReadRequest;
use crate::ServerState;
use crate::reply::Refusal;
use crate::state::off_the_runtime;
use crate::streaming::begin;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const SNAPPY: HeaderValue = HeaderValue::from_static("snappy");
const STREAMED_PROTOBUF: HeaderValue =
    HeaderValue::from_static("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");

/// Answers a read request.
pub(crate) async fn read(State(server): State<Arc<ServerState>>, body: Body) -> Response<Body> {
    match respond(&server, body).await {
        Ok(response) => response,
        Err(refusal) => refusal.as_text(),
    }
}

async fn respond(server: &Arc<ServerState>, body: Body) -> Result<Response<Body>, Refusal> {
    let limits = server.options();
    let ReadRequest { queries, response } = {
        let (body, _held) = server.bodies().read(body, limits.request_bytes_max, limits).await?;
        let (message, _held) = server.bodies().decompress(&body, limits.request_bytes_max, limits)?;
        ReadRequest::decode(&message)?
    };
    let turn = server.query_turn().await?;
    // Held by whatever outlives this call: whoever stops the server waits for it.
    let held = Arc::clone(server);
    let mut options = QueryOptions::default();
    options.limits = limits.query_limits;
    match response {
        ResponseType::Samples => {
            let bytes_max = limits.samples_response_bytes_max;
            let response = move |runtime: &Handle| {
                runtime.block_on(samples::respond(held.engine(), queries, &options, bytes_max))
            };
            let pieces = off_the_runtime(response).await??;
            let length: usize = pieces.iter().map(Bytes::len).sum();
            let headers =
                [(CONTENT_TYPE, PROTOBUF), (CONTENT_ENCODING, SNAPPY), (CONTENT_LENGTH, length.into())];
            let pieces = pieces.into_iter().map(Ok::<_, Infallible>);
            // What is not sent yet is memory: the turn lasts until it is, or the client is gone.
            let pieces = stream::iter(pieces).inspect(move |_| {
                let _held = &turn;
            });
            Ok(with_headers(headers, Body::from_stream(pieces)))
        }
        ResponseType::StreamedXorChunks => {
            let frames = begin(frames::stream(held, queries, options), turn).await?.inspect(|frame| {
                if let Err(error) = frame {
                    tracing::warn!(%error, "a remote read ends in the middle of its answer");
                }
            });
            Ok(with_headers([(CONTENT_TYPE, STREAMED_PROTOBUF)], Body::from_stream(frames)))
        }
    }
}

fn with_headers<const N: usize>(headers: [(HeaderName, HeaderValue); N], body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().extend(headers.map(|(name, value)| (Some(name), value)));
    response
}

/// Labels in their order, which is that of the protocol.
fn wire_labels(labels: &Labels) -> Vec<proto::Label> {
    labels.iter().map(|(name, value)| proto::Label { name: name.into(), value: value.into() }).collect()
}

/// Counts of buckets, each as the difference to the one before it: the form of integer counts on the wire and in chunks.
fn deltas(counts: &[u64]) -> impl Iterator<Item = i64> + '_ {
    counts.iter().scan(0_u64, |before, &now| {
        let delta = now.wrapping_sub(*before) as i64;
        *before = now;
        Some(delta)
    })
}
