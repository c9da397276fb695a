//! `POST|PUT /api/v1/admin/tsdb/delete_series`: only where the options allow it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;

use crate::ServerState;
use crate::params::Params;
use crate::reply::Refusal;
use crate::state::off_the_runtime;

pub(super) async fn series(State(state): State<Arc<ServerState>>, request: Request) -> Response<Body> {
    match delete(state, request).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refusal.as_json(),
    }
}

async fn delete(state: Arc<ServerState>, request: Request) -> Result<(), Refusal> {
    if !state.options().admin {
        let reason =
            "admin APIs disabled: the server was started without them (`tsdb serve --enable-admin-api`)";
        return Err(Refusal::new(StatusCode::FORBIDDEN, reason));
    }
    let params = Params::of(&state, request).await?;
    let (selectors, range) = (params.some_selectors()?, params.range()?);
    let turn = state.write_turn().await?;
    off_the_runtime(move |handle| {
        let _turn = turn;
        for matchers in &selectors {
            handle.block_on(state.engine().delete(matchers, range))?;
        }
        Ok(())
    })
    .await?
}
