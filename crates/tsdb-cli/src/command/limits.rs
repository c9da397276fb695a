//! What a command that asks may cost: from its flags, and back to the flag that would allow more.

use tsdb_engine::{Error, QueryLimit, QueryLimits};

use crate::args::{AnswerArgs, CostArgs};
use crate::error::Failure;

/// The limits that the flags set.
pub(super) fn query_limits(answer: Option<&AnswerArgs>, cost: &CostArgs) -> QueryLimits {
    let mut limits = QueryLimits::default();
    limits.series_max = answer.and_then(|answer| answer.max_series);
    limits.samples_max = answer.and_then(|answer| answer.max_samples);
    limits.bytes_read_max = cost.max_bytes;
    limits.time_max = cost.timeout;
    limits
}

/// An answer beyond a limit names the flag in place of the library's setting.
pub(super) fn naming_flags(failure: Failure) -> Failure {
    match failure {
        Failure::Engine(Error::LimitExceeded { limit }) => Failure::Limit { flag: flag(limit), limit },
        failure => failure,
    }
}

/// The flag that sets a limit.
fn flag(limit: QueryLimit) -> &'static str {
    match limit {
        QueryLimit::Series(_) => "--max-series",
        QueryLimit::Samples(_) => "--max-samples",
        QueryLimit::Windows(_) => "--max-windows",
        QueryLimit::BytesRead(_) => "--max-bytes",
        _ => "--timeout",
    }
}
