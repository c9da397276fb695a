//! Which handler answers which path.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Response, StatusCode, Uri};
use axum::routing::get;

use crate::reply::Refusal;
use crate::{ServerState, health};

/// The routes of the server, for a program that listens by itself.
pub fn router(state: Arc<ServerState>) -> Router {
    Router::new()
        .route("/-/healthy", get(health::healthy))
        .route("/-/ready", get(health::ready))
        .fallback(unknown_path)
        .with_state(state)
}

async fn unknown_path(uri: Uri) -> Response<Body> {
    let reason = format!("there is no {}", uri.path());
    Refusal::new(StatusCode::NOT_FOUND, reason).as_json()
}
