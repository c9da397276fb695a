//! Integration tests of the hot tier, one binary.
//!
//! - `support`: opening a store on the simulated disk, reading everything back, batches that can be told apart.
//! - `crash`: the power goes away at every operation of a script; and every operation fails once.
//! - `model`: random scripts against the oracle, with seals, reopenings, crashes and hand-overs in between.
//! - `damage`: every byte of a log flipped, every truncation.
//! - `prepared`: segments that are filled with zeros before they are needed, and what a crash leaves of them.
//! - `repair`: what can be read of a damaged log comes back.
//! - `failure`: a failed fsync, a full disk, a store that cannot be what it should be.
//! - `threads`: concurrent writers, readers and seals; group commit; the order of arrival.
//! - `lifecycle`: windows, sequences, statistics, snapshots, references, settings.

#![allow(clippy::unwrap_used)] // The exemption of tests does not reach the functions that they share.

mod crash;
mod damage;
mod failure;
mod lifecycle;
mod model;
mod prepared;
mod repair;
mod support;
mod threads;
