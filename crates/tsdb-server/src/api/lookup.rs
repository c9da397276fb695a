//! Series, label names, label values, metadata of metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::Response;
use futures::TryStreamExt;
use serde_json::json;
use tsdb_core::{Labels, Matcher, TimeRange};
use tsdb_engine::MetricMetadata;

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
        for matchers in &selectors {
            let mut series = state.engine().series_stream(matchers, range);
            while let Some(labels) = series.try_next().await? {
                found.insert(labels);
                // Each selector's come in order, so those that count are among its first.
                if limit.is_some_and(|limit| found.len() > limit.saturating_mul(selectors.len())) {
                    break;
                }
            }
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
        let texts = texts(&state, &selectors, range, name.as_deref()).await?;
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
) -> Result<BTreeSet<String>, Refusal> {
    let mut texts = BTreeSet::new();
    for matchers in selectors {
        texts.extend(match name {
            Some(name) => state.engine().label_values(name, matchers, range).await?,
            None => state.engine().label_names(matchers, range).await?,
        });
    }
    Ok(texts)
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
        let time_max = state.options().query_limits.time_max;
        let found = handle.block_on(async {
            let work = work(state);
            match time_max {
                Some(time_max) => {
                    tokio::time::timeout(time_max, work).await.unwrap_or_else(|_| Err(too_late(time_max)))
                }
                None => work.await,
            }
        });
        drop(turn);
        found
    })
    .await?
}

fn too_late(time_max: std::time::Duration) -> Refusal {
    let reason = format!("the look-up was stopped: it takes longer than {time_max:?}");
    Refusal::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, reason)
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
