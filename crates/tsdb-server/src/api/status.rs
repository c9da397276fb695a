//! `/api/v1/status/...`: of the store, and of this build.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use futures::TryStreamExt;
use serde_json::{Value, json};
use tsdb_core::{METRIC_NAME, Series, TimeRange};
use tsdb_engine::QueryOptions;

use super::{Found, answer};
use crate::ServerState;
use crate::params::Params;
use crate::reply::Refusal;
use crate::state::off_the_runtime;

/// Entries of each list unless `limit` says otherwise, as in Prometheus.
const LIMIT: usize = 10;

/// `/api/v1/status/buildinfo`. Grafana asks here what it can expect.
pub(super) async fn build_info() -> Response<Body> {
    let version = env!("CARGO_PKG_VERSION");
    let unknown = ["revision", "branch", "buildUser", "buildDate", "goVersion"];
    let mut info: serde_json::Map<_, _> =
        unknown.map(|key| (key.to_owned(), Value::from(""))).into_iter().collect();
    info.insert("version".to_owned(), Value::from(version));
    answer(Ok(Value::Object(info).into()))
}

/// `/api/v1/status/tsdb`: counts, and the largest of each kind. It goes over the labels of all series.
pub(super) async fn tsdb(State(state): State<Arc<ServerState>>, request: Request) -> Response<Body> {
    answer(find_status(state, request).await)
}

async fn find_status(state: Arc<ServerState>, request: Request) -> Result<Found, Refusal> {
    let params = Params::of(&state, request).await?;
    let limit = params.count("limit")?.unwrap_or(LIMIT);
    let turn = state.query_turn().await?;
    off_the_runtime(move |handle| {
        let _turn = turn;
        let _only_one = state.status_turn()?;
        let counted = handle.block_on(Cardinalities::of(&state));
        Ok(status(&state, &counted?, limit).into())
    })
    .await?
}

/// How many there are of what.
#[derive(Default)]
struct Cardinalities {
    series: u64,
    by_metric: HashMap<String, u64>,
    /// Of each label name, its values with their series.
    by_label: HashMap<String, HashMap<String, u64>>,
}

impl Cardinalities {
    async fn of(state: &ServerState) -> Result<Self, Refusal> {
        let mut counted = Self::default();
        let mut options = QueryOptions::default();
        options.limits = state.options().query_limits;
        let mut all = state.engine().series_stream(&[], TimeRange::ALL, &options);
        while let Some(Series { labels, .. }) = all.try_next().await? {
            counted.series += 1;
            count(&mut counted.by_metric, labels.metric_name().unwrap_or_default());
            for (name, value) in &labels {
                if !counted.by_label.contains_key(name) {
                    counted.by_label.insert(name.to_owned(), HashMap::new());
                }
                if let Some(values) = counted.by_label.get_mut(name) {
                    count(values, value);
                }
            }
        }
        Ok(counted)
    }
}

fn count(counts: &mut HashMap<String, u64>, key: &str) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => {
            counts.insert(key.to_owned(), 1);
        }
    }
}

fn status(state: &ServerState, counted: &Cardinalities, limit: usize) -> Value {
    let stats = state.engine().stats();
    let TimeRange { start_ms, end_ms } = stats.time_range;
    let pairs: usize = counted.by_label.values().map(HashMap::len).sum();
    let by_metric = counted.by_metric.iter().map(|(name, count)| (name.as_str(), *count));
    let values = counted.by_label.iter().map(|(name, values)| (name.as_str(), values.len() as u64));
    let bytes = counted.by_label.iter().map(|(name, values)| {
        let bytes = values.iter().map(|(value, series)| (name.len() + value.len()) as u64 * series).sum();
        (name.as_str(), bytes)
    });
    let by_pair = counted.by_label.iter().filter(|(name, _)| *name != METRIC_NAME);
    let by_pair = by_pair.flat_map(|(name, values)| {
        values.iter().map(move |(value, series)| ((name.as_str(), value.as_str()), *series))
    });
    json!({
        // Of the whole store: what Prometheus has in its head, here is in any tier.
        "headStats": {
            "numSeries": counted.series,
            "numLabelPairs": pairs,
            "minTime": start_ms,
            "maxTime": end_ms,
        },
        "seriesCountByMetricName": largest(by_metric, limit, str::to_owned),
        "labelValueCountByLabelName": largest(values, limit, str::to_owned),
        "memoryInBytesByLabelName": largest(bytes, limit, str::to_owned),
        "seriesCountByLabelValuePair": largest(by_pair, limit, |(name, value)| format!("{name}={value}")),
    })
}

/// The largest, the largest first. No more are kept than are asked for.
fn largest<K: Ord>(
    counts: impl Iterator<Item = (K, u64)>,
    limit: usize,
    name: impl Fn(K) -> String,
) -> Value {
    let mut kept = BinaryHeap::new();
    for (key, count) in counts {
        // Of equal ones the first by name: the heap gives up the smallest count, and of these the last name.
        kept.push((Reverse(count), key));
        if kept.len() > limit {
            kept.pop();
        }
    }
    let sorted = kept.into_sorted_vec();
    sorted.into_iter().map(|(Reverse(value), key)| json!({ "name": name(key), "value": value })).collect()
}
