//! `/-/healthy` and `/-/ready`: whether the process lives, and whether it serves. It listens only once the store is open, so
//! both are yes until it stops.

/// The answer of both, in Prometheus' words.
pub(crate) async fn healthy() -> &'static str {
    "tsdb is healthy.\n"
}

pub(crate) async fn ready() -> &'static str {
    "tsdb is ready.\n"
}
