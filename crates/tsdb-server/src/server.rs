//! The server: a listener, its connections, and their end.
//!
//! Each connection speaks HTTP/1.1 and is a task. A head that does not come, an answer that nobody takes and one connection
//! too many end it. Stopping lets requests end, for a time, and then waits until nothing holds the engine any more.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tsdb_engine::{Clock, Engine, SystemClock};

use crate::error::{Error, Result};
use crate::{Credentials, ServerOptions, ServerState, router};

/// Bytes that a connection reads ahead, and so the longest head of a request.
const CONNECTION_BUFFER_BYTES: usize = 64 << 10;
/// How long to wait after the system refused to accept a connection, which it does when it is out of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a server is put together: settings, and who may ask; made by [`Server::builder`].
#[derive(Debug)]
pub struct ServerBuilder {
    engine: Arc<Engine>,
    options: ServerOptions,
    credentials: Option<Credentials>,
    allow_unauthenticated: bool,
    clock: Arc<dyn Clock>,
}

impl ServerBuilder {
    /// Replaces all settings.
    #[must_use]
    pub fn options(mut self, options: ServerOptions) -> Self {
        self.options = options;
        self
    }

    /// Asks every client for credentials; of nobody by default.
    #[must_use]
    pub fn credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// Whether the server may listen where other machines can reach it without asking for credentials: not by default.
    #[must_use]
    pub fn allow_unauthenticated(mut self, allow: bool) -> Self {
        self.allow_unauthenticated = allow;
        self
    }

    /// Replaces the clock that tells which samples lie in the future: the machine's by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Listens on `address`; port 0 is any that is free. Connections wait until [`Server::run`].
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Listen`].
    pub async fn bind(self, address: SocketAddr) -> Result<Server> {
        if self.credentials.is_none() && !self.allow_unauthenticated && !address.ip().is_loopback() {
            return Err(Error::Unauthenticated { address });
        }
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (alive, let_go) = mpsc::channel(1);
        let mut state = ServerState::new(self.engine, self.options).clock(self.clock).watched(alive);
        if let Some(credentials) = self.credentials {
            state = state.credentials_needed(credentials);
        }
        Ok(Server { listener, address, state: Arc::new(state), let_go })
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    state: Arc<ServerState>,
    /// Ends when nothing of the server holds the engine any more.
    let_go: mpsc::Receiver<()>,
}

impl Server {
    /// Settings for a server of `engine`.
    #[must_use]
    pub fn builder(engine: Arc<Engine>) -> ServerBuilder {
        ServerBuilder {
            engine,
            options: ServerOptions::default(),
            credentials: None,
            allow_unauthenticated: false,
            clock: Arc::new(SystemClock),
        }
    }

    /// The address that is listened on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` ends; then takes no more connections and lets requests end. When this returns, nothing of the
    /// server holds the engine any more.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listener, state, mut let_go, .. } = self;
        let (options, router) = (state.options().clone(), router(Arc::clone(&state)));
        let places = Arc::new(Semaphore::new(options.connections_max));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stop => break,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, _)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => {
                        connections.spawn(connection(stream, place, router.clone(), &options, &graceful));
                    }
                    Err(_) => {
                        state.metrics().count_turned_away();
                        turn_away(&stream, options.retry_after);
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop((listener, router, state));
        if tokio::time::timeout(options.shutdown_time_max, graceful.shutdown()).await.is_err() {
            tracing::warn!(connections = connections.len(), "requests that did not end are cut off");
        }
        connections.shutdown().await;
        // Nothing is ever sent: it ends with the last one who could.
        let _ended = let_go.recv().await;
    }
}

/// One connection, to its end.
fn connection(
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    router: Router,
    options: &ServerOptions,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    // Answers are small and complete: they shall not wait for more.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(options.stall_time_max));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_time_max)
        .max_buf_size(CONNECTION_BUFFER_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    let serving = graceful.watch(serving);
    async move {
        if let Err(error) = serving.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(place);
    }
}

/// Tells a client that there are too many, as far as that can be said without waiting for it.
fn turn_away(stream: &TcpStream, retry_after: Duration) {
    let answer = format!(
        "HTTP/1.1 {} \r\nretry-after: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        StatusCode::SERVICE_UNAVAILABLE.as_u16(),
        retry_after.as_secs().max(1)
    );
    if let Err(error) = stream.try_write(answer.as_bytes()) {
        tracing::debug!(%error, "a connection too many was closed without an answer");
    }
}
