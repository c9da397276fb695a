//! Remote write and text import: what is stored, what is refused, and in which words.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::TryStreamExt;
use tsdb_core::{Buckets, Histogram, Labels, ResetHint, SampleBuffer, SampleValue, Series, Span, TimeRange};
use tsdb_engine::Clock;
use tsdb_server::ServerOptions;
use tsdb_testkit::assert_series_eq;
use tsdb_testkit::remote_write::{snappy, write_request_v1, write_request_v2};

use crate::http::{Told, ask, get, metric};
use crate::support::Serving;

const PATH: &str = "/api/v1/write";
const V1: (&str, &str) = ("content-type", "application/x-protobuf");
const V2: (&str, &str) = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
const SNAPPY: (&str, &str) = ("content-encoding", "snappy");
/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;

fn series(labels: &[(&str, &str)], samples: impl IntoIterator<Item = (i64, SampleValue)>) -> Series {
    let mut buffer = SampleBuffer::default();
    samples.into_iter().for_each(|(timestamp_ms, value)| buffer.push(timestamp_ms, value));
    Series { labels: Labels::from_pairs(labels.iter().copied()).unwrap(), samples: buffer }
}

fn float(labels: &[(&str, &str)], timestamp_ms: i64, value: f64) -> Series {
    series(labels, [(timestamp_ms, SampleValue::Float(value))])
}

fn histogram(schema: i32, bounds: &[f64], buckets: Buckets) -> SampleValue {
    let negative = match &buckets {
        Buckets::Int { negative, .. } => negative.len(),
        Buckets::Float { negative, .. } => negative.len(),
    };
    SampleValue::Histogram(Arc::new(Histogram {
        reset_hint: ResetHint::Gauge,
        schema,
        zero_threshold: if bounds.is_empty() { 0.001 } else { 0.0 },
        sum: 17.25,
        positive_spans: vec![Span { offset: 1, length: 2 }, Span { offset: 3, length: 1 }],
        negative_spans: (0..negative).map(|_| Span { offset: 2, length: 1 }).collect(),
        buckets,
        custom_bounds: bounds.into(),
    }))
}

/// Series of every kind of sample, in label order.
fn all_kinds() -> Vec<Series> {
    let int = Buckets::Int { count: 17, zero_count: 2, positive: vec![5, 1, 3], negative: vec![6] };
    let float_counts =
        Buckets::Float { count: 3.5, zero_count: 0.5, positive: vec![1.0, 0.25, 1.75], negative: vec![] };
    let custom = Buckets::Int { count: 9, zero_count: 0, positive: vec![5, 1, 3], negative: vec![] };
    let floats = [
        1.5,
        -0.0,
        f64::INFINITY,
        f64::from_bits(tsdb_core::STALE_NAN_BITS),
        f64::from_bits(0xfff8_0000_0000_0001),
    ];
    let floats = floats.iter().zip(0..).map(|(value, i)| (START_MS + i * 1000, SampleValue::Float(*value)));
    vec![
        series(&[("__name__", "classic"), ("ключ", "значение")], floats),
        series(
            &[("__name__", "native"), ("kind", "a")],
            [
                (START_MS, histogram(3, &[], int)),
                (START_MS + 1000, SampleValue::Histogram(Arc::new(Histogram::stale(false)))),
            ],
        ),
        series(&[("__name__", "native"), ("kind", "b")], [(START_MS, histogram(-4, &[], float_counts))]),
        series(
            &[("__name__", "native"), ("kind", "c")],
            [(START_MS, histogram(-53, &[0.5, 1.0, 2.0, 4.0, 8.0, 16.0], custom))],
        ),
    ]
}

fn write(serving: &Serving, content_type: (&str, &str), message: &[u8]) -> Told {
    ask(serving.address(), "POST", PATH, &[content_type, SNAPPY], &snappy(message))
}

fn stored(serving: &Serving) -> Vec<Series> {
    serving.runtime.block_on(serving.engine.select(&[], TimeRange::ALL).try_collect()).unwrap()
}

fn written(told: &Told) -> [&str; 3] {
    ["samples", "histograms", "exemplars"]
        .map(|kind| told.header(&format!("x-prometheus-remote-write-{kind}-written")).unwrap())
}

