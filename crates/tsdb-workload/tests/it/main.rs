//! What the crate promises, through its public interface:
//! - `determinism`: the committed hashes; prefixes; targets alone;
//! - `shape`: the mix, the timestamps, the invariants of each kind;
//! - `text`: the OpenMetrics output.

mod determinism;
mod shape;
mod text;
