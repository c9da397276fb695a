//! `POST /api/v1/write`: Prometheus' remote write, 1.0 and 2.0.
//!
//! A body is one batch, durable as a whole before it is answered. What in it cannot be stored is refused and told; the rest is
//! stored all the same, and the answer is 400, which a sender does not repeat. Decoding, appending and the fsync are done off the
//! runtime's threads, as many at a time as the options say; commits at the same time share an fsync.

mod batch;
mod decode;
mod histogram;
mod metadata;
mod negotiation;
mod outcome;
mod series_cache;
#[cfg(test)]
mod tests;
mod text;
mod wire;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};

use self::batch::Batch;
pub(crate) use self::metadata::MetadataChanges;
use self::negotiation::Protocol;
pub(crate) use self::outcome::Outcome;
use self::outcome::Spoiled;
pub(crate) use self::series_cache::SeriesCache;
pub(crate) use self::text::import;
use crate::ServerState;
use crate::reply::Refusal;
use crate::state::off_the_runtime;

/// Answers a write.
pub(crate) async fn write(
    State(state): State<Arc<ServerState>>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    match negotiate_and_store(state, &headers, body).await {
        Ok(response) => response,
        Err(refusal) => outcome::refused(&refusal),
    }
}

async fn negotiate_and_store(
    state: Arc<ServerState>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let protocol = negotiation::protocol(headers)?;
    let options = state.options();
    let (body, held) = state.bodies().read(body, options.write_bytes_max, options).await?;
    let turn = state.write_turn().await?;
    off_the_runtime(move |_| {
        let answer = store(&state, protocol, &body);
        // Kept until here: a client that goes away does not end the work.
        drop((held, turn));
        answer
    })
    .await?
}

fn store(state: &ServerState, protocol: Protocol, body: &[u8]) -> Result<Response<Body>, Refusal> {
    let options = state.options();
    let (body, _held) = state.bodies().decompress(body, options.decompressed_bytes_max, options)?;
    Ok(match batch_of(state, protocol, &body) {
        Ok(outcome) => {
            state.metrics().count_written(&outcome);
            outcome.answer()
        }
        Err(spoiled) => spoiled.answer(state),
    })
}

fn batch_of(state: &ServerState, protocol: Protocol, body: &[u8]) -> Result<Outcome, Spoiled> {
    let mut batch = Batch::new(state, protocol == Protocol::V2);
    match protocol {
        Protocol::V1 => decode::v1(body, &mut batch)?,
        Protocol::V2 => decode::v2(body, &mut batch)?,
    }
    batch.commit()
}