#[test]
fn both_versions_store_floats_and_histograms_bit_for_bit() {
    let all = all_kinds();
    let messages = [(V1, write_request_v1(&all, &[], false)), (V2, write_request_v2(&all, &[], false, None))];
    for (content_type, message) in messages {
        let serving = Serving::start(ServerOptions::default());
        // The second time each series is found by its bytes, and each sample is there already.
        for _ in 0..2 {
            let told = write(&serving, content_type, &message);
            assert_eq!((told.status, told.body.as_str()), (204, ""), "{content_type:?}");
            assert_eq!(written(&told), ["5", "4", "0"]);
            assert_series_eq(&stored(&serving), &all);
        }
    }
}

#[test]
fn labels_in_any_order_are_one_series() {
    let serving = Serving::start(ServerOptions::default());
    let label = |name: &str, value: &str| {
        let label =
            [&[0x0a, name.len() as u8][..], name.as_bytes(), &[0x12, value.len() as u8], value.as_bytes()]
                .concat();
        [&[0x0a, label.len() as u8][..], &label].concat()
    };
    let sample = |timestamp: u8| vec![0x12, 2, 0x10, timestamp];
    let body = |parts: &[Vec<u8>]| {
        let series = parts.concat();
        [&[0x0a, series.len() as u8][..], &series].concat()
    };
    let (name, job, none) = (label("__name__", "up"), label("job", "a"), label("zone", ""));
    for (i, parts) in [
        vec![name.clone(), job.clone(), sample(1)],
        vec![job.clone(), name.clone(), sample(2)],
        vec![name.clone(), sample(3), none, job.clone()],
        vec![name, job, sample(4)],
    ]
    .into_iter()
    .enumerate()
    {
        let told = write(&serving, V1, &body(&parts));
        assert_eq!(told.status, 204, "{i}: {}", told.body);
    }
    let expected = (1..5).map(|timestamp_ms| (timestamp_ms, SampleValue::Float(0.0)));
    assert_series_eq(&stored(&serving), &[series(&[("__name__", "up"), ("job", "a")], expected)]);
}

#[test]
fn codes_by_what_a_sender_should_do() {
    let serving = Serving::start(ServerOptions::default());
    let good = snappy(&write_request_v1(&[float(&[("__name__", "up")], START_MS, 1.0)], &[], false));
    let not_protobuf = snappy(b"this is no message");
    let cut = &good[..good.len() - 1];
    let cases: &[(&str, &[(&str, &str)], &[u8], u16)] = &[
        ("POST", &[V1, SNAPPY], &good, 204),
        ("POST", &[], &good, 204),
        ("POST", &[V1, SNAPPY], &snappy(b""), 204),
        ("POST", &[("content-type", "application/json"), SNAPPY], &good, 415),
        ("POST", &[("content-type", "application/x-protobuf;proto=x.Request"), SNAPPY], &good, 415),
        ("POST", &[V1, ("content-encoding", "gzip")], &good, 415),
        ("POST", &[V1, SNAPPY], b"hello", 400),
        ("POST", &[V1, SNAPPY], b"", 400),
        ("POST", &[V1, SNAPPY], cut, 400),
        ("POST", &[V1, SNAPPY], &not_protobuf, 400),
        ("POST", &[V2, SNAPPY], &not_protobuf, 400),
        // The framed format, which is not the one of remote write.
        ("POST", &[V1, SNAPPY], b"\xff\x06\x00\x00sNaPpY", 400),
        ("GET", &[], b"", 405),
        ("PUT", &[V1, SNAPPY], &good, 405),
    ];
    for (method, headers, body, status) in cases {
        let told = ask(serving.address(), method, PATH, headers, body);
        assert_eq!(told.status, *status, "{method} {headers:?} {body:?}: {}", told.body);
        if *status == 405 {
            assert_eq!(told.header("allow"), Some("POST"));
        } else {
            assert_eq!(told.body.is_empty(), *status == 204);
            assert_eq!(written(&told)[1..], ["0", "0"]);
        }
    }
    assert_series_eq(&stored(&serving), &[float(&[("__name__", "up")], START_MS, 1.0)]);
}

