//! `tsdb serve`: the store behind Prometheus' protocols, until a signal.

use std::io::{self, Write};
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tsdb_engine::EngineOptions;
use tsdb_server::{Server, ServerOptions};

use super::Store;
use crate::args::ServeArgs;
use crate::error::{Failure, Result};

pub(crate) fn run(store: &Store, args: &ServeArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Engine(tsdb_engine::Error::Runtime(error.to_string())))?;
    runtime.block_on(serve(store, args))
}

async fn serve(store: &Store, args: &ServeArgs) -> Result<()> {
    // Before anything is promised to anybody.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Unlike a command, a server lets the worker of the engine do its work.
    let builder = store.builder().options(EngineOptions::default());
    let engine = Arc::new(builder.open().await?);
    let server = Server::bind(Arc::clone(&engine), ServerOptions::default(), args.listen).await?;
    writeln!(io::stdout(), "listening on http://{}", server.local_addr())?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server.run(stop).await?;
    let engine = Arc::into_inner(engine).expect("invariant: a server that has ended holds no engine");
    Ok(engine.close().await?)
}
