//! Which of its messages a write says it is.
//!
//! As in Prometheus: without a content type or an encoding it is taken for 1.0 and snappy, for early senders said neither;
//! what is said must be right, and anything else is 415, so that a sender of 2.0 falls back to 1.0 where that is all that is
//! understood.

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, StatusCode};

use crate::reply::Refusal;

/// The message that a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Remote write 1.0: `prometheus.WriteRequest`.
    V1,
    /// Remote write 2.0: `io.prometheus.write.v2.Request`.
    V2,
}

const MEDIA_TYPE: &str = "application/x-protobuf";
const MESSAGE_V1: &str = "prometheus.WriteRequest";
const MESSAGE_V2: &str = "io.prometheus.write.v2.Request";

pub(super) fn protocol(headers: &HeaderMap) -> Result<Protocol, Refusal> {
    let encoding = text(headers, &CONTENT_ENCODING)?;
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("snappy") {
        return Err(unsupported(format!(
            "content encoding {encoding:?}: bodies are compressed with snappy (block format)"
        )));
    }
    let content_type = text(headers, &CONTENT_TYPE)?;
    if content_type.is_empty() {
        return Ok(Protocol::V1);
    }
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case(MEDIA_TYPE)) {
        return Err(unsupported(format!("content type {content_type:?}: this is for {MEDIA_TYPE}")));
    }
    for part in parts {
        let Some((name, value)) = part.split_once('=') else {
            return Err(unsupported(format!("content type {content_type:?}: {part:?} is no parameter")));
        };
        if name.trim().eq_ignore_ascii_case("proto") {
            return match value.trim().trim_matches('"') {
                MESSAGE_V1 => Ok(Protocol::V1),
                MESSAGE_V2 => Ok(Protocol::V2),
                other => {
                    Err(unsupported(format!("message {other:?}: known are {MESSAGE_V1} and {MESSAGE_V2}")))
                }
            };
        }
    }
    Ok(Protocol::V1)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Refusal> {
    let Some(value) = headers.get(name) else { return Ok("") };
    value.to_str().map(str::trim).map_err(|_| unsupported(format!("the header {name} is not text")))
}

fn unsupported(reason: String) -> Refusal {
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("unsupported {reason}"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(content_type: &'static str, encoding: &'static str, expected: Result<Protocol, StatusCode>) {
        let mut headers = HeaderMap::new();
        for (name, value) in [(CONTENT_TYPE, content_type), (CONTENT_ENCODING, encoding)] {
            if !value.is_empty() {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        let found = protocol(&headers).map_err(|refusal| refusal.status);
        assert_eq!(found, expected, "{content_type:?} {encoding:?}");
    }

    #[test]
    fn content_types_and_encodings() {
        let unsupported = Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        check("application/x-protobuf", "snappy", Ok(Protocol::V1));
        check("", "", Ok(Protocol::V1));
        check("application/x-protobuf", "", Ok(Protocol::V1));
        check("application/x-protobuf;proto=prometheus.WriteRequest", "snappy", Ok(Protocol::V1));
        check("application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", Ok(Protocol::V2));
        check("application/x-protobuf; proto=\"io.prometheus.write.v2.Request\"", "Snappy", Ok(Protocol::V2));
        check("application/x-protobuf; charset=utf-8", "snappy", Ok(Protocol::V1));
        check("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy", unsupported);
        check("application/x-protobuf;v2", "snappy", unsupported);
        check("application/json", "snappy", unsupported);
        check("text/plain", "", unsupported);
        check("application/x-protobuf", "gzip", unsupported);
        check("application/x-protobuf", "zstd", unsupported);
    }
}
