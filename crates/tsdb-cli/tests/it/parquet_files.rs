//! Parquet files that belong to no store: `inspect`, and `query --file`.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tsdb_parquet_io::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use tsdb_parquet_io::parquet::arrow::ArrowWriter;

use crate::tsdb::Tsdb;

const TEXT: &str = "\
# TYPE load gauge
load{host=\"a\"} 1 1767225600
load{host=\"a\"} 2 1767225615
load{host=\"b\"} 3 1767225600
# EOF
";

/// A store's one cold file, relative to the home.
fn flushed(tsdb: &Tsdb) -> String {
    tsdb.file("metrics.txt", TEXT);
    tsdb.ok(&["import", "metrics.txt"]);
    tsdb.ok(&["flush"]);
    let day = tsdb.home().join("tsdb-data/cold/data/day=2026-01-01");
    let files: Vec<PathBuf> = std::fs::read_dir(day).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    files[0].strip_prefix(tsdb.home()).unwrap().to_str().unwrap().to_owned()
}

/// A file that another tool could have written, under `name`.
fn foreign(tsdb: &Tsdb, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let table = RecordBatch::try_from_iter(columns).unwrap();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, table.schema(), None).unwrap();
    writer.write(&table).unwrap();
    writer.close().unwrap();
    tsdb.file(name, file);
}

fn times(ms: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(ms.to_vec()))
}

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn strings(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn inspect_shows_what_is_in_a_file_of_ours() {
    let tsdb = Tsdb::new();
    let file = flushed(&tsdb);
    let found = tsdb.json(&["inspect", &file, "--json"]);
    assert_eq!((&found["origin"], &found["rows"], &found["series"]), (&json!("tsdb"), &json!(3), &json!(2)));
    assert_eq!(
        (&found["min_time"], &found["max_time"]),
        (&json!(1_767_225_600_000_i64), &json!(1_767_225_615_000_i64))
    );
    let bytes = std::fs::metadata(tsdb.home().join(&file)).unwrap().len();
    assert_eq!((&found["bytes"], &found["bytes_per_sample"]), (&json!(bytes), &json!(bytes as f64 / 3.0)));
    assert_eq!(
        found["schema"][0],
        json!({"name": "timestamp", "type": "Timestamp(ms, \"UTC\")", "nullable": false, "role": "timestamp", "label": null})
    );
    // The writer chooses an encoding by the data; which one is not the matter here.
    let encodings = found["columns"][0]["encodings"].as_array().unwrap();
    assert!(!encodings.is_empty());
    assert_eq!(found["row_groups"][0]["sorted_by"], json!(["__name__"]));
    assert_eq!(found["metadata"]["tsdb.samples"], "3");
    let of_columns: u64 =
        found["columns"].as_array().unwrap().iter().map(|c| c["bytes"].as_u64().unwrap()).sum();
    assert_eq!(found["row_groups"][0]["bytes"], json!(of_columns));

    let text = tsdb.ok(&["inspect", &file]);
    for part in [
        &*file,
        "tsdb-parquet-io version",
        "series        2, sorted",
        "2026-01-01T00:00:15.000Z",
        "a row",
        encodings[0].as_str().unwrap(),
        "ZSTD",
        "host",
        "tsdb.min_time_ms",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

#[test]
fn inspect_shows_foreign_files_with_and_without_samples() {
    let tsdb = Tsdb::new();
    foreign(&tsdb, "odd name #1%.parquet", vec![("timestamp", times(&[1])), ("value", floats(&[1.0]))]);
    let found = tsdb.json(&["inspect", "odd name #1%.parquet", "--json"]);
    assert_eq!(
        (&found["origin"], &found["rows"], &found["series"]),
        (&json!("foreign"), &json!(1), &json!(null))
    );
    assert!(tsdb.ok(&["inspect", "odd name #1%.parquet"]).contains("another tool wrote the file"));

    foreign(&tsdb, "people.parquet", vec![("name", strings(&["Ada"])), ("born", times(&[1815]))]);
    let found = tsdb.json(&["inspect", "people.parquet", "--json"]);
    assert_eq!((&found["origin"], &found["schema"][0]["name"]), (&json!(null), &json!("name")));
    assert!(found["no_samples_because"].as_str().unwrap().contains("`timestamp` is missing"));
    assert!(tsdb.ok(&["inspect", "people.parquet"]).contains("none that can be queried"));

    let columns = vec![
        ("timestamp", times(&[1])),
        ("value", strings(&["x"])),
        ("job", strings(&["a"])),
        ("n", times(&[2])),
    ];
    foreign(&tsdb, "roles.parquet", columns);
    let found = tsdb.json(&["inspect", "roles.parquet", "--json"]);
    let columns = found["schema"].as_array().unwrap();
    let roles: Vec<_> = columns.iter().map(|column| column["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["timestamp", "wrong type", "label", "ignored"]);
    assert_eq!(columns[2]["label"], "job");
    let text = tsdb.ok(&["inspect", "roles.parquet"]);
    assert!(
        text.lines().any(|line| line.split_whitespace().eq(["n", "ignored", "Int64,", "never", "null"])),
        "{text}"
    );
}

#[test]
fn files_that_are_none_or_damaged_are_named_with_the_reason() {
    let tsdb = Tsdb::new();
    let good = std::fs::read(tsdb.home().join(flushed(&tsdb))).unwrap();
    tsdb.file("text.txt", "this is no Parquet");
    tsdb.file("empty", "");
    tsdb.file("cut.parquet", &good[..good.len() - 100]);
    let mut flipped = good.clone();
    flipped[good.len() - 100] ^= 1;
    tsdb.file("flipped.parquet", flipped);
    for (file, reason) in [
        ("text.txt", "is not a Parquet file"),
        ("empty", "it has 0 bytes"),
        ("cut.parquet", "it may be cut off"),
        ("flipped.parquet", "does not match its checksum"),
        ("missing.parquet", "No such file"),
        (".", "it is a directory"),
    ] {
        for command in [&["inspect", file][..], &["query", "{}", "--file", file]] {
            let run = tsdb.run(command);
            assert_eq!(run.code, 1, "{command:?}: {}", run.stdout);
            assert!(run.stderr.contains(file) && run.stderr.contains(reason), "{command:?}: {}", run.stderr);
            let times = run.stderr.matches(file).count();
            assert!(
                times == 1 || file != "missing.parquet",
                "{command:?} names it {times} times: {}",
                run.stderr
            );
        }
    }
    foreign(&tsdb, "people.parquet", vec![("name", strings(&["Ada"]))]);
    let run = tsdb.run(&["query", "{}", "--file", "people.parquet"]);
    assert_eq!(run.code, 1);
    assert!(
        run.stderr.contains("people.parquet") && run.stderr.contains("`timestamp` is missing"),
        "{}",
        run.stderr
    );
}

#[test]
fn samples_that_an_ignored_column_may_tell_apart_are_refused_with_its_name() {
    let tsdb = Tsdb::new();
    let columns =
        vec![("timestamp", times(&[1, 1])), ("value", floats(&[1.0, 2.0])), ("shard", times(&[1, 2]))];
    foreign(&tsdb, "shards.parquet", columns);
    let run = tsdb.run(&["query", "{}", "--file", "shards.parquet"]);
    assert_eq!(run.code, 1, "{}", run.stdout);
    assert!(run.stderr.contains("no label in the column(s) shard"), "{}", run.stderr);
}

#[test]
fn query_asks_files_in_place_of_the_store_and_the_later_file_is_right() {
    let tsdb = Tsdb::new();
    let ours = flushed(&tsdb);
    let all = tsdb.ok(&["query", "{}", "--json"]);
    assert_eq!(tsdb.ok(&["query", "{}", "--json", "--file", &ours]), all);

    // Other columns than ours, in another order, and one sample anew.
    let ms = 1_767_225_600_000;
    foreign(
        &tsdb,
        "foreign.parquet",
        vec![
            ("zone", strings(&["eu", "eu", ""])),
            ("value", floats(&[8.0, 7.0, 30.0])),
            ("__name__", strings(&["load", "load", "load"])),
            ("host", strings(&["c", "c", "b"])),
            ("timestamp", times(&[ms + 1, ms, ms])),
        ],
    );
    let query = |selector: &str, files: [&str; 2]| {
        tsdb.ok(&["query", selector, "--json", "--file", files[0], "--file", files[1]])
    };
    let c = r#"{"labels":{"__name__":"load","host":"c","zone":"eu"},"samples":[[1767225600000,"7"],[1767225600001,"8"]],"histograms":[]}"#;
    assert_eq!(query(r#"{zone=~"e.*"}"#, [&ours, "foreign.parquet"]), format!("{c}\n"));
    assert!(query(r#"load{host="b"}"#, [&ours, "foreign.parquet"]).contains(r#"[[1767225600000,"30"]]"#));
    assert!(query(r#"load{host="b"}"#, ["foreign.parquet", &ours]).contains(r#"[[1767225600000,"3"]]"#));
    assert_eq!(query("{}", ["foreign.parquet", &ours]).lines().count(), 3);

    let both = tsdb.run(&["query", "{}", "--file", &ours, "--data-dir", "tsdb-data"]);
    assert_eq!(both.code, 2, "{}", both.stderr);
}

#[test]
fn verify_reads_all_of_a_file_and_names_what_is_damaged() {
    let tsdb = Tsdb::new();
    let file = flushed(&tsdb);
    let said = tsdb.ok(&["verify", &file]);
    assert!(said.contains("sound, 2 series, 3 samples"), "{said}");
    let found = tsdb.json(&["verify", &file, "--json"]);
    assert!(found["pages"].as_u64() > Some(3) && found["index_blocks"].as_u64() > Some(2), "{found}");

    foreign(&tsdb, "other.parquet", vec![("timestamp", times(&[5, 1])), ("value", floats(&[1.0, 2.0]))]);
    let said = tsdb.ok(&["verify", "other.parquet"]);
    assert!(said.contains("sound, 1 series, 2 samples") && said.contains("no checksums"), "{said}");

    let mut bytes = std::fs::read(tsdb.home().join(&file)).unwrap();
    bytes[10] ^= 1;
    tsdb.file("damaged.parquet", bytes);
    tsdb.file("cut.parquet", "PAR1");
    let run = tsdb.run(&["verify", "damaged.parquet", &file, "cut.parquet"]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("column timestamp: the page of") && run.stdout.contains("sound, 2 series"));
    assert!(run.stdout.contains("cut.parquet is not a Parquet file"), "{}", run.stdout);
    assert!(run.stderr.contains("2 damaged file(s)"), "{}", run.stderr);
}

#[test]
fn rewrite_makes_a_damaged_index_anew_and_refuses_damaged_rows() {
    let tsdb = Tsdb::new();
    let file = flushed(&tsdb);
    let index = tsdb.json(&["inspect", &file, "--json"])["series_index"].clone();
    let place = |name: &str| usize::try_from(index[name].as_u64().unwrap()).unwrap();
    let sound = std::fs::read(tsdb.home().join(&file)).unwrap();

    let mut damaged = sound.clone();
    damaged[place("offset") + place("bytes") - 2] ^= 1;
    tsdb.file("index.parquet", damaged);
    assert_eq!(tsdb.run(&["query", "{}", "--file", "index.parquet"]).code, 1);
    let said = tsdb.ok(&["rewrite", "index.parquet", "new.parquet"]);
    assert!(said.contains("2 series, 3 samples"), "{said}");
    assert!(tsdb.ok(&["verify", "new.parquet"]).contains("index blocks match"));
    let all = |file: &str| tsdb.ok(&["query", "{}", "--format", "jsonl", "--file", file]);
    assert_eq!(all("new.parquet"), all(&file));

    // What is there is not overwritten, and nothing is left behind.
    assert!(tsdb.run(&["rewrite", &file, "new.parquet"]).stderr.contains("cannot write new.parquet"));
    let mut damaged = sound;
    damaged[10] ^= 1;
    tsdb.file("rows.parquet", damaged);
    let run = tsdb.run(&["rewrite", "rows.parquet", "none.parquet"]);
    assert!(run.code == 1 && run.stderr.contains("does not match its checksum"), "{}", run.stderr);
    assert!(!tsdb.home().join("none.parquet").exists() && !tsdb.home().join("none.parquet.part").exists());
}

#[test]
fn rewrite_gives_a_file_of_another_tool_an_index() {
    let tsdb = Tsdb::new();
    let columns = vec![
        ("timestamp", times(&[20, 10, 30])),
        ("value", floats(&[1.0, 2.0, 3.0])),
        ("host", strings(&["b", "a", "b"])),
    ];
    foreign(&tsdb, "other.parquet", columns);
    tsdb.ok(&["rewrite", "other.parquet", "ours.parquet"]);
    let found = tsdb.json(&["inspect", "ours.parquet", "--json"]);
    assert_eq!((&found["origin"], &found["series_index"]["series"]), (&json!("tsdb"), &json!(2)));
    let all = |file: &str| tsdb.ok(&["query", "{host=~\"a|b\"}", "--format", "jsonl", "--file", file]);
    assert_eq!(all("ours.parquet"), all("other.parquet"));
}
