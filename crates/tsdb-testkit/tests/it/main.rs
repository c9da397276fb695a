//! Integration tests of tsdb-testkit.

#![allow(clippy::unwrap_used)] // The exemption of tests does not reach the functions that they share.

mod crash; // The driver: it meets every operation, and finds the bugs that it is for.
mod diff; // The comparison of answers: each kind of difference is told.
mod disk; // The simulated disk: conformance, and what survives a power loss.
mod oracle; // The model store, on cases written out by hand.
mod strategies; // What is generated is valid, and the odd cases really come up.
