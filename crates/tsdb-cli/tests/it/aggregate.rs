//! `tsdb query --agg`: what samples come to, from the store and from Parquet files.

use serde_json::{Value, json};

use crate::tsdb::Tsdb;

const TEXT: &str = "\
# TYPE requests_total counter
requests_total{job=\"api\",code=\"200\"} 1 1767225600
requests_total{job=\"api\",code=\"200\"} 2 1767225659.999
requests_total{job=\"api\",code=\"500\"} 4 1767225660
requests_total{job=\"web\",code=\"200\"} 8 1767225601
# EOF
";

fn store() -> Tsdb {
    let tsdb = Tsdb::new();
    tsdb.file("metrics.txt", TEXT);
    tsdb.ok(&["import", "metrics.txt"]);
    tsdb
}

#[test]
fn groups_and_windows_in_every_format_from_every_tier() {
    let tsdb = store();
    let query = ["query", "requests_total", "--agg", "sum", "--by", "job", "--step", "1m"];
    let with = |more: &[&str]| tsdb.ok(&[&query[..], more].concat());
    for tier in ["head", "Parquet"] {
        let csv = concat!(
            "series,timestamp,value\n",
            "\"{job=\"\"api\"\"}\",2026-01-01T00:00:00.000Z,3\n",
            "\"{job=\"\"api\"\"}\",2026-01-01T00:01:00.000Z,4\n",
            "\"{job=\"\"web\"\"}\",2026-01-01T00:00:00.000Z,8\n",
        );
        assert_eq!(with(&["--format", "csv"]), csv, "{tier}");
        let jsonl = concat!(
            r#"{"labels":{"job":"api"},"samples":[[1767225600000,"3"],[1767225660000,"4"]],"histograms":[]}"#,
            "\n",
            r#"{"labels":{"job":"web"},"samples":[[1767225600000,"8"]],"histograms":[]}"#,
            "\n",
        );
        assert_eq!(with(&["--json"]), jsonl, "{tier}");
        assert!(with(&[]).ends_with("2 groups, 3 windows\n"), "{tier}");
        tsdb.ok(&["flush"]);
    }
    let file = std::fs::read_dir(tsdb.home().join("tsdb-data/cold/data/day=2026-01-01")).unwrap();
    let file = file.map(|entry| entry.unwrap().path()).next().unwrap();
    assert_eq!(with(&["--json", "--file", file.to_str().unwrap()]), with(&["--json"]));

    // The whole range is one window; `--without` keeps the other labels.
    let max =
        tsdb.ok(&["query", "{}", "--agg", "max", "--without", "code,__name__", "--start", "0", "--json"]);
    let lines: Vec<Value> = max.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["labels"], json!({"job": "api"}));
    assert_eq!((&lines[0]["samples"], &lines[1]["samples"]), (&json!([[0, "4"]]), &json!([[0, "8"]])));
    assert_eq!(
        tsdb.ok(&["query", "{}", "--agg", "count", "--format", "csv"]).lines().nth(1).unwrap(),
        "\"{}\",2026-01-01T00:00:00.000Z,4"
    );
}

#[test]
fn an_aggregation_is_explained_and_limited() {
    let tsdb = store();
    let run =
        tsdb.run(&["query", "{}", "--agg", "avg", "--by", "job", "--step", "60", "--explain", "--json"]);
    let explained: Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!(
        (&explained["series"], &explained["groups"], &explained["windows"]),
        (&json!(3), &json!(2), &json!(3))
    );
    let run = tsdb.run(&["query", "{}", "--agg", "avg", "--explain"]);
    assert!(run.stderr.contains("aggregated  1 groups, 1 windows, 0 histograms left out"), "{}", run.stderr);

    let stopped = tsdb.run(&["query", "{}", "--agg", "sum", "--by", "job", "--max-windows", "1"]);
    assert!(stopped.code == 1 && stopped.stderr.contains("raise --max-windows"), "{}", stopped.stderr);
    for (args, said) in [
        (&["--step", "5m"][..], "--agg"),
        (&["--agg", "sum", "--step", "0"], "no length of time"),
        (&["--agg", "median"], "possible values"),
        (&["--agg", "sum", "--by", "a", "--without", "b"], "cannot be used with"),
    ] {
        let refused = tsdb.run(&[&["query", "{}"][..], args].concat());
        assert!(refused.code == 2 && refused.stderr.contains(said), "{args:?}: {}", refused.stderr);
    }
}
