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
use tsdb_engine::Engine;

use crate::error::{Error, Result};
use crate::{ServerOptions, ServerState, router};

/// Bytes that a connection reads ahead, and so the longest head of a request.
const CONNECTION_BUFFER_BYTES: usize = 64 << 10;
/// How long to wait after the system refused to accept a connection, which it does when it is out of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    options: ServerOptions,
    router: Router,
    /// Ends when nothing of the server holds the engine any more.
    let_go: mpsc::Receiver<()>,
}

impl Server {
    /// Listens on `address`; port 0 is any that is free. Connections wait until [`run`](Self::run).
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub async fn bind(engine: Arc<Engine>, options: ServerOptions, address: SocketAddr) -> Result<Self> {
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (alive, let_go) = mpsc::channel(1);
        let state = ServerState::new(engine, options.clone()).watched(alive);
        Ok(Self { listener, address, options, router: router(Arc::new(state)), let_go })
    }

    /// The address that is listened on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` ends; then takes no more connections and lets requests end. When this returns, nothing of the
    /// server holds the engine any more.
    ///
    /// # Errors
    /// None yet; a connection that fails is nobody's but its client's.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<()> {
        let Self { listener, options, router, mut let_go, .. } = self;
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
                    Err(_) => turn_away(&stream, options.retry_after),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop((listener, router));
        if tokio::time::timeout(options.shutdown_time_max, graceful.shutdown()).await.is_err() {
            tracing::warn!(connections = connections.len(), "requests that did not end are cut off");
        }
        connections.shutdown().await;
        let _closed = let_go.recv().await;
        Ok(())
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
