//! Integration tests of `tsdb-core`: one binary, one module for each part.

#![allow(clippy::unwrap_used)] // The exemption of tests does not reach the functions that they share.

/// Blocks: round trips, selection, damage.
mod block;
/// A second decoder, written from the page on the format, held against the first.
mod chunk_format;
/// Chunks: round trips, cuts, seeks, damage.
mod chunks;
/// Native histograms: which are valid, and when two are the same.
mod histograms;
/// Label sets: canonical form, order, encoding, damage.
mod labels;
/// Matchers against an oracle, and the dialect of their patterns.
mod matchers;
/// The algebra of postings, and matchers over an index.
mod postings;
/// Sample buffers: clipping, merging, time order over both kinds.
mod samples;
/// The selector parser: values, errors that point, fuzzing.
mod selector;
/// Tombstones: bytes, damage, and what they delete.
mod tombstones;
