//! What became of a body, and how the sender is told.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;

use super::wire::Malformed;
use crate::ServerState;
use crate::reply::Refusal;

/// Refusals whose reasons are told; the rest is counted.
const REASONS_MAX: usize = 10;
/// How long a reason may be: it may quote what was sent.
const REASON_CHARS_MAX: usize = 500;

/// What became of the parts of a body that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Float samples that are stored.
    pub(crate) floats: u64,
    /// Histograms that are stored.
    pub(crate) histograms: u64,
    /// Exemplars that were left out.
    pub(crate) exemplars: u64,
    /// Samples whose start timestamp was left out.
    pub(crate) starts: u64,
    /// Metadata that was left out, for it is too much.
    pub(crate) metadata_left_out: u64,
    /// Samples that were refused, and series that have none.
    pub(crate) refused: u64,
    /// Why, for the first ones.
    reasons: Vec<String>,
}

/// Why nothing of a body is stored.
#[derive(Debug)]
pub(crate) enum Spoiled {
    /// The body is not what it says it is.
    Malformed(Malformed),
    /// The body holds more than one may.
    TooMany { samples_max: usize },
    /// There is no memory for it at the moment.
    Busy(Refusal),
    /// The engine refused it, or cannot write.
    Engine(tsdb_engine::Error),
}

impl From<Malformed> for Spoiled {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl Outcome {
    pub(super) fn refuse(&mut self, reason: impl FnOnce() -> String) {
        self.refused += 1;
        if self.reasons.len() < REASONS_MAX {
            let mut reason = reason();
            if let Some((end, _)) = reason.char_indices().nth(REASON_CHARS_MAX) {
                reason.truncate(end);
                reason.push_str("...");
            }
            self.reasons.push(reason);
        }
    }

    /// The answer: 204, or 400 with what was refused. A sender repeats neither.
    pub(super) fn answer(&self) -> Response<Body> {
        let mut response = if self.refused == 0 {
            StatusCode::NO_CONTENT.into_response()
        } else {
            Refusal::bad_request(self.refusals()).as_text()
        };
        self.add_counts(response.headers_mut());
        response
    }

    fn refusals(&self) -> String {
        let told = self.reasons.join("\n");
        let stored = self.floats + self.histograms;
        let rest = self.refused - self.reasons.len() as u64;
        let more = if rest > 0 { format!("\nand {rest} more") } else { String::new() };
        format!("stored: {stored}, refused: {}\n{told}{more}", self.refused)
    }

    /// What remote write 2.0 wants to be told: how much of each kind is stored. Of exemplars none is.
    fn add_counts(&self, headers: &mut HeaderMap) {
        let counts = [
            ("x-prometheus-remote-write-samples-written", self.floats),
            ("x-prometheus-remote-write-histograms-written", self.histograms),
            ("x-prometheus-remote-write-exemplars-written", 0),
        ];
        for (name, count) in counts {
            headers.insert(name, HeaderValue::from(count));
        }
    }
}

impl Spoiled {
    /// The code by what the sender should do: drop it, or send it again.
    fn refusal(&self, state: &ServerState) -> Refusal {
        match self {
            Self::Malformed(malformed) => Refusal::bad_request(format!(
                "the body is malformed, nothing of it is stored: {}",
                malformed.reason()
            )),
            Self::TooMany { samples_max } => Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "the body has more than {samples_max} samples, or their buckets are too many: send it in parts"
                ),
            ),
            Self::Busy(refusal) => refusal.clone(),
            Self::Engine(error) if error.is_refused_input() => Refusal::bad_request(error.to_string()),
            Self::Engine(error) if error.is_temporary() => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Refusal::busy(status, error.to_string(), state.options().retry_after)
            }
            Self::Engine(error) => {
                tracing::error!(%error, "a write failed");
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            }
        }
    }

    /// The answer, which says that nothing is stored.
    pub(super) fn answer(&self, state: &ServerState) -> Response<Body> {
        refused(&self.refusal(state))
    }
}

/// The answer to a body of which nothing is stored.
pub(super) fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = refusal.as_text();
    Outcome::default().add_counts(response.headers_mut());
    response
}
