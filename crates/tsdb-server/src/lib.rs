#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod health;
mod options;
mod reply;
mod router;
mod server;
mod state;

pub use error::{Error, Result};
pub use options::ServerOptions;
pub use router::router;
pub use server::Server;
pub use state::ServerState;

// The crates whose types this one's signatures show, so that a consumer gets them in the right versions.
pub use {axum, tsdb_core, tsdb_engine};
