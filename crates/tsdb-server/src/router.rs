//! Which handler answers which path.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::{ServerState, api, auth, health, metrics, remote_read, write};

/// The routes of the server, for a program that listens by itself. Such a program sees to limits on connections and on the
/// time that a head may take; bodies are bounded here. In a runtime of several threads it must not be served from a `LocalSet`.
pub fn router(state: Arc<ServerState>) -> Router {
    let guarded = api::routes()
        .route("/api/v1/write", post(write::write))
        .route("/api/v1/import/prometheus", post(write::import))
        .route("/api/v1/read", post(remote_read::read))
        .route("/metrics", get(metrics::expose))
        .fallback(api::unknown_path)
        .layer(from_fn_with_state(Arc::clone(&state), auth::check));
    Router::new()
        .route("/-/healthy", get(health::healthy))
        .route("/-/ready", get(health::ready))
        .merge(guarded)
        .layer(from_fn_with_state(Arc::clone(&state), metrics::count))
        .with_state(state)
}
