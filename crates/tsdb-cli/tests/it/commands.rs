//! The life of data from the command line.

use serde_json::json;

use crate::tsdb::Tsdb;

const TEXT: &str = "\
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{job=\"api\",code=\"200\"} 1 1767225600.000
http_requests_total{job=\"api\",code=\"200\"} 2.5 1767225615.250
http_requests_total{job=\"api\",code=\"500\"} NaN 1767225600
up{job=\"say \\\"hi\\\"\"} 1 1767225600
# EOF
";

#[test]
fn import_query_flush_restart_status() {
    let tsdb = Tsdb::new();
    tsdb.file("metrics.txt", TEXT);
    let imported = tsdb.json(&["import", "metrics.txt", "--json"]);
    assert_eq!((&imported["samples"], &imported["rejected_lines"]), (&json!(4), &json!(0)));

    let expected = concat!(
        r#"{"labels":{"__name__":"http_requests_total","code":"200","job":"api"},"samples":[[1767225600000,"1"],[1767225615250,"2.5"]],"histograms":[]}"#,
        "\n"
    );
    let query = ["query", r#"http_requests_total{code="200"}"#, "--json"];
    assert_eq!(tsdb.ok(&query), expected, "from the WAL of another process");

    let status = tsdb.json(&["status", "--json"]);
    assert_eq!((&status["series"], &status["head"]["samples"]), (&json!(3), &json!(4)));
    assert_eq!(
        (&status["min_time"], &status["max_time"]),
        (&json!(1_767_225_600_000_i64), &json!(1_767_225_615_250_i64))
    );

    let all = tsdb.ok(&["query", "{}", "--json"]);
    let flushed = tsdb.json(&["flush", "--json"]);
    assert_eq!((&flushed["samples"], &flushed["files"]), (&json!(4), &json!(1)));
    assert_eq!(tsdb.ok(&["query", "{}", "--json"]), all, "from Parquet");

    let status = tsdb.json(&["status", "--json"]);
    assert_eq!(status["head"]["samples"], 0);
    assert_eq!(status["blocks"]["count"], 0);
    assert_eq!(status["wal"]["segments"], 0);
    assert_eq!((&status["cold"]["files"], &status["cold"]["samples"]), (&json!(1), &json!(4)));
    assert!(tsdb.ok(&["flush"]).contains("nothing to flush"));
}

#[test]
fn what_query_prints_import_reads_back() {
    let tsdb = Tsdb::new();
    let series = concat!(
        r#"{"labels":{"__name__":"odd","l":"x"},"samples":[[1,"-0"],[2,"NaN(0x7ff0000000000002)"],[3,"+Inf"],[5,"5e-324"]],"#,
        r#""histograms":[[4,{"is_float":false,"reset_hint":0,"schema":0,"zero_threshold":"0.001","zero_count":1,"count":4,"sum":"5.5","#,
        r#""positive_spans":[[0,2]],"negative_spans":[],"positive_counts":[1,2],"negative_counts":[]}]]}"#,
        "\n"
    );
    let run = tsdb.run_with_input(&["import", "-"], series);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let head = tsdb.ok(&["query", "odd", "--format", "jsonl"]);
    tsdb.ok(&["flush"]);
    let cold = tsdb.ok(&["query", "odd", "--format", "jsonl"]);
    assert_eq!(head, cold);
    let (printed, written): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(&head).unwrap(), serde_json::from_str(series).unwrap());
    assert_eq!(printed, written);

    let copied = tsdb.run_with_input(&["import", "-", "--data-dir", "copy"], &head);
    assert_eq!(copied.code, 0, "{}", copied.stderr);
    assert_eq!(tsdb.ok(&["query", "{}", "--json", "--data-dir", "copy"]), head);
}

#[test]
fn importing_twice_stores_once() {
    let tsdb = Tsdb::new();
    tsdb.file("metrics.txt", TEXT);
    tsdb.ok(&["import", "metrics.txt"]);
    let again = tsdb.json(&["import", "metrics.txt", "--json"]);
    assert_eq!((&again["samples"], &again["duplicates"]), (&json!(0), &json!(4)));
    tsdb.ok(&["flush"]);
    assert_eq!(tsdb.json(&["status", "--json"])["samples"], 4);
}

#[test]
fn times_bound_a_query_and_the_bounds_belong_to_it() {
    let tsdb = Tsdb::new();
    tsdb.file("metrics.txt", TEXT);
    tsdb.ok(&["import", "metrics.txt"]);
    for (start, end, lines) in [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:15.250Z", 2),
        ("1767225600.001", "1767225615.250", 1),
        ("1767225600", "1767225600", 1),
        ("2026-01-02", "now", 0),
    ] {
        let query = [
            "query",
            r#"http_requests_total{code="200"}"#,
            "--format",
            "csv",
            "--start",
            start,
            "--end",
            end,
        ];
        assert_eq!(tsdb.ok(&query).lines().count(), 1 + lines, "{start} to {end}");
    }
}

#[test]
fn the_table_is_for_people() {
    let tsdb = Tsdb::new();
    tsdb.file("metrics.txt", TEXT);
    tsdb.ok(&["import", "metrics.txt"]);
    let table = tsdb.ok(&["query", "up"]);
    let expected = "up{job=\"say \\\"hi\\\"\"}\n  2026-01-01T00:00:00.000Z  1\n\n1 series, 1 samples\n";
    assert_eq!(table, expected);
}

#[test]
fn lines_without_a_timestamp_take_the_one_that_is_given() {
    let tsdb = Tsdb::new();
    let run = tsdb.run_with_input(&["import", "-", "--timestamp", "2026-01-01T00:00:00Z"], "up 1\n");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(tsdb.ok(&["query", "up", "--json"]).contains(r#"[1767225600000,"1"]"#));
}

#[test]
fn the_demo_runs_again_in_its_own_directory() {
    let tsdb = Tsdb::new();
    let demo = ["demo", "--series", "300", "--samples", "40", "--json"];
    for _ in 0..2 {
        let facts = tsdb.json(&demo);
        assert_eq!(facts["samples"], 12_000);
        assert_eq!(facts["head_samples"].as_u64().unwrap() + facts["cold_samples"].as_u64().unwrap(), 12_000);
    }
    assert!(tsdb.ok(&["demo", "--series", "100", "--samples", "10"]).contains("duckdb"));
    tsdb.file("mine", "x");
    let refused = tsdb.run(&["demo", "--data-dir", "."]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(tsdb.home().join("mine").exists());
}
