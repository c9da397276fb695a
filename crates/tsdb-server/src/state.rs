//! What all requests share: the engine, the settings, the bounds.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::http::StatusCode;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};
use tokio::time::timeout;
use tsdb_engine::{Clock, Engine, SystemClock};

use crate::ServerOptions;
use crate::auth::Credentials;
use crate::body::BodyBudget;
use crate::metrics::Metrics;
use crate::reply::Refusal;
use crate::write::{MetadataChanges, SeriesCache};

/// What the handlers of a [`router`](crate::router) work with.
#[derive(Debug)]
pub struct ServerState {
    engine: Arc<Engine>,
    options: ServerOptions,
    clock: Arc<dyn Clock>,
    credentials: Option<Credentials>,
    bodies: BodyBudget,
    writes: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    series_cache: SeriesCache,
    metadata_changes: MetadataChanges,
    /// Counting everything is one query's work at a time.
    status: Semaphore,
    metrics: Metrics,
    /// Dropped last: when the other end sees it, the engine is nobody's here.
    _alive: Option<mpsc::Sender<()>>,
}

impl ServerState {
    /// Over an engine, with the machine's clock.
    #[must_use]
    pub fn new(engine: Arc<Engine>, options: ServerOptions) -> Self {
        let (writes, queries) = (Semaphore::new(options.writes_max), Semaphore::new(options.queries_max));
        Self {
            engine,
            clock: Arc::new(SystemClock),
            credentials: None,
            bodies: BodyBudget::new(&options),
            writes: Arc::new(writes),
            queries: Arc::new(queries),
            series_cache: SeriesCache::default(),
            metadata_changes: MetadataChanges::default(),
            status: Semaphore::new(1),
            metrics: Metrics::default(),
            options,
            _alive: None,
        }
    }

    /// Replaces the clock that tells which samples lie in the future.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Asks every client for credentials.
    #[must_use]
    pub fn credentials_needed(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Has whoever holds the other end told when the state, and with it the engine, is let go.
    pub(crate) fn watched(mut self, alive: mpsc::Sender<()>) -> Self {
        self._alive = Some(alive);
        self
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn options(&self) -> &ServerOptions {
        &self.options
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    pub(crate) fn bodies(&self) -> &BodyBudget {
        &self.bodies
    }

    pub(crate) fn series_cache(&self) -> &SeriesCache {
        &self.series_cache
    }

    pub(crate) fn metadata_changes(&self) -> &MetadataChanges {
        &self.metadata_changes
    }

    /// The turn for counting everything; who finds it taken is told to come again.
    pub(crate) fn status_turn(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.status.try_acquire().map_err(|_| {
            let reason = "the series are being counted for somebody else: come again later";
            Refusal::busy(StatusCode::TOO_MANY_REQUESTS, reason, self.options.retry_after)
        })
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The latest timestamp that a sample may have, in milliseconds.
    pub(crate) fn latest_ms(&self) -> i64 {
        let ahead = self
            .options
            .future_max
            .map_or(i64::MAX, |ahead| ahead.as_millis().try_into().unwrap_or(i64::MAX));
        self.now_ms().saturating_add(ahead)
    }

    /// A turn for a write. What waits for too long is told to come again: a sender repeats a 503 by itself.
    pub(crate) async fn write_turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.turn(&self.writes, StatusCode::SERVICE_UNAVAILABLE, "writes").await
    }

    /// A turn for a query, to be held until its answer is sent.
    pub(crate) async fn query_turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.turn(&self.queries, StatusCode::TOO_MANY_REQUESTS, "queries").await
    }

    async fn turn(
        &self,
        turns: &Arc<Semaphore>,
        status: StatusCode,
        what: &str,
    ) -> Result<OwnedSemaphorePermit, Refusal> {
        match timeout(self.options.queue_time_max, Arc::clone(turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => {
                let reason = format!("too many {what} at a time: come again later");
                Err(Refusal::busy(status, reason, self.options.retry_after))
            }
        }
    }
}

/// Does work that blocks, or that keeps a processor busy, where it is in nobody's way. It is done to its end, also when the
/// client has gone.
///
/// A worker of the runtime does it itself and leaves its other tasks to another thread: the one that has the request has the
/// answer, without being woken for it. Where there is no such worker, the work goes to a thread of its own.
pub(crate) async fn off_the_runtime<T, W>(work: W) -> Result<T, Refusal>
where
    T: Send + 'static,
    W: FnOnce(&Handle) -> T + Send + 'static,
{
    let handle = Handle::current();
    let done = match handle.runtime_flavor() {
        RuntimeFlavor::MultiThread => {
            let in_place = || tokio::task::block_in_place(|| work(&handle));
            std::panic::catch_unwind(AssertUnwindSafe(in_place)).map_err(|_| "it panicked".to_owned())
        }
        _ => tokio::task::spawn_blocking(move || work(&handle)).await.map_err(|error| error.to_string()),
    };
    done.map_err(|error| {
        tracing::error!(error, "a request was not done to its end");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the request was not done: see the server's log")
    })
}
