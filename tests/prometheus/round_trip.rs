//! Prometheus scrapes itself and our server, and writes to us; our server is stopped and its data flushed to Parquet; a second
//! Prometheus, with nothing of its own, reads from us. What the two answer has to be the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tsdb_core::{Matcher, Series, TimeRange, parse_selector};
use tsdb_testkit::assert_series_eq;
use tsdb_testkit::remote_read::{
    SAMPLES, STREAMED_XOR_CHUNKS, join_frames, read_frames, read_request, read_samples,
};

use crate::http;
use crate::process::{Programs, Running, output};

/// Scrapes that are waited for: more than the samples of a chunk, so that there is more than one.
const SCRAPES: usize = 130;
const SCRAPE_INTERVAL: &str = "100ms";

/// Queries at one time. Those that add floats up do so in the order in which series come, which is not the same in both.
const INSTANT: &[&str] = &[
    "up",
    r#"{job="prometheus"}"#,
    r#"{__name__=~"prometheus_(tsdb|engine)_.+_total"}"#,
    r#"{job=~"prom.+",job!="tsdb",__name__!~"go_.*|prometheus_.*"}"#,
    r#"{job=~"prom.*",quantile!="",__name__=~".*seconds"}"#,
    r#"count by (job) ({__name__=~".+"})"#,
    "sum by (job) (scrape_samples_scraped)",
    "rate(prometheus_tsdb_head_samples_appended_total[10s])",
    "sum by (handler) (rate(prometheus_http_request_duration_seconds_count[10s]))",
    "histogram_quantile(0.9, sum by (le, handler) (rate(prometheus_http_request_duration_seconds_bucket[10s])))",
    "max_over_time(go_goroutines[5s])",
    "topk(3, go_memstats_alloc_bytes) or vector(1)",
    "absent(no_such_metric)",
    "go_goroutines offset 3s",
];
const RANGE: &[&str] = &[
    "go_goroutines",
    "rate(process_cpu_seconds_total[3s])",
    "sum by (job) (rate(scrape_duration_seconds[3s]))",
    "histogram_quantile(0.5, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[3s])))",
    r#"avg by (__name__) ({__name__=~"go_memstats_.*bytes"})"#,
];

#[test]
fn prometheus_reads_back_from_parquet_what_it_wrote() {
    let Some(programs) = Programs::find() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("tsdb");
    let mut tsdb = Running::tsdb(&programs.tsdb, &data_dir);
    check_metrics(&programs.promtool, &tsdb.url);

    let writer_dir = dir.path().join("writer");
    let writer = Running::prometheus(&programs.prometheus, &writer_dir, |own| writing(own, &tsdb.url));
    let enough = |tsdb: &Running| {
        let times = times_of_up(&tsdb.url);
        (times.len() >= SCRAPES).then_some(())
    };
    tsdb.wait_for("samples by remote write", enough);
    // From here on it neither scrapes nor writes. What was on its way is sent before the configuration takes hold.
    fs::write(writer_dir.join("prometheus.yml"), "global: {}\n").unwrap();
    http::post(&format!("{}/-/reload", writer.url), b"");
    let times = times_of_up(&tsdb.url);
    let range = TimeRange::new(times[0], times[times.len() - 2]);
    check_metadata(&tsdb.url);
    check_metrics(&programs.promtool, &tsdb.url);
    tsdb.stop();

    into_parquet_only(&programs.tsdb, &data_dir);
    let tsdb = Running::tsdb(&programs.tsdb, &data_dir);
    let reader_dir = dir.path().join("reader");
    let reader = Running::prometheus(&programs.prometheus, &reader_dir, |_| reading(&tsdb.url));
    check_queries(&writer.url, &reader.url, range);
    check_raw_reads(&writer.url, &tsdb.url, range);
    tsdb.stop();
}

fn writing(own: &str, tsdb: &str) -> String {
    let tsdb_address = tsdb.trim_start_matches("http://");
    format!(
        "global: {{ scrape_interval: {SCRAPE_INTERVAL}, scrape_timeout: {SCRAPE_INTERVAL} }}
scrape_configs:
  - {{ job_name: prometheus, static_configs: [{{ targets: ['{own}'] }}] }}
  - {{ job_name: tsdb, static_configs: [{{ targets: ['{tsdb_address}'] }}] }}
remote_write:
  - url: {tsdb}/api/v1/write
    queue_config: {{ batch_send_deadline: 200ms }}
    metadata_config: {{ send_interval: 500ms }}
"
    )
}

fn reading(tsdb: &str) -> String {
    format!("remote_read:\n  - {{ url: '{tsdb}/api/v1/read', read_recent: true }}\n")
}

