//! The mistakes of a first hour, and what is said about them.

use crate::tsdb::Tsdb;

/// Runs a command that must fail, and looks for what it must say.
fn fails(tsdb: &Tsdb, args: &[&str], code: i32, says: &[&str]) {
    let run = tsdb.run(args);
    assert_eq!(run.code, code, "{args:?}: {}", run.stderr);
    for part in says {
        assert!(run.stderr.contains(part), "{args:?} does not say {part:?}: {}", run.stderr);
    }
}

/// A store with one sample, of 2026-01-01T00:00:00Z.
fn with_a_sample() -> Tsdb {
    let tsdb = Tsdb::new();
    tsdb.file("m", "up{job=\"api\"} 1 1767225600000\n");
    tsdb.ok(&["import", "m"]);
    tsdb
}

#[test]
fn quotes_that_the_shell_took() {
    fails(&with_a_sample(), &["query", "up{job=api}"], 2, &["a quoted value", "single quotes"]);
}

#[test]
fn promql_in_place_of_a_selector() {
    let tsdb = with_a_sample();
    for selector in ["rate(up[5m])", "up[5m]", "sum(up)"] {
        fails(&tsdb, &["query", selector], 2, &["PromQL", "--start"]);
    }
}

#[test]
fn a_metric_that_is_not_there() {
    let tsdb = with_a_sample();
    let said = tsdb.ok(&["query", "upp"]);
    assert!(said.contains("0 series") && said.contains("label-values __name__"), "{said}");
    assert_eq!(tsdb.ok(&["query", "upp", "--json"]), "", "scripts get no prose");
}

#[test]
fn files_that_are_no_text() {
    let tsdb = with_a_sample();
    tsdb.ok(&["flush"]);
    let cold = tsdb.home().join("tsdb-data/cold/data/day=2026-01-01");
    let parquet = std::fs::read_dir(cold).unwrap().next().unwrap().unwrap().path();
    let parquet = parquet.to_str().unwrap();
    tsdb.file("m.gz", [0x1f, 0x8b, 8, 0]);
    tsdb.file("m.zst", [0x28, 0xb5, 0x2f, 0xfd, 0]);
    std::fs::create_dir(tsdb.home().join("metrics")).unwrap();
    for (file, says) in [
        (parquet, "tsdb query --file"),
        ("m.gz", "gzip -dc"),
        ("m.zst", "zstd -dc"),
        ("metrics", "it is a directory"),
    ] {
        fails(&tsdb, &["import", file, "--data-dir", "new"], 1, &[file, says]);
        assert!(!tsdb.home().join("new").exists(), "{file}: nothing is made for nothing");
    }
}

#[test]
fn what_is_said_of_a_parquet_file_works() {
    let tsdb = with_a_sample();
    tsdb.ok(&["flush"]);
    let cold = tsdb.home().join("tsdb-data/cold/data/day=2026-01-01");
    let parquet = std::fs::read_dir(cold).unwrap().next().unwrap().unwrap().path();
    let lines = tsdb.ok(&["query", "{}", "--file", parquet.to_str().unwrap(), "--format", "jsonl"]);
    assert_eq!(tsdb.run_with_input(&["import", "-", "--data-dir", "new"], &lines).code, 0);
    assert_eq!(tsdb.ok(&["query", "up", "--json", "--data-dir", "new"]), lines);
}

#[test]
fn a_data_directory_that_is_a_file() {
    let tsdb = with_a_sample();
    for args in [["status", "--data-dir", "m"].as_slice(), &["import", "m", "--data-dir", "m"]] {
        fails(&tsdb, args, 1, &["data directory m"]);
    }
}

#[test]
fn a_command_or_an_option_with_a_slip_of_the_finger() {
    let tsdb = with_a_sample();
    fails(&tsdb, &["querry", "up"], 2, &["query"]);
    fails(&tsdb, &["query", "up", "--form", "csv"], 2, &["--format"]);
    fails(&tsdb, &["query", "up", "--format", "json"], 2, &["jsonl"]);
}

#[test]
fn times_in_other_forms() {
    let tsdb = with_a_sample();
    for time in ["2h", "yesterday", "2026/01/01", "12:00"] {
        fails(&tsdb, &["query", "up", "--start", time], 2, &[time, "RFC 3339", "-2h"]);
    }
}

#[test]
fn a_text_file_asked_as_parquet() {
    fails(&with_a_sample(), &["query", "up", "--file", "m"], 1, &["m", "not a Parquet file"]);
    fails(&with_a_sample(), &["inspect", "nowhere.parquet"], 1, &["nowhere.parquet"]);
}

#[test]
fn colours_are_for_terminals() {
    let run = with_a_sample().run(&["query", "up", "--data-dir", "typo"]);
    assert!(run.stderr.starts_with("error: "), "{:?}", run.stderr);
    assert!(!run.stderr.contains('\u{1b}'), "{:?}", run.stderr);
}

#[test]
fn completions_know_the_commands_and_their_options() {
    let tsdb = Tsdb::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = tsdb.ok(&["completions", shell]);
        for word in ["label-values", "data-dir", "max-series"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    let script = tsdb.ok(&["completions", "bash"]);
    tsdb.file("tsdb.bash", script);
    let asked = "source tsdb.bash; COMP_WORDS=(tsdb que); COMP_CWORD=1; _tsdb tsdb que tsdb; echo \"${COMPREPLY[@]}\"";
    let output =
        std::process::Command::new("bash").args(["-c", asked]).current_dir(tsdb.home()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "query\n", "{output:?}");
}
