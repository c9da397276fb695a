//! Why a command failed, and its exit code.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// What went wrong, as it is printed after `error: `.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An argument that means nothing: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The store refused or is damaged.
    #[error(transparent)]
    Engine(#[from] tsdb_engine::Error),
    /// There is no server.
    #[error(transparent)]
    Server(#[from] tsdb_server::Error),
    /// The server would be open to everybody.
    #[error(
        "refused to listen on {0}, which other machines can reach, without authentication: give --token-file or \
         --password-file, listen on 127.0.0.1, or say --allow-unauthenticated"
    )]
    OpenToAll(std::net::SocketAddr),
    /// The query went beyond a limit that was set.
    #[error("the query was stopped: {limit}. Narrow the selector or the time range, or raise {flag}")]
    Limit { limit: tsdb_engine::QueryLimit, flag: &'static str },
    /// An input file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Input { path: PathBuf, source: io::Error },
    /// An output file cannot be made.
    #[error("cannot write {}: {source}", path.display())]
    Create { path: PathBuf, source: io::Error },
    /// The file system refused; its error says what was tried on which file.
    #[error("{0}")]
    File(io::Error),
    /// A Parquet file named on the command line is none, is damaged, or holds no samples.
    #[error("cannot read {}: {source}", path.display())]
    Parquet { path: PathBuf, source: tsdb_parquet_io::Error },
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// The command did its work, but not all of it.
    #[error("{0}")]
    Incomplete(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;
