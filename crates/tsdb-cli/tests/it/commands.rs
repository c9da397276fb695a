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
    let explained = tsdb.run(&["query", "{}", "--json", "--explain"]);
    assert_eq!(explained.stdout, all);
    let explained: serde_json::Value = serde_json::from_str(&explained.stderr).unwrap();
    assert_eq!((&explained["series"], &explained["cold_files"]["opened"]), (&json!(3), &json!(1)));
    assert!(
        tsdb.run(&["query", "{}", "--explain"])
            .stderr
            .contains("cold files  1 considered, 0 pruned by time, 0 by labels, 1 opened")
    );
    let stopped = tsdb.run(&["query", "{}", "--max-samples", "3"]);
    assert!(stopped.code == 1 && stopped.stderr.contains("raise --max-samples"), "{}", stopped.stderr);
    // Counting the series of one file reads nothing.
    assert_eq!((&status["series"], &status["cache"]["file_misses"]), (&json!(3), &json!(0)));
    assert_eq!(status["cache"]["bytes_max"], 64 << 20);
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

#[test]
fn series_label_names_and_label_values_are_the_same_in_every_tier() {
    let tsdb = Tsdb::new();
    tsdb.file("metrics.txt", TEXT);
    tsdb.ok(&["import", "metrics.txt"]);
    let check = |tier: &str| {
        assert_eq!(
            tsdb.ok(&["series", r#"http_requests_total{code=~"2.*"}"#]),
            "http_requests_total{code=\"200\", job=\"api\"}\n",
            "{tier}"
        );
        let series = tsdb.json(&["series", "{}", "--json"]);
        assert_eq!(series[2], json!({"__name__": "up", "job": "say \"hi\""}), "{tier}");
        assert_eq!(tsdb.ok(&["label-names"]), "__name__\ncode\njob\n", "{tier}");
        assert_eq!(tsdb.json(&["label-names", "up", "--json"]), json!(["__name__", "job"]), "{tier}");
        assert_eq!(tsdb.ok(&["label-values", "__name__"]), "http_requests_total\nup\n", "{tier}");
        assert_eq!(tsdb.json(&["label-values", "code", r#"{job="api"}"#, "--json"]), json!(["200", "500"]));
        assert_eq!(tsdb.ok(&["label-values", "no_such_label"]), "", "{tier}");
        // Between two samples of one series there is none; at the second one there is.
        let between = ["--start", "1767225601", "--end", "1767225615"];
        assert_eq!(tsdb.ok(&[&["series", "{}"], &between[..]].concat()), "", "{tier}");
        let at = ["--start", "1767225615.25", "--end", "1767225615.25"];
        assert_eq!(tsdb.ok(&[&["label-values", "code"], &at[..]].concat()), "200\n", "{tier}");
    };
    check("WAL");
    tsdb.ok(&["flush"]);
    check("Parquet");
    tsdb.ok(&["import", "metrics.txt"]);
    check("both");
    let run = tsdb.run(&["series", "{job=}"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
}

#[test]
fn verify_finds_damage_and_repair_gives_up_only_what_cannot_be_read() {
    let tsdb = Tsdb::new();
    let lines = |name: &str, count: u32| -> String {
        (0..count).map(|i| format!("{name}{{i=\"{}\"}} {i} {}\n", i % 10, 1_767_225_600 + i)).collect()
    };
    tsdb.file("a.txt", lines("a", 100));
    tsdb.ok(&["import", "a.txt"]);
    tsdb.ok(&["flush"]);
    for name in ["b", "c", "d"] {
        tsdb.file("x.txt", lines(name, 100));
        tsdb.ok(&["import", "x.txt"]);
    }
    let whole = tsdb.ok(&["verify"]);
    assert!(whole.contains("0 damaged") && whole.contains("1 cold file"), "{whole}");

    // The log has a segment for each import: damage the middle one.
    let wal = tsdb.home().join("tsdb-data/wal");
    let mut segments: Vec<_> = std::fs::read_dir(&wal).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    assert_eq!(segments.len(), 3, "{segments:?}");
    let mut bytes = std::fs::read(&segments[1]).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 0xff;
    std::fs::write(&segments[1], &bytes).unwrap();
    for command in [&["verify"][..], &["query", "{}"], &["import", "x.txt"]] {
        let run = tsdb.run(command);
        assert_eq!(run.code, 1);
        let path = segments[1].file_name().unwrap().to_str().unwrap();
        // `verify` lists what is damaged; the others stop at it.
        let said = run.stdout + &run.stderr;
        assert!(said.contains(path) && said.contains("verify --repair"), "{said}");
    }
    let repaired = tsdb.ok(&["verify", "--repair"]);
    assert!(repaired.contains("gave up") && repaired.contains("wal/damaged/"), "{repaired}");
    assert_eq!(tsdb.ok(&["label-values", "__name__"]), "a\nb\nd\n", "the import in the middle was one batch");
    assert!(tsdb.ok(&["verify", "--repair"]).contains("nothing to repair"));
    let kept: Vec<_> = std::fs::read_dir(wal.join("damaged")).unwrap().collect();
    assert_eq!(kept.len(), 1);

    // A log that was closed is vouched for to its end: the only batch of the only segment is missed, too.
    let other = Tsdb::new();
    other.file("a.txt", lines("a", 100));
    other.ok(&["import", "a.txt"]);
    let segment =
        std::fs::read_dir(other.home().join("tsdb-data/wal")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    assert_eq!(other.run(&["verify"]).code, 1);
    assert_eq!(std::fs::read(&segment).unwrap(), bytes, "nothing was changed");
    // A torn end is told of.
    bytes[at] ^= 1;
    std::fs::write(&segment, [bytes.as_slice(), &[7; 30]].concat()).unwrap();
    let run = other.run(&["verify"]);
    assert!(run.code == 0 && run.stdout.contains("30 bytes at the end of the log"), "{run:?}");
    assert_eq!(std::fs::read(&segment).unwrap().len(), bytes.len() + 30, "nothing was changed");

    // A cold file and a block: reported, by name, and nothing is changed.
    let cold = tsdb.home().join("tsdb-data/cold/data");
    let day = std::fs::read_dir(&cold).unwrap().next().unwrap().unwrap().path();
    let file = std::fs::read_dir(&day).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.len() / 3;
    bytes[at..at + 40].fill(0xff);
    std::fs::write(&file, &bytes).unwrap();
    let run = tsdb.run(&["verify"]);
    assert_eq!(run.code, 1, "{}", run.stdout);
    assert!(run.stdout.contains(file.file_name().unwrap().to_str().unwrap()), "{}", run.stdout);
}

#[test]
fn delete_hides_at_once_and_compact_removes_the_bytes() {
    let tsdb = Tsdb::new();
    tsdb.file("metrics.txt", TEXT);
    tsdb.ok(&["import", "metrics.txt"]);
    tsdb.ok(&["flush"]);
    let refused = tsdb.run(&["delete", "{}"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--everything"), "{}", refused.stderr);

    let deleted = tsdb.ok(&["delete", "up"]);
    assert!(deleted.contains("until `tsdb compact`"), "{deleted}");
    assert_eq!(tsdb.ok(&["series", "up"]), "");
    assert_eq!(tsdb.json(&["status", "--json"])["cold"]["tombstones"], 1);
    let compacted = tsdb.json(&["compact", "--json"]);
    assert_eq!((&compacted["samples_in"], &compacted["samples_out"]), (&json!(4), &json!(3)));
    let status = tsdb.json(&["status", "--json"]);
    assert_eq!((&status["cold"]["tombstones"], &status["samples"]), (&json!(0), &json!(3)));
    assert!(tsdb.ok(&["compact"]).contains("nothing to compact"));

    let times = ["--start", "2026-01-01T00:00:10Z", "--end", "2026-01-01T00:01:00Z", "--json"];
    let deleted = tsdb.json(&[&["delete", "{}"][..], &times[..]].concat());
    assert_eq!(deleted["start"], 1_767_225_610_000_i64);
    let left = tsdb.ok(&["query", r#"http_requests_total{code="200"}"#, "--json"]);
    assert!(left.contains(r#""samples":[[1767225600000,"1"]]"#), "{left}");
    tsdb.ok(&["delete", "{}", "--everything"]);
    assert_eq!(tsdb.ok(&["query", "{}", "--json"]), "");
}

#[test]
fn compact_merges_the_files_of_a_day() {
    let tsdb = Tsdb::new();
    for value in 0..3 {
        tsdb.file("one.txt", format!("up {value} 176722560000{value}\n"));
        tsdb.ok(&["import", "one.txt"]);
        tsdb.ok(&["flush"]);
    }
    let all = tsdb.ok(&["query", "{}", "--json"]);
    let compacted = tsdb.ok(&["compact"]);
    assert!(compacted.starts_with("merged 3 Parquet file(s)"), "{compacted}");
    assert_eq!(tsdb.ok(&["query", "{}", "--json"]), all);
    assert_eq!(tsdb.json(&["status", "--json"])["cold"]["files"], 1);
}

#[test]
fn a_lost_catalog_is_rebuilt() {
    let tsdb = Tsdb::new();
    tsdb.file("metrics.txt", TEXT);
    tsdb.ok(&["import", "metrics.txt"]);
    tsdb.ok(&["flush"]);
    let all = tsdb.ok(&["query", "{}", "--json"]);
    std::fs::remove_dir_all(tsdb.home().join("tsdb-data/cold/catalog")).unwrap();
    let lost = tsdb.run(&["query", "{}"]);
    assert_eq!(lost.code, 1);
    assert!(lost.stderr.contains("tsdb catalog rebuild"), "{}", lost.stderr);
    let rebuilt = tsdb.json(&["catalog", "rebuild", "--json"]);
    assert_eq!((&rebuilt["files"], &rebuilt["samples"]), (&json!(1), &json!(4)));
    assert_eq!(tsdb.ok(&["query", "{}", "--json"]), all);
}

#[test]
fn verify_finds_all_damage_although_the_store_does_not_open() {
    let tsdb = Tsdb::new();
    tsdb.file("metrics.txt", TEXT);
    tsdb.ok(&["import", "metrics.txt"]);
    tsdb.ok(&["flush"]);
    assert!(tsdb.ok(&["verify"]).contains("0 damaged"));
    let data = tsdb.home().join("tsdb-data");
    let day = std::fs::read_dir(data.join("cold/data")).unwrap().next().unwrap().unwrap().path();
    let file = std::fs::read_dir(day).unwrap().next().unwrap().unwrap().path();
    // A byte of a page, which no footer covers, and a block that is none.
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    std::fs::write(data.join("blocks/00000000000000000007-0-7200000.block"), "no block").unwrap();
    assert_eq!(tsdb.run(&["status"]).code, 1);
    let verified = tsdb.run(&["verify", "--json"]);
    assert_eq!(verified.code, 1);
    let verified: serde_json::Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!((&verified["blocks"], &verified["files"]), (&json!(1), &json!(1)));
    let damaged = verified["damaged"].to_string();
    assert!(damaged.contains(".parquet") && damaged.contains(".block"), "{damaged}");
}
