//! The HTTP API: look-ups, export, deletes, status; who may ask, and how errors are told.

use serde_json::{Value, json};
use tsdb_server::{Credentials, Error, Server, ServerOptions};

use crate::http::{ask, get, metric};
use crate::support::Serving;

/// Three series at different times.
fn serving(options: ServerOptions) -> Serving {
    let serving = Serving::start(options);
    let text = "up{job=\"a\",zone=\"x\"} 1 1767225600000\nup{job=\"b\"} 0 1767225660000\nload{job=\"a\"} 0.5 1767225720000\n";
    let told = ask(serving.address(), "POST", "/api/v1/import/prometheus", &[], text.as_bytes());
    assert_eq!(told.status, 204, "{}", told.body);
    serving
}

fn data(serving: &Serving, path: &str) -> Value {
    let told = get(serving.address(), path);
    assert_eq!(told.status, 200, "{path}: {}", told.body);
    assert_eq!(told.header("content-type"), Some("application/json"));
    let json = told.json();
    assert_eq!(json["status"], "success");
    json["data"].clone()
}

#[test]
fn look_ups_answer_as_prometheus_does() {
    let serving = serving(ServerOptions::default());
    let (a, b) = (json!({"__name__": "up", "job": "a", "zone": "x"}), json!({"__name__": "up", "job": "b"}));
    let load = json!({"__name__": "load", "job": "a"});
    for (path, expected) in [
        ("/api/v1/series?match[]=up", json!([a, b])),
        ("/api/v1/series?match%5B%5D=up%7Bjob%3D~%22a%7Cc%22%7D", json!([a])),
        ("/api/v1/series?match[]=up&match[]=load&match[]={job=\"a\"}", json!([load, a, b])),
        ("/api/v1/series?match[]=up&start=1767225660", json!([b])),
        ("/api/v1/series?match[]=up&end=2026-01-01T00:00:59.999Z", json!([a])),
        // What Prometheus' clients send for all there is.
        ("/api/v1/series?match[]=up&start=-9223372036854775.808&end=9223372036854775.807", json!([a, b])),
        ("/api/v1/series?match[]=none", json!([])),
        ("/api/v1/labels", json!(["__name__", "job", "zone"])),
        ("/api/v1/labels?match[]=load", json!(["__name__", "job"])),
        ("/api/v1/label/job/values", json!(["a", "b"])),
        ("/api/v1/label/__name__/values?match[]={job=\"a\"}", json!(["load", "up"])),
        ("/api/v1/label/job/values?start=1767225700", json!(["a"])),
        ("/api/v1/label/none/values", json!([])),
    ] {
        let path = path.replace('"', "%22");
        assert_eq!(data(&serving, &path), expected, "{path}");
    }
    // And again from Parquet.
    serving.flush();
    assert_eq!(data(&serving, "/api/v1/series?match[]=up"), json!([a, b]));
}

#[test]
fn parameters_come_in_a_form_as_well_and_a_limit_is_told() {
    let serving = serving(ServerOptions::default());
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let told =
        ask(serving.address(), "POST", "/api/v1/series?match[]=load", &form, b"match%5B%5D=up&limit=2");
    let json = told.json();
    assert_eq!(json["data"].as_array().unwrap().len(), 2);
    assert_eq!(json["warnings"], json!(["results truncated due to limit"]));
    assert_eq!(get(serving.address(), "/api/v1/labels?limit=3").json()["warnings"], Value::Null);
}

#[test]
fn errors_say_what_is_wrong() {
    let serving = serving(ServerOptions::default());
    for (path, status, kind, reason) in [
        ("/api/v1/series", 400, "bad_data", "no match[] parameter provided"),
        ("/api/v1/series?match[]=%7B%7D", 400, "bad_data", "at least one non-empty matcher"),
        ("/api/v1/series?match[]=up%7B", 400, "bad_data", "match[]"),
        ("/api/v1/series?match[]=up&start=yesterday", 400, "bad_data", "start"),
        ("/api/v1/series?match[]=up&start=2&end=1", 400, "bad_data", "end is before start"),
        ("/api/v1/labels?limit=few", 400, "bad_data", "limit"),
        ("/api/v1/export", 400, "bad_data", "match[]"),
        ("/api/v1/query?query=up", 404, "not_found", "remote_read"),
        ("/api/v1/nothing", 404, "not_found", "/api/v1/series"),
    ] {
        let told = get(serving.address(), path);
        assert_eq!(told.status, status, "{path}");
        let json = told.json();
        assert_eq!(
            (json["status"].as_str(), json["errorType"].as_str()),
            (Some("error"), Some(kind)),
            "{path}"
        );
        assert!(json["error"].as_str().unwrap().contains(reason), "{path}: {}", told.body);
    }
}

#[test]
fn a_look_up_that_finds_too_much_is_refused_unless_it_has_a_limit() {
    let mut options = ServerOptions::default();
    options.lookup_series_max = 2;
    let serving = serving(options);
    let all = "/api/v1/series?match[]={job!=%22%22}";
    let refused = get(serving.address(), all);
    assert_eq!((refused.status, refused.json()["errorType"].clone()), (422, json!("execution")));
    let path = format!("{all}&limit=1");
    assert_eq!(data(&serving, &path).as_array().unwrap().len(), 1);
    let path = format!("/api/v1/labels?limit={}", u64::MAX);
    assert_eq!(data(&serving, &path).as_array().unwrap().len(), 3);
}

