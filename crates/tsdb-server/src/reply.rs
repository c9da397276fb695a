//! What a client is refused, and how that is said: a status code, a reason, and where it helps the time to come again.
//!
//! Prometheus' API answers with JSON (`{"status":"error","errorType":...,"error":...}`), its remote write and remote read
//! with plain text. A refusal knows its code and reason; the place that answers chooses the form.
//!
//! The codes are chosen by what a sender does with them: it drops what got a 4xx, and repeats what got a 5xx, for ever. So
//! only what may go well the next time is a 5xx.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: String,
    /// When to come again, where that helps.
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), retry_after: None }
    }

    /// What was sent means nothing.
    pub(crate) fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// Too much at the moment.
    pub(crate) fn busy(status: StatusCode, reason: impl Into<String>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(status, reason) }
    }

    /// As plain text.
    pub(crate) fn as_text(&self) -> Response<Body> {
        let mut response = (self.status, format!("{}\n", self.reason)).into_response();
        self.add_retry_after(&mut response);
        response
    }

    /// As Prometheus' API says it.
    pub(crate) fn as_json(&self) -> Response<Body> {
        let error = json!({ "status": "error", "errorType": self.error_type(), "error": self.reason });
        let mut response = (self.status, error.to_string()).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.add_retry_after(&mut response);
        response
    }

    fn add_retry_after(&self, response: &mut Response<Body>) {
        if let Some(after) = self.retry_after {
            // Whole seconds, and never none.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
    }

    /// Prometheus' word for the kind of error.
    fn error_type(&self) -> &'static str {
        match self.status {
            StatusCode::BAD_REQUEST | StatusCode::METHOD_NOT_ALLOWED | StatusCode::PAYLOAD_TOO_LARGE => {
                "bad_data"
            }
            StatusCode::UNPROCESSABLE_ENTITY => "execution",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::FORBIDDEN => {
                "unavailable"
            }
            _ => "internal",
        }
    }
}

impl From<tsdb_engine::Error> for Refusal {
    /// What the engine says to a query.
    fn from(error: tsdb_engine::Error) -> Self {
        let status = match &error {
            tsdb_engine::Error::LimitExceeded { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            tsdb_engine::Error::Core(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}
