//! `tsdb serve`: the store behind Prometheus' protocols, until a signal.
//!
//! Standard output gets one line, the address; everything else is logged. SIGTERM and SIGINT stop the server: it takes no more
//! connections, lets requests end, and closes the store. A second signal does not hurry it.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tsdb_engine::EngineOptions;
use tsdb_server::{Credentials, Server, ServerOptions};

use super::Store;
use crate::args::ServeArgs;
use crate::error::{Failure, Result};

const DAY_MS: i64 = 86_400_000;
/// File handles that connections leave to the store. Without one it could not begin a segment of its log.
const FILES_RESERVED: u64 = 256;
/// Holds the token, where no file does.
const TOKEN: &str = "TSDB_TOKEN";
/// Holds user and password, where no file does.
const PASSWORD: &str = "TSDB_PASSWORD";

pub(crate) fn run(store: &Store, args: &ServeArgs) -> Result<()> {
    let credentials = credentials(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Engine(tsdb_engine::Error::Runtime(error.to_string())))?;
    runtime.block_on(serve(store, args, credentials))
}

async fn serve(store: &Store, args: &ServeArgs, credentials: Option<Credentials>) -> Result<()> {
    // Before anything is promised to anybody.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut options = EngineOptions::default();
    options.lifecycle.retention_ms = args.retention_days.map(|days| i64::from(days) * DAY_MS);
    let engine = Arc::new(store.builder().options(options).open().await?);
    let server = Server::builder(Arc::clone(&engine))
        .options(server_options(args))
        .credentials(credentials)
        .allow_unauthenticated(args.allow_unauthenticated)
        .bind(args.listen)
        .await
        .map_err(|error| match error {
            tsdb_server::Error::Unauthenticated { address } => Failure::OpenToAll(address),
            error => error.into(),
        })?;
    let address = server.local_addr();
    writeln!(io::stdout(), "listening on http://{address}")?;
    tracing::info!(%address, data_dir = %store.dir().display(), "serving");
    let stop = async {
        let signal = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal, "stopping: requests under way are let end");
    };
    server.run(stop).await;
    let engine = Arc::into_inner(engine).expect("invariant: a server that has ended holds no engine");
    engine.close().await?;
    tracing::info!("stopped: everything that was acknowledged is on disk");
    Ok(())
}

fn server_options(args: &ServeArgs) -> ServerOptions {
    let mut options = ServerOptions::default();
    options.admin = args.enable_admin_api;
    options.future_max = Some(args.max_ahead);
    options.query_limits.time_max = Some(args.query_timeout);
    options.connections_max = connections_max(args.max_connections, raise_open_files());
    options.in_flight_bytes_max = args.max_body_bytes;
    options
}

/// As many connections as asked for, or as leave the store its files.
fn connections_max(asked: usize, open_files: Option<u64>) -> usize {
    let Some(open_files) = open_files else { return asked };
    let possible = open_files.saturating_sub(FILES_RESERVED).max(open_files / 4);
    let possible = usize::try_from(possible).unwrap_or(usize::MAX);
    if possible < asked {
        tracing::warn!(
            open_files,
            connections = possible,
            "fewer connections than asked for: raise the limit on open files"
        );
    }
    asked.min(possible)
}

/// Raises the limit on open files as far as this process may, and gives it; `None` where there is none.
fn raise_open_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    if current == maximum || setrlimit(Resource::Nofile, raised).is_err() { current } else { maximum }
}

/// What clients have to show: of a file, or of the environment.
fn credentials(args: &ServeArgs) -> Result<Option<Credentials>> {
    let of_file = |path: &Path| {
        let read = std::fs::read_to_string(path);
        read.map_err(|source| Failure::Input { path: path.to_owned(), source })
    };
    // What is set and says nothing would leave the server open to everybody.
    let of_environment = |name: &str| match std::env::var(name) {
        Ok(secret) if !secret.trim().is_empty() => Ok(Some(secret)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        _ => Err(Failure::Usage(format!(
            "{name} is set, but is empty or no text: unset it to ask for nothing"
        ))),
    };
    if let Some(path) = &args.token_file {
        return bearer(&of_file(path)?).map(Some);
    }
    if let Some(path) = &args.password_file {
        return basic(&of_file(path)?).map(Some);
    }
    match (of_environment(TOKEN)?, of_environment(PASSWORD)?) {
        (Some(_), Some(_)) => {
            Err(Failure::Usage(format!("{TOKEN} and {PASSWORD} are both set: one is enough")))
        }
        (Some(token), None) => bearer(&token).map(Some),
        (None, Some(password)) => basic(&password).map(Some),
        (None, None) => Ok(None),
    }
}

fn bearer(text: &str) -> Result<Credentials> {
    match text.trim() {
        "" => Err(Failure::Usage("the token is empty".to_owned())),
        token => Ok(Credentials::Bearer { token: token.to_owned() }),
    }
}

fn basic(text: &str) -> Result<Credentials> {
    match text.trim().split_once(':') {
        Some((user, password)) if !user.is_empty() && !password.is_empty() => {
            Ok(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
        }
        _ => Err(Failure::Usage("user and password must be given as USER:PASSWORD".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_the_store_its_files() {
        for (asked, open_files, expected) in [
            (4096, None, 4096),
            (4096, Some(1 << 20), 4096),
            (4096, Some(1024), 768),
            (100, Some(1024), 100),
            (100, Some(64), 16),
        ] {
            assert_eq!(connections_max(asked, open_files), expected, "{asked} {open_files:?}");
        }
    }
}
