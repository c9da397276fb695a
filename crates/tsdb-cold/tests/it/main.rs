//! Integration tests of the cold tier, one binary.

#![allow(clippy::unwrap_used)] // The exemption of tests does not reach the functions that they share.

/// Blocks, and stores that answer wrongly, for the other modules.
mod support;
/// Convert, commit, hand over, sweep; fencing; failing stores.
mod tier;
/// `VfsStore` against object_store's own conformance suite, and its durability.
mod vfs_store;
