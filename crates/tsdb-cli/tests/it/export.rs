//! `tsdb export`, and how much the commands that ask may give and cost.

use std::path::Path;

use tsdb_parquet_io::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::tsdb::Tsdb;

/// A store with samples in a cold file and in the log.
fn two_tiers() -> Tsdb {
    let tsdb = Tsdb::new();
    let text = |host: &str, value: u32| {
        format!("# TYPE load gauge\nload{{host=\"{host}\",dc=\"x\"}} {value} 1767225600\n# EOF\n")
    };
    tsdb.file("a.txt", text("a", 1));
    tsdb.file("b.txt", text("b", 2));
    tsdb.file("c.txt", "# TYPE up gauge\nup 1 1767225600\n# EOF\n");
    tsdb.ok(&["import", "a.txt"]);
    tsdb.ok(&["flush"]);
    tsdb.ok(&["import", "b.txt", "c.txt"]);
    tsdb
}

fn columns(file: &Path) -> Vec<String> {
    let file = std::fs::File::open(file).unwrap();
    let schema = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().schema().clone();
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

#[test]
fn what_is_exported_is_the_answer_of_the_query() {
    let tsdb = two_tiers();
    assert_eq!(
        tsdb.ok(&["export", "load", "-o", "load.parquet"]),
        "wrote load.parquet: 2 series, 2 samples\n"
    );
    let in_store = tsdb.ok(&["query", "load", "--format", "jsonl"]);
    assert_eq!(tsdb.ok(&["query", "{}", "--format", "jsonl", "--file", "load.parquet"]), in_store);
    let of = |name: &str| columns(&tsdb.home().join(name));
    assert_eq!(of("load.parquet"), ["timestamp", "value", "histogram", "__name__", "dc", "host"]);

    tsdb.ok(&["export", "{}", "-o", "host.parquet", "--columns", "host", "--no-histograms"]);
    assert_eq!(of("host.parquet"), ["timestamp", "value", "host", "labels"]);
    let all = tsdb.ok(&["query", "{}", "--format", "jsonl"]);
    assert_eq!(tsdb.ok(&["query", "{}", "--format", "jsonl", "--file", "host.parquet"]), all);
    tsdb.ok(&["export", "{}", "-o", "only.parquet", "--columns", "host", "--no-other-labels"]);
    assert_eq!(of("only.parquet"), ["timestamp", "value", "histogram", "host"]);
    assert_eq!(std::fs::read_dir(tsdb.home()).unwrap().count(), 7, "no file is left half-written");
}

#[test]
fn an_export_that_fails_leaves_no_file() {
    let tsdb = two_tiers();
    let files = || std::fs::read_dir(tsdb.home()).unwrap().count();
    let before = files();
    let stopped = tsdb.run(&["export", "{}", "-o", "all.parquet", "--max-series", "2"]);
    assert!(stopped.code == 1 && stopped.stderr.contains("raise --max-series"), "{}", stopped.stderr);
    let unnamed = tsdb.run(&["export", "{}", "-o", "all.table"]);
    assert!(unnamed.code == 2 && unnamed.stderr.contains("--format parquet"), "{}", unnamed.stderr);
    assert_eq!(files(), before);
    tsdb.file("there.parquet", "not to be lost");
    let there = tsdb.run(&["export", "{}", "-o", "there.parquet"]);
    assert!(there.code == 1 && there.stderr.contains("there.parquet"), "{}", there.stderr);
    assert_eq!(std::fs::read_to_string(tsdb.home().join("there.parquet")).unwrap(), "not to be lost");
}

#[test]
fn a_list_can_be_cut_and_says_so() {
    let tsdb = two_tiers();
    let hosts = tsdb.run(&["label-values", "host", "--limit", "1"]);
    assert_eq!((hosts.code, hosts.stdout.as_str()), (0, "a\n"));
    assert!(hosts.stderr.contains("there are more"), "{}", hosts.stderr);
    let hosts = tsdb.run(&["label-values", "host", "--limit", "2"]);
    assert_eq!((hosts.stdout.as_str(), hosts.stderr.as_str()), ("a\nb\n", ""));
    assert_eq!(tsdb.ok(&["series", "{}", "--limit", "2"]).lines().count(), 2);
    assert_eq!(tsdb.ok(&["label-names", "--limit", "1", "--json"]), "[\"__name__\"]\n");
    let late = tsdb.run(&["series", "{}", "--timeout", "0"]);
    assert!(late.code == 1 && late.stderr.contains("raise --timeout"), "{}", late.stderr);
    let explained = tsdb.run(&["label-values", "host", "--explain"]);
    assert!(
        explained.stderr.contains("cold files  1 considered, 0 pruned by time, 0 by labels, 1 opened"),
        "{}",
        explained.stderr
    );
}

#[test]
fn files_that_are_in_no_store_are_asked_within_the_same_limits() {
    let tsdb = two_tiers();
    tsdb.ok(&["export", "{}", "-o", "all.parquet"]);
    let files = ["--file", "all.parquet"];
    let run = |args: &[&str]| tsdb.run(&[args, &files].concat());
    assert_eq!(run(&["series", "load"]).stdout, tsdb.ok(&["series", "load"]));
    assert_eq!(run(&["series", "{}", "--limit", "1"]).stdout.lines().count(), 1);
    for (flag, max) in
        [("--max-series", "2"), ("--max-samples", "2"), ("--max-bytes", "10"), ("--timeout", "0")]
    {
        let stopped = run(&["query", "{}", flag, max]);
        let expected = format!("raise {flag}");
        assert!(stopped.code == 1 && stopped.stderr.contains(&expected), "{flag}: {}", stopped.stderr);
    }
    let within = run(&["query", "{}", "--max-series", "3", "--explain"]);
    assert_eq!(within.code, 0);
    assert!(within.stderr.contains("answer      3 series, 3 samples"), "{}", within.stderr);
    assert!(
        within.stderr.contains("cold files  1 considered, 0 pruned by time, 0 by labels, 1 opened"),
        "{}",
        within.stderr
    );
}
