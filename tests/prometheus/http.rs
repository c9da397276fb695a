//! HTTP as the tests need it: everything is small, and is read to its end.

use serde_json::Value;

fn agent() -> ureq::Agent {
    ureq::config::Config::builder().http_status_as_error(false).build().into()
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> (u16, Vec<u8>) {
    let body = response.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
    (response.status().as_u16(), body)
}

/// The body of a page, if it is there.
pub(crate) fn get(url: &str) -> Result<Vec<u8>, String> {
    match agent().get(url).call().map(read) {
        Ok((200, body)) => Ok(body),
        Ok((status, body)) => Err(format!("{url}: {status}: {}", String::from_utf8_lossy(&body))),
        Err(error) => Err(format!("{url}: {error}")),
    }
}

/// Sends a body, and gives that of the answer, which has to be a good one.
pub(crate) fn post(url: &str, body: &[u8]) -> Vec<u8> {
    let (status, body) = read(agent().post(url).header("content-encoding", "snappy").send(body).unwrap());
    assert!((200..300).contains(&status), "{url}: {status}: {}", String::from_utf8_lossy(&body));
    body
}

/// What Prometheus' API has under `data`.
pub(crate) fn api(base: &str, path: &str, parameters: &[(&str, String)]) -> Value {
    let (status, body) =
        read(agent().post(format!("{base}{path}")).send_form(parameters.iter().cloned()).unwrap());
    let text = String::from_utf8_lossy(&body);
    assert_eq!(status, 200, "{path} {parameters:?}: {text}");
    let mut answer: Value =
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
    assert_eq!(answer["status"], "success", "{path} {parameters:?}");
    // Remote storage that cannot be read is a warning to Prometheus, and would be an answer from nothing.
    assert!(answer.get("warnings").is_none(), "{path} {parameters:?}: {}", answer["warnings"]);
    answer["data"].take()
}
