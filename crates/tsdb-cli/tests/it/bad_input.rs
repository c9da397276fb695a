//! What goes wrong, and what is said about it: what, where, what to do, and what became of the rest.

use tsdb_core::TimeRange;
use tsdb_engine::blocking::Engine;

use crate::tsdb::Tsdb;

#[test]
fn a_malformed_line_is_named_and_the_good_ones_are_stored() {
    let tsdb = Tsdb::new();
    tsdb.file("metrics.txt", "up{job=\"a\"} 1 1767225600000\nup{job=b} 2 1767225600000\nup nonsense 1767225600000\n\nup 4 1767225600000\n");
    let run = tsdb.run(&["import", "metrics.txt"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("metrics.txt:2:8: "), "{}", run.stderr);
    assert!(run.stderr.contains("metrics.txt:3:4: "), "{}", run.stderr);
    assert!(
        run.stderr.contains("2 of 5 lines were skipped; the 2 samples of the good lines are stored"),
        "{}",
        run.stderr
    );
    assert_eq!(tsdb.ok(&["query", "up", "--json"]).lines().count(), 2);
}

#[test]
fn a_flood_of_bad_lines_is_counted_not_printed() {
    let tsdb = Tsdb::new();
    let run = tsdb.run_with_input(&["import", "-"], &"bad line here and there\n".repeat(500));
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("500 of 500 lines were skipped"), "{}", run.stderr);
    assert!(run.stderr.lines().count() < 20, "{}", run.stderr);
}

#[test]
fn a_missing_timestamp_says_what_to_do() {
    let run = Tsdb::new().run_with_input(&["import", "-"], "up 1\n");
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("<stdin>:1:") && run.stderr.contains("--timestamp"), "{}", run.stderr);
}

#[test]
fn a_file_that_is_not_there_stops_the_import_before_it_begins() {
    let tsdb = Tsdb::new();
    tsdb.file("good.txt", "up 1 1767225600000\n");
    let run = tsdb.run(&["import", "good.txt", "missing.txt"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("missing.txt"), "{}", run.stderr);
    assert!(!tsdb.home().join("tsdb-data").exists());
}

#[test]
fn json_that_is_no_series_is_named_by_its_place() {
    let tsdb = Tsdb::new();
    let run =
        tsdb.run_with_input(&["import", "-"], "{\"labels\":{\"__name__\":\"up\"},\"samples\":[[1,\"x\"]]}\n");
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("<stdin>:1:"), "{}", run.stderr);
}

#[test]
fn bytes_that_are_no_text_are_refused_by_their_place() {
    let tsdb = Tsdb::new();
    tsdb.file("bytes", [b"up 1 1767225600000\nu".as_slice(), &[0xff, 0xfe], b" 1 1\n"].concat());
    let run = tsdb.run(&["import", "bytes"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("bytes:2:2: ") && run.stderr.contains("UTF-8"), "{}", run.stderr);
}

#[test]
fn a_selector_that_does_not_parse_is_pointed_at() {
    let tsdb = Tsdb::new();
    tsdb.file("m", "up 1 1767225600000\n");
    tsdb.ok(&["import", "m"]);
    let run = tsdb.run(&["query", r#"up{job=api}"#]);
    assert_eq!(run.code, 2);
    let lines: Vec<_> = run.stderr.lines().collect();
    let shown =
        lines.iter().position(|l| l.contains("up{job=api}")).unwrap_or_else(|| panic!("{}", run.stderr));
    let caret = lines[shown + 1].find('^').unwrap_or_else(|| panic!("{}", run.stderr));
    assert_eq!(&lines[shown][caret..=caret], "a", "{}", run.stderr);

    let run = tsdb.run(&["query", r#"up{job=~"a("}"#]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains('^'), "{}", run.stderr);
}

#[test]
fn times_that_are_none_and_ranges_that_are_empty_are_usage_errors() {
    let tsdb = Tsdb::new();
    for args in [
        ["query", "up", "--start", "yesterday"].as_slice(),
        &["query", "up", "--start", "2026-01-02", "--end", "2026-01-01"],
        &["query"],
        &["import"],
        &["nonsense"],
    ] {
        let run = tsdb.run(args);
        assert_eq!(run.code, 2, "{args:?}: {}", run.stderr);
    }
}

#[test]
fn a_store_that_is_not_there_is_not_made_by_a_query() {
    let tsdb = Tsdb::new();
    for command in ["status", "flush"] {
        let run = tsdb.run(&[command, "--data-dir", "typo"]);
        assert_eq!(run.code, 1);
        assert!(run.stderr.contains("typo"), "{}", run.stderr);
    }
    assert!(!tsdb.home().join("typo").exists());
}

#[test]
fn a_store_in_use_is_read_but_not_written() {
    let tsdb = Tsdb::new();
    tsdb.file("m", "up 1 1767225600000\n");
    tsdb.ok(&["import", "m"]);
    let engine = Engine::open(tsdb.home().join("tsdb-data")).unwrap();
    assert!(tsdb.ok(&["query", "up"]).contains("1 samples"));
    assert_eq!(tsdb.ok(&["label-names"]), "__name__\n");
    assert_eq!(tsdb.ok(&["label-values", "__name__"]), "up\n");
    assert_eq!(tsdb.ok(&["series", "{}"]), "up\n");
    assert!(tsdb.ok(&["status"]).contains("samples  1"));
    assert!(tsdb.ok(&["verify"]).contains("0 damaged"));
    let everything = ["delete", "{}", "--everything"];
    for args in [["import", "m"].as_slice(), &["flush"], &["compact"], &everything, &["verify", "--repair"]] {
        let run = tsdb.run(args);
        assert_eq!(run.code, 1, "{args:?}");
        assert!(run.stderr.contains("tsdb-data is in use by another process"), "{}", run.stderr);
    }
    assert_eq!(engine.select(&[], TimeRange::ALL).unwrap().count(), 1);
}

#[test]
fn a_reader_that_stops_early_is_no_failure() {
    let tsdb = Tsdb::new();
    let many: String = (0..20_000).map(|n| format!("up{{n=\"{n}\"}} 1 1767225600000\n")).collect();
    tsdb.file("m", many);
    tsdb.ok(&["import", "m"]);
    let bin = env!("CARGO_BIN_EXE_tsdb");
    let piped = format!("'{bin}' query '{{}}' | head -1; exit ${{PIPESTATUS[0]}}");
    let output =
        std::process::Command::new("bash").args(["-c", &piped]).current_dir(tsdb.home()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
