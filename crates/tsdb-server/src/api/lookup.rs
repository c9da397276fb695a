//! Series, label names, label values, metadata of metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::Response;
use serde_json::json;
use tsdb_core::{Labels, Matcher, TimeRange};
use tsdb_engine::{LookupOptions, MetricMetadata};

use super::{Found, answer};
use crate::ServerState;
use crate::params::Params;
use crate::reply::Refusal;
use crate::state::off_the_runtime;

/// A list of matchers for each `match[]`: what satisfies one of them is meant.
type Selectors = Vec<Vec<Matcher>>;

/// `/api/v1/series`.
pub(super) async fn series(State(state): State<Arc<ServerState>>, request: Request) -> Response<Body> {
    answer(find_series(state, request).await)
}

async fn find_series(state: Arc<ServerState>, request: Request) -> Result<Found, Refusal> {
    let params = Params::of(&state, request).await?;
    let (selectors, range, limit) = (params.some_selectors()?, params.range()?, params.count("limit")?);
    look_up(state, move |state| async move {
        let mut found = BTreeSet::new();
        let mut options = options(&state, limit);
        let series_max = state.options().lookup_series_max;
        options.limits.series_max =
            Some(options.limits.series_max.map_or(series_max, |max| max.min(series_max)));
        for matchers in &selectors {
            // Each selector's come in order, so those that count are among its first.
            let of_one = state.engine().series_within(matchers, range, &options).await?;
            found.extend(of_one.found);
        }
        let is_truncated = limit.is_some_and(|limit| found.len() > limit);
        let kept = found.iter().take(limit.unwrap_or(usize::MAX));
        Ok(Found { data: list(kept, write_labels), is_truncated })
    })
    .await
}

/// `/api/v1/labels`.
pub(super) async fn labels(State(state): State<Arc<ServerState>>, request: Request) -> Response<Body> {
    answer(find_texts(state, request, None).await)
}

/// `/api/v1/label/<name>/values`.
pub(super) async fn label_values(
    State(state): State<Arc<ServerState>>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    answer(find_texts(state, request, Some(name)).await)
}

/// The names of labels, or the values of one.
async fn find_texts(
    state: Arc<ServerState>,
    request: Request,
    name: Option<String>,
) -> Result<Found, Refusal> {
    let params = Params::of(&state, request).await?;
    let (mut selectors, range, limit) = (params.selectors()?, params.range()?, params.count("limit")?);
    if selectors.is_empty() {
        selectors.push(Vec::new());
    }
    look_up(state, move |state| async move {
        let texts = texts(&state, &selectors, range, name.as_deref(), limit).await?;
        let is_truncated = limit.is_some_and(|limit| texts.len() > limit);
        let kept = texts.iter().take(limit.unwrap_or(usize::MAX));
        Ok(Found { data: list(kept, |out, text| write_text(out, text)), is_truncated })
    })
    .await
}

async fn texts(
    state: &ServerState,
    selectors: &Selectors,
    range: TimeRange,
    name: Option<&str>,
    limit: Option<usize>,
) -> Result<BTreeSet<String>, Refusal> {
    let (engine, options) = (state.engine(), options(state, limit));
    let mut texts = BTreeSet::new();
    for matchers in selectors {
        let of_one = match name {
            Some(name) => engine.label_values_within(name, matchers, range, &options).await?,
            None => engine.label_names_within(matchers, range, &options).await?,
        };
        texts.extend(of_one.found);
    }
    Ok(texts)
}

/// One more than `limit`, to know whether that is all.
fn options(state: &ServerState, limit: Option<usize>) -> LookupOptions {
    let mut options = LookupOptions::default();
    options.limits = state.options().query_limits;
    options.first = limit.map(|limit| (limit as u64).saturating_add(1));
    options
}

/// `/api/v1/metadata`.
pub(super) async fn metadata(State(state): State<Arc<ServerState>>, request: Request) -> Response<Body> {
    answer(find_metadata(&state, request).await)
}

async fn find_metadata(state: &ServerState, request: Request) -> Result<Found, Refusal> {
    let params = Params::of(state, request).await?;
    let limit = params.count("limit")?.unwrap_or(usize::MAX);
    let metrics = state.engine().metadata();
    let chosen =
        metrics.iter().filter(|(metric, _)| params.get("metric").is_none_or(|chosen| *metric == chosen));
    let sorted: BTreeMap<_, _> = chosen.collect();
    let about = |about: &MetricMetadata| {
        // A list, because Prometheus' targets may disagree; here the last word counts.
        json!([{ "type": about.kind.as_str(), "help": about.help, "unit": about.unit }])
    };
    let kept = sorted.into_iter().take(limit).map(|(metric, metadata)| (metric.clone(), about(metadata)));
    Ok(Found::from(serde_json::Value::Object(kept.collect())))
}

/// Does a look-up in its turn, off the runtime.
async fn look_up<F>(
    state: Arc<ServerState>,
    work: impl FnOnce(Arc<ServerState>) -> F + Send + 'static,
) -> Result<Found, Refusal>
where
    F: Future<Output = Result<Found, Refusal>>,
{
    let turn = state.query_turn().await?;
    off_the_runtime(move |handle| {
        let found = handle.block_on(work(state));
        drop(turn);
        found
    })
    .await?
}

/// A JSON array.
fn list<T>(items: impl Iterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) -> Vec<u8> {
    let mut out = b"[".to_vec();
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(&mut out, item);
    }
    out.push(b']');
    out
}

fn write_labels(out: &mut Vec<u8>, labels: &Labels) {
    let mut separator = b'{';
    for (name, value) in labels {
        out.push(separator);
        write_text(out, name);
        out.push(b':');
        write_text(out, value);
        separator = b',';
    }
    out.extend_from_slice(if labels.is_empty() { b"{}" } else { b"}" });
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok(), "a vector refused a write");
}