#[test]
fn an_export_is_json_lines_each_series_once() {
    let mut options = ServerOptions::default();
    options.query_limits.samples_max = Some(2);
    let serving = serving(options);
    let exported = get(serving.address(), "/api/v1/export?match[]=up&match[]={zone=%22x%22}");
    assert_eq!(exported.status, 200);
    assert_eq!(
        exported.body,
        "{\"labels\":{\"__name__\":\"up\",\"job\":\"a\",\"zone\":\"x\"},\"samples\":[[1767225600000,\"1\"]],\"histograms\":[]}\n\
         {\"labels\":{\"__name__\":\"up\",\"job\":\"b\"},\"samples\":[[1767225660000,\"0\"]],\"histograms\":[]}\n"
    );
    assert_eq!(get(serving.address(), "/api/v1/export?match[]=none").body, "");
}

#[test]
fn an_export_beyond_a_limit_is_refused_or_broken_off() {
    let mut options = ServerOptions::default();
    options.query_limits.series_max = Some(0);
    let refused = get(serving(options.clone()).address(), "/api/v1/export?match[]=up");
    assert_eq!((refused.status, refused.json()["errorType"].clone()), (422, json!("execution")));
    // Beyond a limit only after the first chunk.
    options.query_limits.series_max = Some(1);
    let serving = serving(options);
    let long: String = (0..8000).map(|i| format!("aa 1 {}\n", 1_767_225_600_000_i64 + i)).collect();
    assert_eq!(ask(serving.address(), "POST", "/api/v1/import/prometheus", &[], long.as_bytes()).status, 204);
    let request =
        b"GET /api/v1/export?match[]={__name__!=%22%22} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
    let mut stream = crate::http::begin(serving.address(), request);
    let mut answer = Vec::new();
    let _ended = std::io::Read::read_to_end(&mut stream, &mut answer);
    // The last chunk, which says that all is there, is missing.
    assert!(answer.starts_with(b"HTTP/1.1 200") && !answer.ends_with(b"0\r\n\r\n"));
}

#[test]
fn series_are_deleted_only_where_that_is_allowed() {
    let path = "/api/v1/admin/tsdb/delete_series?match[]=up&end=1767225600";
    let refused = ask(serving(ServerOptions::default()).address(), "POST", path, &[], b"");
    assert_eq!((refused.status, refused.json()["error"].as_str().unwrap().contains("disabled")), (403, true));
    let mut options = ServerOptions::default();
    options.admin = true;
    let serving = serving(options);
    assert_eq!(ask(serving.address(), "GET", path, &[], b"").status, 405);
    assert_eq!(ask(serving.address(), "PUT", path, &[], b"").status, 204);
    assert_eq!(data(&serving, "/api/v1/series?match[]=up"), json!([{"__name__": "up", "job": "b"}]));
}

#[test]
fn status_counts_what_is_there() {
    let serving = serving(ServerOptions::default());
    let status = data(&serving, "/api/v1/status/tsdb?limit=1");
    let head = &status["headStats"];
    assert_eq!((head["numSeries"].clone(), head["numLabelPairs"].clone()), (json!(3), json!(5)));
    assert_eq!(
        (head["minTime"].clone(), head["maxTime"].clone()),
        (json!(1_767_225_600_000_i64), json!(1_767_225_720_000_i64))
    );
    assert_eq!(status["seriesCountByMetricName"], json!([{"name": "up", "value": 2}]));
    assert_eq!(status["labelValueCountByLabelName"], json!([{"name": "__name__", "value": 2}]));
    assert_eq!(status["seriesCountByLabelValuePair"], json!([{"name": "job=a", "value": 2}]));
    assert_eq!(data(&serving, "/api/v1/status/buildinfo")["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(metric(serving.address(), "tsdb_head_samples"), 3.0);
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(get(serving.address(), path).status, 200);
    }
}

#[test]
fn whoever_has_no_credentials_gets_nothing() {
    let serving = Serving::start_with(ServerOptions::default(), |server| {
        server.credentials(Some(Credentials::Bearer { token: "s3cret".into() }))
    });
    for path in ["/api/v1/labels", "/metrics", "/api/v1/nothing"] {
        let told = get(serving.address(), path);
        assert_eq!(
            (told.status, told.header("www-authenticate")),
            (401, Some("Bearer realm=\"tsdb\"")),
            "{path}"
        );
    }
    let with = |token: &str| {
        ask(serving.address(), "GET", "/api/v1/labels", &[("authorization", token)], b"").status
    };
    assert_eq!([with("Bearer s3cret"), with("Bearer secret"), with("Basic s3cret")], [200, 401, 401]);
    // The body of a write is not even read.
    assert_eq!(ask(serving.address(), "POST", "/api/v1/write", &[], b"").status, 401);
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(get(serving.address(), path).status, 200, "{path}");
    }
}

#[test]
fn beyond_this_machine_it_listens_only_with_credentials_or_on_demand() {
    let serving = Serving::start(ServerOptions::default());
    let anywhere = "0.0.0.0:0".parse().unwrap();
    let server = || Server::builder(std::sync::Arc::clone(&serving.engine));
    let bind = |server: tsdb_server::ServerBuilder| serving.runtime.block_on(server.bind(anywhere));
    assert!(matches!(bind(server()), Err(Error::Unauthenticated { .. })));
    let credentials = Credentials::Basic { user: "ann".into(), password: "s3cret".into() };
    assert!(bind(server().credentials(Some(credentials))).is_ok());
    assert!(bind(server().allow_unauthenticated(true)).is_ok());
    let taken = serving.address();
    let refused = serving.runtime.block_on(server().bind(taken));
    assert!(matches!(refused, Err(Error::Listen { address, .. }) if address == taken));
}
