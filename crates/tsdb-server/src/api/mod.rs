//! Prometheus' HTTP API, as far as it needs no PromQL: what there is, and in what state. And what Prometheus has not: an
//! export.
//!
//! Look-ups are done off the runtime's threads, a bounded number at a time, and answer in Prometheus' JSON.

mod delete;
mod export;
mod lookup;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::Value;

use crate::ServerState;
use crate::reply::Refusal;

/// The routes below `/api/v1`.
pub(crate) fn routes() -> Router<Arc<ServerState>> {
    Router::new()
        .route("/api/v1/series", get(lookup::series).post(lookup::series))
        .route("/api/v1/labels", get(lookup::labels).post(lookup::labels))
        .route("/api/v1/label/{name}/values", get(lookup::label_values).post(lookup::label_values))
        .route("/api/v1/metadata", get(lookup::metadata).post(lookup::metadata))
        .route("/api/v1/status/tsdb", get(status::tsdb).post(status::tsdb))
        .route("/api/v1/status/buildinfo", get(status::build_info).post(status::build_info))
        .route("/api/v1/admin/tsdb/delete_series", post(delete::series).put(delete::series))
        .route("/api/v1/export", get(export::export).post(export::export))
}

/// What the API answers where it has nothing.
pub(crate) async fn unknown_path(uri: Uri) -> Response<Body> {
    let path = uri.path();
    let reason = if path.starts_with("/api/v1/query") {
        format!(
            "there is no {path}: PromQL is not spoken here. A Prometheus with remote_read from this server's /api/v1/read \
             answers it over the same data; raw samples come from /api/v1/export"
        )
    } else {
        format!(
            "there is no {path}. There are /api/v1/write, /api/v1/read, /api/v1/import/prometheus, /api/v1/export, \
             /api/v1/series, /api/v1/labels, /api/v1/label/<name>/values, /api/v1/metadata, /api/v1/status/tsdb, \
             /api/v1/status/buildinfo, /api/v1/admin/tsdb/delete_series, /metrics, /-/healthy and /-/ready"
        )
    };
    Refusal::new(StatusCode::NOT_FOUND, reason).as_json()
}

/// Data, and whether it is all there is.
struct Found {
    data: Vec<u8>,
    is_truncated: bool,
}

/// What a handler answers, in Prometheus' form.
fn answer(found: Result<Found, Refusal>) -> Response<Body> {
    let Found { data, is_truncated } = match found {
        Ok(found) => found,
        Err(refusal) => return refusal.as_json(),
    };
    let mut json = br#"{"status":"success","data":"#.to_vec();
    json.extend_from_slice(&data);
    if is_truncated {
        json.extend_from_slice(br#","warnings":["results truncated due to limit"]"#);
    }
    json.extend_from_slice(b"}");
    let mut response = json.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl From<Value> for Found {
    fn from(data: Value) -> Self {
        Self { data: data.to_string().into_bytes(), is_truncated: false }
    }
}
