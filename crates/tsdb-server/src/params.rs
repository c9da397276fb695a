//! The parameters of the API: of the query string, and of a form in the body. Both may be there; both count.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use tsdb_core::{Matcher, TimeRange, parse_selector};
use tsdb_text::time;

use crate::ServerState;
use crate::reply::Refusal;

/// Most bytes of all selectors of one request: their regular expressions cost up to some milliseconds and mebibytes each.
const SELECTORS_BYTES_MAX: usize = 16 << 10;

/// Above every second that a sample may have.
const SECONDS_MAX: f64 = 1e12;
const FORM: &str = "application/x-www-form-urlencoded";

/// Names with their values, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    now_ms: i64,
}

impl Params {
    /// Reads them from a request.
    pub(crate) async fn of(state: &ServerState, request: Request) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let mut params = Self::of_query(state, parts.uri.query());
        let is_form = parts
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(FORM.as_bytes()));
        if parts.method != Method::GET && is_form {
            params.add(&form(state, body).await?);
        }
        Ok(params)
    }

    /// Reads those of the query string alone.
    pub(crate) fn of_query(state: &ServerState, query: Option<&str>) -> Self {
        let mut params = Self { pairs: Vec::new(), now_ms: state.now_ms() };
        params.add(query.unwrap_or_default().as_bytes());
        params
    }

    fn add(&mut self, encoded: &[u8]) {
        self.pairs.extend(form_urlencoded::parse(encoded).into_owned());
    }

    /// The last value of a parameter; an empty one is none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().rev().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The closed range of `start` and `end`, each of which may be missing.
    pub(crate) fn range(&self) -> Result<TimeRange, Refusal> {
        let (start_ms, end_ms) = (self.time("start")?, self.time("end")?);
        let range = TimeRange::new(start_ms.unwrap_or(i64::MIN), end_ms.unwrap_or(i64::MAX));
        if range.is_empty() {
            return Err(Refusal::bad_request("end is before start"));
        }
        Ok(range)
    }

    /// A time, in milliseconds.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        // What Prometheus' clients send for all there is lies outside of the times that are.
        if let Ok(seconds) = text.parse::<f64>()
            && seconds.abs() > SECONDS_MAX
        {
            return Ok(Some(if seconds > 0.0 { i64::MAX } else { i64::MIN }));
        }
        time::parse(text, self.now_ms).map(Some).map_err(|error| invalid(name, &error))
    }

    /// A number that is not negative; 0 is none, as in Prometheus.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let count: usize =
            text.parse().map_err(|_| invalid(name, &format!("{text:?} is not a whole number")))?;
        Ok(Some(count).filter(|&count| count > 0))
    }

    /// The matchers of each `match[]`. As in Prometheus, one of them has to ask for something.
    pub(crate) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, Refusal> {
        let texts = self.pairs.iter().filter(|(name, _)| name == "match[]").map(|(_, text)| text);
        let bytes: usize = texts.clone().map(String::len).sum();
        if bytes > SELECTORS_BYTES_MAX {
            let why = format!("all of them together have {bytes} bytes, of at most {SELECTORS_BYTES_MAX}");
            return Err(invalid("match[]", &why));
        }
        texts.map(|text| selector(text)).collect()
    }

    /// As [`selectors`](Self::selectors), at least one.
    pub(crate) fn some_selectors(&self) -> Result<Vec<Vec<Matcher>>, Refusal> {
        let selectors = self.selectors()?;
        if selectors.is_empty() {
            return Err(Refusal::bad_request(
                "no match[] parameter provided: it selects series, as match[]=up",
            ));
        }
        Ok(selectors)
    }
}

fn selector(text: &str) -> Result<Vec<Matcher>, Refusal> {
    let matchers = parse_selector(text).map_err(|error| invalid("match[]", &error.to_string()))?;
    if matchers.iter().all(Matcher::matches_empty) {
        return Err(invalid("match[]", "it must contain at least one non-empty matcher"));
    }
    Ok(matchers)
}

fn invalid(name: &str, why: &str) -> Refusal {
    Refusal::bad_request(format!("invalid parameter {name:?}: {why}"))
}

async fn form(state: &ServerState, body: Body) -> Result<Vec<u8>, Refusal> {
    let options = state.options();
    let (body, _held) = state.bodies().read(body, options.request_bytes_max, options).await?;
    Ok(body.to_vec())
}
