//! A server on an address of its own over a new store, and a client that says what it got.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tsdb_core::{Labels, SampleValue};
use tsdb_engine::Engine;
use tsdb_server::{Server, ServerBuilder, ServerOptions};

/// A running server. Dropped, it ends.
pub(crate) struct Serving {
    pub(crate) engine: Arc<Engine>,
    pub(crate) runtime: Runtime,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: Option<JoinHandle<()>>,
    dir: Option<TempDir>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Serving {
    pub(crate) fn start(options: ServerOptions) -> Self {
        Self::start_with(options, |server| server)
    }

    pub(crate) fn start_with(
        options: ServerOptions,
        configure: impl FnOnce(ServerBuilder) -> ServerBuilder,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let engine = Arc::new(runtime.block_on(Engine::open(dir.path())).unwrap());
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = configure(Server::builder(Arc::clone(&engine)).options(options));
        let server = runtime.block_on(server.bind(any_port)).unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let ended = runtime.spawn(async move {
            let stopped = async move {
                let _sender_is_gone = stopped.await;
            };
            server.run(stopped).await;
        });
        Self { engine, runtime, address, stop: Some(stop), ended: Some(ended), dir: Some(dir) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has the server stop, and does not wait for that.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until the server has stopped, and opens its store anew. The directory goes with what is returned.
    pub(crate) fn reopen(mut self) -> (tsdb_engine::blocking::Engine, TempDir) {
        let dir = self.dir.take().unwrap();
        drop(self);
        (tsdb_engine::blocking::Engine::open(dir.path()).unwrap(), dir)
    }

    pub(crate) fn append<'a>(&self, samples: impl IntoIterator<Item = (&'a Labels, i64, &'a SampleValue)>) {
        let mut appender = self.engine.appender();
        for (labels, timestamp_ms, value) in samples {
            appender.append_value(labels, timestamp_ms, value.clone()).unwrap();
        }
        appender.commit().unwrap();
    }

    pub(crate) fn flush(&self) {
        self.runtime.block_on(self.engine.flush()).unwrap();
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Answer {
        let agent: ureq::Agent = ureq::config::Config::builder().http_status_as_error(false).build().into();
        let mut response = agent
            .post(format!("http://{}{path}", self.address))
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .send(body)
            .unwrap();
        let content_type =
            response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        Answer {
            status: response.status().as_u16(),
            content_type: content_type.unwrap_or_default(),
            body: response.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap(),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop();
        if let Some(ended) = self.ended.take() {
            let _panic_is_shown_already = self.runtime.block_on(ended);
        }
    }
}