/// The times of Prometheus' scrapes of itself that are here.
fn times_of_up(tsdb: &str) -> Vec<i64> {
    let up = parse_selector(r#"up{job="prometheus"}"#).unwrap();
    let body =
        http::post(&format!("{tsdb}/api/v1/read"), &read_request(&[(&up, TimeRange::ALL)], &[SAMPLES]));
    let series = read_samples(&body).unwrap().remove(0);
    series.into_iter().next().map(|series| series.samples.timestamps_ms).unwrap_or_default()
}

/// `promtool` finds nothing wrong with what the server says of itself.
fn check_metrics(promtool: &Path, tsdb: &str) {
    let metrics = http::get(&format!("{tsdb}/metrics")).unwrap();
    assert!(!metrics.is_empty());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("metrics");
    fs::write(&file, metrics).unwrap();
    output(
        Command::new(promtool).args(["check", "metrics"]).stdin(Stdio::from(fs::File::open(&file).unwrap())),
    );
}

fn check_metadata(tsdb: &str) {
    let body = http::get(&format!("{tsdb}/api/v1/metadata?metric=prometheus_http_requests_total")).unwrap();
    let metadata: Value = serde_json::from_slice(&body).unwrap();
    let entry = &metadata["data"]["prometheus_http_requests_total"][0];
    assert_eq!(entry["type"], "counter", "{metadata}");
    assert_eq!(entry["help"], "Counter of HTTP requests.", "{metadata}");
}

/// Flushes, and sees that nothing is left in the hot tier.
fn into_parquet_only(tsdb: &Path, data_dir: &Path) {
    output(Command::new(tsdb).args(["flush", "--data-dir"]).arg(data_dir));
    let status = output(Command::new(tsdb).args(["status", "--json", "--data-dir"]).arg(data_dir));
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!((&status["head"]["samples"], &status["blocks"]["count"]), (&0.into(), &0.into()), "{status}");
    assert!(status["cold"]["samples"].as_u64() > Some(SCRAPES as u64 * 100), "{status}");
}

fn check_queries(writer: &str, reader: &str, range: TimeRange) {
    let seconds = |time_ms: i64| format!("{}.{:03}", time_ms / 1000, time_ms % 1000);
    for query in INSTANT {
        let parameters = [("query", (*query).to_owned()), ("time", seconds(range.end_ms))];
        let [own, read] = [writer, reader].map(|base| http::api(base, "/api/v1/query", &parameters));
        check_same(query, &own, &read);
    }
    for query in RANGE {
        let (start, end) = (seconds(range.start_ms + 1000), seconds(range.end_ms));
        let parameters =
            [("query", (*query).to_owned()), ("start", start), ("end", end), ("step", "0.7".into())];
        let [own, read] = [writer, reader].map(|base| http::api(base, "/api/v1/query_range", &parameters));
        check_same(query, &own, &read);
    }
}

/// Two results, in whatever order: the same series, times and values. Floats that were added up may differ in the last digit.
fn check_same(query: &str, own: &Value, read: &Value) {
    let [own, read] = [own, read].map(|data| -> BTreeMap<String, Vec<(f64, f64)>> {
        let point = |point: &Value| (point[0].as_f64().unwrap(), point[1].as_str().unwrap().parse().unwrap());
        let series = |series: &Value| {
            let points = match &series["values"] {
                Value::Array(points) => points.iter().map(point).collect(),
                _ => vec![point(&series["value"])],
            };
            (series["metric"].to_string(), points)
        };
        data["result"].as_array().unwrap().iter().map(series).collect()
    });
    assert!(!own.is_empty(), "{query} finds nothing");
    assert!(own.keys().eq(read.keys()), "{query}: {:?} and {:?}", own.keys(), read.keys());
    let is_same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 * a.abs();
    for (metric, own) in &own {
        let read = &read[metric];
        let is_alike = |(a, b): (&(f64, f64), &(f64, f64))| a.0 == b.0 && is_same(a.1, b.1);
        assert!(
            own.len() == read.len() && own.iter().zip(read).all(is_alike),
            "{query}: {metric}: {own:?}, {read:?}"
        );
    }
}

/// What both say to a read of the same samples, in all forms that both have.
fn check_raw_reads(writer: &str, tsdb: &str, range: TimeRange) {
    let matchers = parse_selector(r#"{job="prometheus"}"#).unwrap();
    let queries: [(&[Matcher], TimeRange); 2] = [(&matchers, range), (&matchers[..0], TimeRange::new(0, 1))];
    let ask = |base: &str, accepted| {
        http::post(&format!("{base}/api/v1/read"), &read_request(&queries, &[accepted]))
    };
    let [samples, frames] =
        [SAMPLES, STREAMED_XOR_CHUNKS].map(|accepted| [writer, tsdb].map(|base| ask(base, accepted)));
    let frames = frames.map(|body| read_frames(&body).unwrap());
    let answers: Vec<Vec<Series>> = samples
        .iter()
        .map(|body| read_samples(body).unwrap().remove(0))
        .chain(frames.map(|frames| join_frames(frames, 2).unwrap().remove(0)))
        .collect();
    let (series, longest) = (answers[0].len(), answers[0].iter().map(|series| series.samples.len()).max());
    assert!(series > 100 && longest > Some(120), "{series} series of at most {longest:?} samples");
    for answer in &answers[1..] {
        assert_series_eq(answer, &answers[0]);
    }
    println!(
        "{series} series of at most {longest:?} samples read back, by both response types of both servers"
    );
}
