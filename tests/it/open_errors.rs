//! What an operator meets: each says what is wrong, where, and what to do; and nothing is lost by it.

use std::fs;
use std::path::{Path, PathBuf};

use tsdb_core::{Labels, TimeRange};
use tsdb_engine::Engine as AsyncEngine;
use tsdb_engine::Error;
use tsdb_engine::blocking::Engine;

fn store_with_data(dir: &Path) {
    let engine = Engine::open(dir).unwrap();
    let labels = Labels::from_pairs([("__name__", "up")]).unwrap();
    for n in 0..2 {
        let mut batch = engine.appender();
        batch.append(&labels, n, 1.0).unwrap();
        batch.commit().unwrap();
        if n == 0 {
            engine.flush().unwrap();
        }
    }
    engine.close().unwrap();
}

fn only_file(dir: PathBuf) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.pop().unwrap()
}

#[test]
fn a_store_in_use_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    let error = Engine::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    engine.close().unwrap();
    Engine::open(dir.path()).unwrap();
}

#[test]
fn a_missing_store_is_not_made_by_who_only_reads() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("typo");
    let error = Engine::open_with(AsyncEngine::builder(&missing).create(false)).unwrap_err();
    assert!(matches!(error, Error::NoStore { .. }), "{error}");
    assert!(!missing.exists());
}

#[test]
fn a_file_where_the_directory_should_be_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = Engine::open(&file).unwrap_err().to_string();
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

#[test]
fn a_catalog_from_a_newer_version_says_so() {
    let dir = tempfile::tempdir().unwrap();
    store_with_data(dir.path());
    let newest = only_file(dir.path().join("cold/catalog"));
    let text = fs::read_to_string(&newest).unwrap();
    let (_, snapshot) = text.trim_end().split_once(r#""snapshot":"#).unwrap();
    let newer =
        snapshot.trim_end_matches('}').replace(r#""format_version":1"#, r#""format_version":9"#) + "}";
    let checksum = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(newer.as_bytes()));
    fs::write(&newest, format!("{{\"checksum\":\"{checksum}\",\"snapshot\":{newer}}}\n")).unwrap();
    let error = Engine::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("version 9") && error.contains("newer tsdb"), "{error}");
}

#[test]
fn a_damaged_newest_catalog_is_an_error_never_a_step_back() {
    let dir = tempfile::tempdir().unwrap();
    store_with_data(dir.path());
    let newest = only_file(dir.path().join("cold/catalog"));
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, &bytes).unwrap();
    let error = Engine::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("damaged") && error.contains("catalog"), "{error}");
}

#[test]
fn data_without_its_catalog_is_an_error_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    store_with_data(dir.path());
    fs::remove_dir_all(dir.path().join("cold/catalog")).unwrap();
    let error = Engine::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("no catalog"), "{error}");
    assert!(only_file(dir.path().join("cold/data/day=1970-01-01")).exists());
}

#[test]
fn a_damaged_wal_names_file_and_offset() {
    let dir = tempfile::tempdir().unwrap();
    store_with_data(dir.path());
    let segment = only_file(dir.path().join("wal"));
    let mut bytes = fs::read(&segment).unwrap();
    bytes[0] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let error = Engine::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains(segment.file_name().unwrap().to_str().unwrap()), "{error}");
}

#[test]
fn a_damaged_cold_file_is_an_error_of_the_query() {
    let dir = tempfile::tempdir().unwrap();
    store_with_data(dir.path());
    let file = only_file(dir.path().join("cold/data/day=1970-01-01"));
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 1] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    let error = engine.select(&[], TimeRange::ALL).unwrap().find_map(Result::err).unwrap().to_string();
    assert!(error.contains(file.file_name().unwrap().to_str().unwrap()), "{error}");
}

#[test]
fn any_damage_to_the_log_of_a_store_that_was_closed_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    let labels = Labels::from_pairs([("__name__", "up")]).unwrap();
    let mut batch = engine.appender();
    for t in 0..20 {
        batch.append(&labels, t, t as f64).unwrap();
    }
    batch.commit().unwrap();
    engine.close().unwrap();
    let segment = only_file(dir.path().join("wal"));
    let whole = fs::read(&segment).unwrap();
    // The last record, which says that all before it was durable, is the one that nothing vouches for.
    for at in 0..whole.len() - 17 {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&segment, &damaged).unwrap();
        let error = Engine::open(dir.path()).map(|_| at).unwrap_err();
        assert!(matches!(error, Error::Hot(tsdb_hot::Error::WalDamaged { .. })), "{at}: {error}");
        assert_eq!(fs::read(&segment).unwrap(), damaged, "{at}: nothing was changed");
    }
    fs::write(&segment, &whole).unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    assert_eq!(engine.stats().hot.head.samples, 20);
}
