//! `POST /api/v1/import/prometheus`: samples as text, in Prometheus' format or OpenMetrics.
//!
//! One body is one batch, as in remote write. A line that is bad is told, with its place, and the others are stored. A sample
//! without a timestamp gets the one of the parameter `timestamp`, or the time at which it came. Timestamps are milliseconds,
//! unless the content type is OpenMetrics', where they are seconds.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, Response, StatusCode};
use tsdb_core::SampleValue;
use tsdb_text::exposition::{Format, LineError, ParsedSample, Parser};

use super::batch::Batch;
use super::outcome::{Outcome, Spoiled};
use super::series_cache::Dialect;
use crate::ServerState;
use crate::params::Params;
use crate::reply::Refusal;
use crate::state::off_the_runtime;

const OPENMETRICS: &str = "application/openmetrics-text";

/// Answers an import.
pub(crate) async fn import(State(state): State<Arc<ServerState>>, request: Request) -> Response<Body> {
    match read_and_store(state, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.as_text(),
    }
}

async fn read_and_store(state: Arc<ServerState>, request: Request) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    // Not of the body: `curl --data-binary` calls everything a form.
    let params = Params::of_query(&state, parts.uri.query());
    let default_ms = params.time("timestamp")?.unwrap_or_else(|| state.now_ms());
    if let Some(encoding) = parts.headers.get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        let reason = format!("unsupported content encoding {encoding:?}: text comes as it is");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
    }
    let format = format(&parts.headers);
    let options = state.options();
    let (body, held) = state.bodies().read(body, options.write_bytes_max, options).await?;
    let turn = state.write_turn().await?;
    off_the_runtime(move |_| {
        let answer = match store(&state, &body, Parser::new(format, Some(default_ms))) {
            Ok(outcome) => {
                state.metrics().count_written(&outcome);
                outcome.answer()
            }
            Err(spoiled) => spoiled.answer(&state),
        };
        drop((held, turn));
        answer
    })
    .await
}

fn format(headers: &HeaderMap) -> Format {
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if content_type.starts_with(OPENMETRICS.as_bytes()) { Format::OpenMetrics } else { Format::Prometheus }
}

fn store(state: &ServerState, body: &[u8], mut parser: Parser) -> Result<Outcome, Spoiled> {
    let mut batch = Batch::new(state, false);
    let mut lines = 0;
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        lines += 1;
        match parser.parse_line(line, lines) {
            Ok(None) => {}
            Ok(Some(sample)) => add(&mut batch, &mut parser, &sample)?,
            Err(error) => batch.refuse(&error),
        }
    }
    if let Err(error) = parser.finish(lines) {
        batch.refuse(&error);
    }
    batch.count_exemplars(parser.exemplars());
    batch.commit()
}

fn add(batch: &mut Batch<'_>, parser: &mut Parser, sample: &ParsedSample<'_>) -> Result<(), Spoiled> {
    batch.begin_series();
    if !batch.find(Dialect::Text, sample.series.as_bytes()) {
        match parser.labels(sample) {
            Ok(labels) => batch.new_series(Dialect::Text, sample.series.as_bytes(), &labels),
            Err(error) => {
                batch.refuse(&error);
                return Ok(());
            }
        }
    }
    batch.sample(sample.timestamp_ms, SampleValue::Float(sample.value))
}

impl Batch<'_> {
    fn refuse(&mut self, error: &LineError) {
        self.outcome().refuse(|| error.to_string());
    }

    fn count_exemplars(&mut self, exemplars: u64) {
        self.outcome().exemplars += exemplars;
    }
}
