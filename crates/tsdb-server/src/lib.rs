#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod api;
mod auth;
mod body;
mod buffers;
mod error;
mod health;
mod metrics;
mod options;
mod params;
mod remote_read;
mod reply;
mod router;
mod server;
mod state;
mod streaming;
mod write;

pub use auth::Credentials;
pub use error::{Error, Result};
pub use options::ServerOptions;
pub use router::router;
pub use server::{Server, ServerBuilder};
pub use state::ServerState;

// The crates whose types this one's signatures show, so that a consumer gets them in the right versions.
pub use {axum, tsdb_core, tsdb_engine};
