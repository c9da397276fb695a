//! `/api/v1/export`: the samples of series as JSON lines, as `tsdb query --format jsonl` prints them, streaming.
//!
//! Lines are made as fast as the client takes them: of the answer no more is in memory than a series and some chunks. The first
//! chunk is made before the answer begins, so that what fails at once has a status code; what fails later breaks the
//! connection off, so that half of an answer is not taken for all of it.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tsdb_core::{Matcher, Series, TimeRange};
use tsdb_engine::{Query, QueryOptions};
use tsdb_text::jsonl;

use crate::ServerState;
use crate::params::Params;
use crate::reply::Refusal;
use crate::streaming;

/// Bytes that are collected before they are given on.
const CHUNK_BYTES: usize = 64 << 10;

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
    let chunks = Export { state, selectors, range, next: 0, query: None }.chunks();
    let chunks = streaming::begin(chunks, turn).await?.map(|chunk| {
        chunk.map_err(|refusal| {
            tracing::warn!(error = refusal.reason, "an export ends in the middle");
            io::Error::other(refusal.reason)
        })
    });
    let mut response = Response::new(Body::from_stream(chunks));
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
    /// Its lines, in chunks. Ends at its first error.
    fn chunks(self) -> impl Stream<Item = Result<Bytes, Refusal>> {
        stream::unfold(Some(self), async |export| {
            let mut export = export?;
            match export.chunk().await {
                Ok(chunk) if chunk.is_empty() => None,
                Ok(chunk) => Some((Ok(chunk), Some(export))),
                Err(refusal) => Some((Err(refusal), None)),
            }
        })
    }

    /// Some lines; none at the end.
    async fn chunk(&mut self) -> Result<Bytes, Refusal> {
        let mut lines = Vec::new();
        while lines.len() < CHUNK_BYTES
            && let Some(series) = self.series().await?
        {
            let written = jsonl::write_series(&mut lines, &series);
            debug_assert!(written.is_ok(), "a vector refused a write");
        }
        Ok(lines.into())
    }

    async fn series(&mut self) -> Result<Option<Series>, Refusal> {
        loop {
            let Some(query) = &mut self.query else {
                let Some(matchers) = self.selectors.get(self.next) else { return Ok(None) };
                let mut options = QueryOptions::default();
                options.limits = self.state.options().query_limits;
                // The client's own time counts, and an export may take long; a client that takes nothing is left in any case.
                options.limits.time_max = None;
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
