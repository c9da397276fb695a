//! `/api/v1/export`: the samples of series as JSON lines, as `tsdb query --format jsonl` prints them, streaming.
//!
//! Lines are made as fast as the client takes them, on a thread of their own: of the answer no more is in memory than a series
//! and some chunks. A client that takes nothing for a while is left. The first series is read before the answer begins, so
//! that what fails at once has a status code; what fails later breaks the connection off, so that half of an answer is not
//! taken for all of it.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tsdb_core::{Matcher, Series, TimeRange};
use tsdb_engine::{Query, QueryOptions};
use tsdb_text::jsonl;

use crate::ServerState;
use crate::params::Params;
use crate::reply::Refusal;
use crate::state::off_the_runtime;

/// Bytes that are collected before they are given on.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that wait for the client.
const CHUNKS_WAITING: usize = 2;

pub(super) async fn export(State(state): State<Arc<ServerState>>, request: Request) -> Response<Body> {
    match begin(state, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.as_json(),
    }
}

async fn begin(state: Arc<ServerState>, request: Request) -> Result<Response<Body>, Refusal> {
    let params = Params::of(&state, request).await?;
    let (selectors, range) = (params.some_selectors()?, params.range()?);
    let turn = state.query_turn().await?;
    let mut export = Export { state, selectors, range, next: 0, query: None };
    let (export, first) = off_the_runtime(move |handle| {
        let first = handle.block_on(export.next());
        (export, first)
    })
    .await?;
    let mut response = Response::new(stream_lines(export, first?, turn));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

/// The series of one selector after another, each series once.
struct Export {
    state: Arc<ServerState>,
    selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
    /// The selector whose turn is next.
    next: usize,
    query: Option<Query>,
}

impl Export {
    async fn next(&mut self) -> Result<Option<Series>, Refusal> {
        loop {
            let Some(query) = &mut self.query else {
                let Some(matchers) = self.selectors.get(self.next) else { return Ok(None) };
                let mut options = QueryOptions::default();
                options.limits = self.state.options().query_limits;
                self.query = Some(self.state.engine().query(matchers, self.range, &options));
                self.next += 1;
                continue;
            };
            let Some(series) = query.next().await.transpose()? else {
                self.query = None;
                continue;
            };
            let earlier = &self.selectors[..self.next - 1];
            if !earlier.iter().any(|matchers| Matcher::all_match(matchers, &series.labels)) {
                return Ok(Some(series));
            }
        }
    }
}

/// A body that the rest of the export is written to as it is read.
fn stream_lines(mut export: Export, first: Option<Series>, turn: OwnedSemaphorePermit) -> Body {
    let (sender, mut receiver) = mpsc::channel(CHUNKS_WAITING);
    let handle = Handle::current();
    let stall_time_max = export.state.options().stall_time_max;
    let mut chunks = Chunks { sender, handle: handle.clone(), stall_time_max, buffer: Vec::new() };
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut next = first;
        while let Some(series) = next {
            if jsonl::write_series(&mut chunks, &series).is_err() {
                // Nobody reads any more.
                return;
            }
            next = match handle.block_on(export.next()) {
                Ok(next) => next,
                Err(refusal) => {
                    tracing::warn!(error = refusal.reason, "an export ended early");
                    return chunks.fail(refusal.reason);
                }
            };
        }
        // The same.
        let _ = chunks.flush();
    });
    Body::from_stream(stream::poll_fn(move |context| receiver.poll_recv(context)))
}

/// Writes to a client that reads.
struct Chunks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    handle: Handle,
    stall_time_max: Duration,
    buffer: Vec<u8>,
}

impl Chunks {
    async fn send(&self, chunk: io::Result<Bytes>) -> io::Result<()> {
        match tokio::time::timeout(self.stall_time_max, self.sender.send(chunk)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn fail(&self, reason: String) {
        // Whether anybody is told that the answer is not whole is not known here.
        let _ = self.handle.block_on(self.send(Err(io::Error::other(reason))));
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.buffer);
        self.handle.block_on(self.send(Ok(chunk.into())))
    }
}
