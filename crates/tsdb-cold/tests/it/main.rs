//! Integration tests of the cold tier, one binary.

#![allow(clippy::unwrap_used)] // The exemption of tests does not reach the functions that they share.

/// The cache: single flight, its bound, failures.
mod cache;
/// Compaction: what is merged, what is left out, what a running query keeps.
mod compact;
/// Deletes: tombstones over files and over what is converted later.
mod delete;
/// Label blooms: what is opened, what is not, damage.
mod label_bloom;
/// The whole life of files on a store that fails, at every operation.
mod lifecycle;
/// The catalog made anew from the files.
mod rebuild;
/// Blocks and a tier to give them to.
mod support;
/// Convert, commit, hand over, sweep; fencing.
mod tier;
/// The local store: the object store's own conformance suite, durability, faults.
mod vfs_store;
