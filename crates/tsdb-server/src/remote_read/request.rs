//! A read request: from a body to matchers, ranges and the type of the response.

use axum::http::StatusCode;
use prost::Message as _;
use tsdb_core::{MatchOp, Matcher, TimeRange};

use super::proto::{self, MatcherType, ResponseType};
use crate::reply::Refusal;

/// What is asked for.
#[derive(Debug)]
pub(super) struct ReadRequest {
    pub(super) queries: Vec<ReadQuery>,
    pub(super) response: ResponseType,
}

/// One query of a request.
#[derive(Debug)]
pub(super) struct ReadQuery {
    pub(super) matchers: Vec<Matcher>,
    pub(super) range: TimeRange,
}

impl ReadRequest {
    /// Reads a body: a snappy block of at most `bytes_max`, with a `prometheus.ReadRequest`.
    pub(super) fn decode(body: &[u8], bytes_max: usize) -> Result<Self, Refusal> {
        let not_snappy = |error| {
            Refusal::bad_request(format!(
                "the body is not in snappy's block format ({error}): send a prometheus.ReadRequest that is compressed so"
            ))
        };
        let bytes = snap::raw::decompress_len(body).map_err(not_snappy)?;
        // Looked at before anything is allocated for it.
        if bytes > bytes_max {
            let reason = format!("the request has {bytes} bytes after decompression, more than {bytes_max}");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason));
        }
        let message = snap::raw::Decoder::new().decompress_vec(body).map_err(not_snappy)?;
        let message = proto::ReadRequest::decode(&message[..]).map_err(|error| {
            Refusal::bad_request(format!("the body is no prometheus.ReadRequest: {error}"))
        })?;
        Ok(Self {
            response: negotiate(&message.accepted_response_types)?,
            queries: message.queries.iter().map(ReadQuery::of).collect::<Result<_, _>>()?,
        })
    }
}

impl ReadQuery {
    fn of(query: &proto::Query) -> Result<Self, Refusal> {
        let range = TimeRange::new(query.start_timestamp_ms, query.end_timestamp_ms);
        Ok(Self { matchers: query.matchers.iter().map(matcher).collect::<Result<_, _>>()?, range })
    }
}

fn matcher(matcher: &proto::LabelMatcher) -> Result<Matcher, Refusal> {
    let proto::LabelMatcher { op, name, value } = matcher;
    let op = match MatcherType::try_from(*op) {
        Ok(MatcherType::Equal) => MatchOp::Equal,
        Ok(MatcherType::NotEqual) => MatchOp::NotEqual,
        Ok(MatcherType::Regex) => MatchOp::Regex,
        Ok(MatcherType::NotRegex) => MatchOp::NotRegex,
        Err(_) => {
            let reason = format!("the matcher of `{name}` has type {op}: there are 0 to 3 (=, !=, =~, !~)");
            return Err(Refusal::bad_request(reason));
        }
    };
    Matcher::new(op, name, value).map_err(|error| Refusal::bad_request(error.to_string()))
}

