//! A read request: from the bytes of a message to matchers, ranges and the type of the response.

use prost::Message as _;
use tsdb_core::{MatchOp, Matcher, TimeRange};

use super::proto::{self, MatcherType, ResponseType};
use crate::reply::Refusal;

/// Most queries of one request, and most matchers of them all together that are regular expressions: each costs up to some
/// milliseconds and mebibytes to compile. Prometheus sends one query with a few.
const QUERIES_MAX: usize = 1_000;
const REGEXES_MAX: usize = 64;

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
    /// Reads the bytes of a `prometheus.ReadRequest`.
    pub(super) fn decode(message: &[u8]) -> Result<Self, Refusal> {
        let message = proto::ReadRequest::decode(message).map_err(|error| {
            Refusal::bad_request(format!("the body is no prometheus.ReadRequest: {error}"))
        })?;
        let matchers = message.queries.iter().flat_map(|query| &query.matchers);
        let regexes = [MatcherType::Regex, MatcherType::NotRegex].map(|op| op as i32);
        let regexes = matchers.filter(|matcher| regexes.contains(&matcher.op)).count();
        if message.queries.len() > QUERIES_MAX || regexes > REGEXES_MAX {
            return Err(Refusal::bad_request(format!(
                "{} queries with {regexes} regular expressions: there may be {QUERIES_MAX} with {REGEXES_MAX} in one request",
                message.queries.len()
            )));
        }
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

    fn decode(query: Option<proto::Query>, accepted: &[i32]) -> Result<ReadRequest, Refusal> {
        let queries = query.into_iter().collect();
        let message = proto::ReadRequest { queries, accepted_response_types: accepted.to_vec() };
        ReadRequest::decode(&message.encode_to_vec())
    }

    #[test]
    fn a_request_has_no_more_regexes_than_are_cheap() {
        let matcher = |op: MatcherType| proto::LabelMatcher {
            op: op as i32,
            name: "a".to_owned(),
            value: "x.*y".to_owned(),
        };
        let query = |matchers| Some(proto::Query { matchers, ..Default::default() });
        let regexes = |count| query(vec![matcher(MatcherType::NotRegex); count]);
        assert!(decode(regexes(REGEXES_MAX), &[]).is_ok());
        assert!(decode(regexes(REGEXES_MAX + 1), &[]).is_err());
        assert!(decode(query(vec![matcher(MatcherType::Equal); 500]), &[]).is_ok());
        let queries = vec![proto::Query::default(); QUERIES_MAX + 1];
        let message = proto::ReadRequest { queries, accepted_response_types: Vec::new() };
        assert!(ReadRequest::decode(&message.encode_to_vec()).is_err());
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
        let cases = [
            (matcher(4, "a"), 400, "the matcher of `job` has type 4"),
            (matcher(2, "a("), 400, r#"job=~"a(""#),
            (ReadRequest::decode(b"hello").unwrap_err(), 400, "no prometheus.ReadRequest"),
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
        }

        #[test]
        fn requests_that_were_changed_are_read_or_refused(
            changes in vec((any::<Index>(), any::<u8>()), 1..8),
            cut in any::<Index>(),
        ) {
            let mut bytes = full().encode_to_vec();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes.truncate(bytes.len() - cut.index(bytes.len()) / 8);
            check(&bytes);
        }
    }

    fn check(bytes: &[u8]) {
        if let Err(refusal) = ReadRequest::decode(bytes) {
            assert!(refusal.status.is_client_error() && !refusal.reason.is_empty(), "{refusal:?}");
        }
    }
}