#[test]
fn what_is_good_is_stored_and_what_is_not_is_told() {
    let serving = Serving::start(ServerOptions::default());
    let day_after_tomorrow_ms = i64::MAX / 4;
    let mut bad_histogram = all_kinds().remove(1);
    if let Some((_, histogram)) = bad_histogram.samples.histograms.first_mut() {
        Arc::make_mut(histogram).schema = 99;
    }
    bad_histogram.samples.histograms.truncate(1);
    let all = [
        float(&[("__name__", "good"), ("n", "1")], START_MS, 1.0),
        float(&[("job", "nameless")], START_MS, 2.0),
        float(&[("__name__", "ahead")], day_after_tomorrow_ms, 3.0),
        bad_histogram,
        float(&[("__name__", "good"), ("n", "2")], START_MS, 4.0),
    ];
    for (content_type, message) in
        [(V1, write_request_v1(&all, &[], true)), (V2, write_request_v2(&all, &[], true, Some(START_MS - 1)))]
    {
        let told = write(&serving, content_type, &message);
        assert_eq!(told.status, 400);
        assert_eq!(written(&told), ["2", "0", "0"]);
        for reason in
            ["stored: 2, refused: 3", "no metric name", "too far ahead of this server's clock", "schema 99"]
        {
            assert!(told.body.contains(reason), "{reason} is not in {}", told.body);
        }
    }
    assert_series_eq(&stored(&serving), &[all[0].clone(), all[4].clone()]);
    let address = serving.address();
    assert_eq!(metric(address, "tsdb_written_samples_total{type=\"float\"}"), 4.0);
    assert_eq!(metric(address, "tsdb_refused_samples_total"), 6.0);
    assert_eq!(metric(address, "tsdb_left_out_exemplars_total"), 10.0);
    assert_eq!(metric(address, "tsdb_left_out_start_timestamps_total"), 5.0);
}

#[test]
fn series_of_2_0_need_samples_and_symbols_that_exist() {
    let serving = Serving::start(ServerOptions::default());
    let without = series(&[("__name__", "empty")], []);
    let told = write(&serving, V2, &write_request_v2(std::slice::from_ref(&without), &[], false, None));
    assert_eq!(
        (told.status, told.body.contains("neither samples nor histograms")),
        (400, true),
        "{}",
        told.body
    );
    // In 1.0 it means nothing.
    assert_eq!(write(&serving, V1, &write_request_v1(&[without], &[], false)).status, 204);
    // Symbol 7 of none; and a name without a value.
    for (refs, reason) in [(&[7, 7][..], "there is no symbol 7"), (&[0], "odd")] {
        let series = [&[0x0a, refs.len() as u8], refs, &[0x12, 2, 0x10, 1]].concat();
        let told = write(&serving, V2, &[&[0x22, 0, 0x2a, series.len() as u8], &series[..]].concat());
        assert_eq!((told.status, told.body.contains(reason)), (400, true), "{}", told.body);
    }
    assert!(stored(&serving).is_empty());
}

#[test]
fn labels_of_2_0_are_not_put_together_beyond_a_limit() {
    let serving = Serving::start(ServerOptions::default());
    let field = |key: u8, bytes: &[u8]| {
        let length = bytes.len();
        let length = [length as u8 & 0x7f | 0x80, (length >> 7) as u8 & 0x7f | 0x80, (length >> 14) as u8];
        [&[key], &length[..], bytes].concat()
    };
    let symbols = [field(0x22, b""), field(0x22, b"a"), field(0x22, "x".repeat(100_000).as_bytes())].concat();
    for (pairs, reason) in
        [(6, "6 labels of 600006 bytes"), (2049, "2049 labels"), (30_000, "more labels than any may have")]
    {
        let series = [field(0x0a, &[1, 2].repeat(pairs)), vec![0x12, 2, 0x10, 1]].concat();
        let told = write(&serving, V2, &[&symbols[..], &field(0x2a, &series)].concat());
        assert_eq!((told.status, told.body.contains(reason)), (400, true), "{pairs}: {}", told.body);
    }
    assert!(stored(&serving).is_empty());
}

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn what_is_known_of_a_metric_changes_once_a_minute() {
    let clock = Arc::new(SetClock::default());
    let serving = Serving::start_with(ServerOptions::default(), |server| {
        server.clock(Arc::clone(&clock) as Arc<dyn Clock>)
    });
    let say = |help: &str| {
        let about = [("up", 2, help, ""), (help, 2, "always new", "")];
        assert_eq!(write(&serving, V1, &write_request_v1(&[], &about, false)).status, 204);
        get(serving.address(), "/api/v1/metadata?metric=up").json()["data"]["up"][0]["help"].clone()
    };
    assert_eq!([say("one"), say("two"), say("three")], ["one", "two", "two"]);
    // The other entry is new each time, and there.
    assert_eq!(serving.engine.metadata().len(), 4);
    assert_eq!(metric(serving.address(), "tsdb_left_out_metadata_total"), 1.0);
    clock.0.store(60_000, Ordering::Relaxed);
    assert_eq!(say("four"), "four");
}

