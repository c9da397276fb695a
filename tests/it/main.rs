//! Integration tests over the whole engine, one binary.

#![allow(clippy::unwrap_used)] // The exemption of tests does not reach the functions that they share.

/// Aggregation inside the engine against a naive one over the oracle's answer, wherever the samples lie.
mod aggregate;
/// The roadmap's `ColdQueryTest`: every query over cold files alone.
mod cold_query;
/// Power loss and I/O errors at every operation of append, seal, convert, hand-over and restart.
mod crash;
/// Files of every version of every format, and what is promised of them.
mod format;
/// The roadmap's `HybridQueryTest`: every query, wherever the samples lie.
mod hybrid_query;
/// `kill -9` of a real process, in a loop, with acknowledged writes checked.
mod kill;
/// The life of data by itself: the background worker, retention, deletes over all tiers.
mod lifecycle;
/// Limits of a query, its statistics, its end when it is dropped.
mod limits;
/// The lock of the data directory.
mod lock;
/// Metadata of metrics: crashes, readers, bounds, damage.
mod metadata;
/// The whole engine against the oracle: random scripts of appends, seals, flushes and restarts.
mod model;
/// What an operator meets: a store in use, missing, newer, damaged.
mod open_errors;
/// An engine that only reads, beside one that writes.
mod read_only;
/// The road of a sample through every tier, and the same answer from each.
mod road;
/// A real process under everything at once, for some seconds; `cargo xtask soak` for longer.
mod soak;
/// What the tests of queries share: a history, laid out over the tiers in several ways.
mod ways;
