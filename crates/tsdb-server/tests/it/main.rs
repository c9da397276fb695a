//! Integration tests of the server over real sockets, one binary.

#![allow(clippy::unwrap_used)] // The exemption of tests does not reach the functions that they share.

/// Look-ups, export, deletes, status, authentication.
mod api;
/// A client of single bytes.
mod http;
/// What a client cannot do to the server, and a stop with requests under way.
mod limits;
/// Remote read: both response types against what was written, limits, clients that go away.
mod remote_read;
/// A server with a store of its own, and a client.
mod support;
/// Remote write and text import.
mod write;
