//! What the server counts of itself, and what of all there is to count it tells at `/metrics`.

mod expose;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Response, StatusCode};
use axum::middleware::Next;
use parking_lot::Mutex;

pub(crate) use self::expose::expose;
use crate::ServerState;
use crate::write::Outcome;

/// The handler of what no route has.
const NO_ROUTE: &str = "none";

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    written: Written,
    in_flight: AtomicU64,
    /// By the path of the route, which is one of a few, and the status code.
    requests: Mutex<BTreeMap<(String, u16), Requests>>,
    turned_away: AtomicU64,
}

/// What became of what was sent to be stored.
#[derive(Debug, Default)]
struct Written {
    floats: AtomicU64,
    histograms: AtomicU64,
    refused: AtomicU64,
    exemplars: AtomicU64,
    starts: AtomicU64,
    metadata_left_out: AtomicU64,
}

/// Requests that had their answer.
#[derive(Clone, Copy, Debug, Default)]
struct Requests {
    count: u64,
    /// From the head of the request to the head of the answer.
    time: Duration,
}

impl Metrics {
    pub(crate) fn count_written(&self, outcome: &Outcome) {
        let Written { floats, histograms, refused, exemplars, starts, metadata_left_out } = &self.written;
        for (counter, count) in [
            (floats, outcome.floats),
            (histograms, outcome.histograms),
            (refused, outcome.refused),
            (exemplars, outcome.exemplars),
            (starts, outcome.starts),
            (metadata_left_out, outcome.metadata_left_out),
        ] {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Counts a connection that was one too many.
    pub(crate) fn count_turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    fn count_request(&self, handler: &str, status: StatusCode, time: Duration) {
        let mut requests = self.requests.lock();
        let counted = requests.entry((handler.to_owned(), status.as_u16())).or_default();
        counted.count += 1;
        counted.time += time;
    }
}

/// Counts a request while it is under way, also when its client goes away.
struct InFlight(Arc<ServerState>);

impl InFlight {
    fn new(state: Arc<ServerState>) -> Self {
        state.metrics().in_flight.fetch_add(1, Ordering::Relaxed);
        Self(state)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.metrics().in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a request.
pub(crate) async fn count(
    State(state): State<Arc<ServerState>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let handler = request.extensions().get::<MatchedPath>().cloned();
    let _in_flight = InFlight::new(Arc::clone(&state));
    let started = Instant::now();
    let response = next.run(request).await;
    let handler = handler.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    state.metrics().count_request(handler, response.status(), started.elapsed());
    tracing::debug!(handler, status = response.status().as_u16(), "request");
    response
}