/// The first of the accepted types that is known here; without any, whole samples, as before there was a choice.
fn negotiate(accepted: &[i32]) -> Result<ResponseType, Refusal> {
    if accepted.is_empty() {
        return Ok(ResponseType::Samples);
    }
    let known = accepted.iter().find_map(|&number| ResponseType::try_from(number).ok());
    known.ok_or_else(|| {
        let reason = format!("none of the accepted response types {accepted:?} is known: there are SAMPLES (0) and STREAMED_XOR_CHUNKS (1)");
        Refusal::bad_request(reason)
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn body(request: &proto::ReadRequest) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
    }

    fn decode(query: Option<proto::Query>, accepted: &[i32]) -> Result<ReadRequest, Refusal> {
        let queries = query.into_iter().collect();
        let message = proto::ReadRequest { queries, accepted_response_types: accepted.to_vec() };
        ReadRequest::decode(&body(&message), 1 << 20)
    }

    #[test]
    fn the_first_known_response_type_is_taken() {
        let cases: &[(&[i32], Option<ResponseType>)] = &[
            (&[], Some(ResponseType::Samples)),
            (&[0], Some(ResponseType::Samples)),
            (&[1, 0], Some(ResponseType::StreamedXorChunks)),
            (&[7, 0, 1], Some(ResponseType::Samples)),
            (&[2, -1], None),
        ];
        for (accepted, want) in cases {
            assert_eq!(decode(None, accepted).ok().map(|request| request.response), *want, "{accepted:?}");
        }
    }

    #[test]
    fn all_four_kinds_of_matchers_are_read() {
        let matcher = |op, value: &str| proto::LabelMatcher { op, name: "l".into(), value: value.into() };
        let matchers = vec![matcher(0, "a"), matcher(1, "b"), matcher(2, "c.*"), matcher(3, "d|e")];
        let query = proto::Query { start_timestamp_ms: -5, end_timestamp_ms: 7, matchers };
        let request = decode(Some(query), &[]).unwrap();
        let written: Vec<String> = request.queries[0].matchers.iter().map(ToString::to_string).collect();
        assert_eq!(written, [r#"l="a""#, r#"l!="b""#, r#"l=~"c.*""#, r#"l!~"d|e""#]);
        assert_eq!(request.queries[0].range, TimeRange::new(-5, 7));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let matcher = |op, value: &str| {
            let matchers = vec![proto::LabelMatcher { op, name: "job".into(), value: value.into() }];
            decode(Some(proto::Query { matchers, ..Default::default() }), &[]).unwrap_err()
        };
        let not_proto = snap::raw::Encoder::new().compress_vec(b"hello").unwrap();
        let of = |body: &[u8]| ReadRequest::decode(body, 1 << 20).unwrap_err();
        let cases = [
            (matcher(4, "a"), 400, "the matcher of `job` has type 4"),
            (matcher(2, "a("), 400, r#"job=~"a(""#),
            (of(b"\xff\xff\xff\xff\xff\xff\xff"), 400, "not in snappy's block format"),
            (of(b""), 400, "not in snappy's block format"),
            (of(&not_proto), 400, "no prometheus.ReadRequest"),
            // A block that claims three gigabytes.
            (of(b"\x80\x80\x80\x80\x0c\0"), 413, "more than 1048576"),
            (decode(None, &[5]).unwrap_err(), 400, "[5]"),
        ];
        for (refusal, status, reason) in cases {
            assert_eq!(refusal.status, status, "{refusal:?}");
            assert!(refusal.reason.contains(reason), "{refusal:?}");
        }
    }

    /// A request that uses every field.
    fn full() -> proto::ReadRequest {
        let matchers = [(0, "a"), (1, "b"), (2, "c.*"), (3, "[d]|e")];
        let matchers =
            matchers.map(|(op, value)| proto::LabelMatcher { op, name: "job".into(), value: value.into() });
        let query = proto::Query {
            start_timestamp_ms: i64::MIN,
            end_timestamp_ms: i64::MAX,
            matchers: matchers.into(),
        };
        proto::ReadRequest { queries: vec![query.clone(), query], accepted_response_types: vec![1, 0] }
    }

    proptest! {
        /// Whatever comes is read or refused; a refusal is the client's fault and says something.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
            check(&bytes);
            check(&snap::raw::Encoder::new().compress_vec(&bytes).unwrap());
        }

        #[test]
        fn requests_that_were_changed_are_read_or_refused(
            changes in vec((any::<Index>(), any::<u8>()), 1..8),
            inside in any::<bool>(),
            cut in any::<Index>(),
        ) {
            let mut bytes = if inside { full().encode_to_vec() } else { body(&full()) };
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes.truncate(bytes.len() - cut.index(bytes.len()) / 8);
            check(&if inside { snap::raw::Encoder::new().compress_vec(&bytes).unwrap() } else { bytes });
        }
    }

    fn check(bytes: &[u8]) {
        if let Err(refusal) = ReadRequest::decode(bytes, 1 << 16) {
            assert!(refusal.status.is_client_error() && !refusal.reason.is_empty(), "{refusal:?}");
        }
    }
}