#[test]
fn a_malformed_body_stores_nothing_of_itself() {
    let serving = Serving::start(ServerOptions::default());
    let mut message = write_request_v1(&[float(&[("__name__", "up")], START_MS, 1.0)], &[], false);
    message.extend([0x0a, 9, 1]);
    let told = write(&serving, V1, &message);
    assert_eq!((told.status, written(&told)), (400, ["0", "0", "0"]));
    assert!(told.body.contains("malformed, nothing of it is stored"), "{}", told.body);
    assert!(stored(&serving).is_empty());
}

#[test]
fn metadata_is_served_and_the_last_word_counts() {
    let serving = Serving::start(ServerOptions::default());
    let metadata = |path: &str| get(serving.address(), path).json()["data"].clone();
    let about =
        [("requests_total", 1, "Requests, all of them.", ""), ("latency", 3, "Time \"taken\".", "seconds")];
    assert_eq!(write(&serving, V1, &write_request_v1(&[], &about, false)).status, 204);
    let bucket = float(&[("__name__", "size_bucket"), ("le", "1")], START_MS, 1.0);
    let requests = float(&[("__name__", "requests_total")], START_MS, 1.0);
    let about = [("size_bucket", 3, "Sizes.", "bytes"), ("requests_total", 1, "Requests.", "")];
    assert_eq!(write(&serving, V2, &write_request_v2(&[bucket, requests], &about, false, None)).status, 204);
    let expected = serde_json::json!({
        "latency": [{"type": "histogram", "help": "Time \"taken\".", "unit": "seconds"}],
        "requests_total": [{"type": "counter", "help": "Requests.", "unit": ""}],
        "size": [{"type": "histogram", "help": "Sizes.", "unit": "bytes"}],
    });
    assert_eq!(metadata("/api/v1/metadata"), expected);
    assert_eq!(metadata("/api/v1/metadata?metric=size"), serde_json::json!({ "size": expected["size"] }));
    assert_eq!(metadata("/api/v1/metadata?limit=1"), serde_json::json!({ "latency": expected["latency"] }));
    assert_eq!(metadata("/api/v1/metadata?metric=none"), serde_json::json!({}));
}

#[test]
fn text_is_imported_with_the_place_of_what_is_wrong() {
    let serving = Serving::start(ServerOptions::default());
    let import = |path: &str, content_type: &str, text: &str| {
        ask(serving.address(), "POST", path, &[("content-type", content_type)], text.as_bytes())
    };
    // What `curl --data-binary` says of everything.
    let form = "application/x-www-form-urlencoded";
    let text = format!("# a comment\nup{{job=\"a\"}} 1 {START_MS}\nup{{job=\"a\"}} NaN {}\n", START_MS + 1);
    let told = import("/api/v1/import/prometheus", form, &text);
    assert_eq!((told.status, written(&told)), (204, ["2", "0", "0"]));
    let told =
        import("/api/v1/import/prometheus?timestamp=1767225603", form, "good 1\nbad\nup{job=\"a\"} 3\n");
    assert_eq!((told.status, written(&told)[0]), (400, "2"));
    assert!(told.body.contains("2:4: "), "{}", told.body);
    let seconds = "up{job=\"a\"} 4 1767225604.5 # {trace=\"x\"} 1\n# EOF\n";
    let told = import("/api/v1/import/prometheus", "application/openmetrics-text; version=1.0.0", seconds);
    assert_eq!(told.status, 204, "{}", told.body);
    let values = [(0, 1.0), (1, f64::NAN), (3000, 3.0), (4500, 4.0)];
    let values = values.map(|(ms, value)| (START_MS + ms, SampleValue::Float(value)));
    let expected = [
        float(&[("__name__", "good")], START_MS + 3000, 1.0),
        series(&[("__name__", "up"), ("job", "a")], values),
    ];
    assert_series_eq(&stored(&serving), &expected);
    assert_eq!(metric(serving.address(), "tsdb_left_out_exemplars_total"), 1.0);
    let encoded = [("content-encoding", "gzip")];
    assert_eq!(ask(serving.address(), "POST", "/api/v1/import/prometheus", &encoded, b"x").status, 415);
}
