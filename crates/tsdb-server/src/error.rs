//! The one error type of the crate: why there is no server. What a client is refused is a [`Refusal`](crate::reply::Refusal).

use std::io;
use std::net::SocketAddr;

/// The result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the server could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The address can be reached from other machines, and whoever reaches it may do everything.
    #[error(
        "refused to listen on {address}, which other machines can reach, without authentication: ask for a token or a \
         password, listen on 127.0.0.1, or say that it is meant (`allow_unauthenticated`)"
    )]
    Unauthenticated {
        /// The address that was asked for.
        address: SocketAddr,
    },
}
