//! Files of every version of every format are read as what was written: `docs/format/README.md` promises it.
//!
//! `testdata/format/vN/` holds files as version N of their formats was written, each with its content as text in a file of
//! the same name and `.expected`; `store/` is a whole data directory. They were made once, by `make_fixtures` below, when
//! version N was the newest, and never change: a version that comes later adds a directory, with the files of the formats that
//! it changes.

/// What is in a file, as text.
mod content;
/// How the fixtures are made.
mod make;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tsdb_core::{Labels, TimeRange};
use tsdb_engine::blocking::Engine;
use tsdb_engine::{EngineBuilder, EngineOptions};

use content::series_text;

/// The formats' names in the table of the page, by what a file of them is.
const FORMATS: [&str; 8] = [
    "block",
    "tombstone",
    "log segment",
    "cold file",
    "series index",
    "label bloom",
    "catalog snapshot",
    "metadata of metrics",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/format")
}

/// The directories `vN`, with N.
fn versions() -> Vec<(u32, PathBuf)> {
    let dirs = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let mut versions: Vec<_> = dirs
        .map(|dir| {
            let name = dir.file_name().unwrap().to_str().unwrap();
            let number = name.strip_prefix('v').and_then(|number| number.parse().ok());
            (number.unwrap_or_else(|| panic!("{name} is no directory of a version")), dir)
        })
        .collect();
    versions.sort();
    versions
}

/// All files under `dir`, by path from there.
fn files(dir: &Path) -> BTreeSet<String> {
    let (mut found, mut pending) = (BTreeSet::new(), vec![dir.to_owned()]);
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.insert(path.strip_prefix(dir).unwrap().to_str().unwrap().replace('\\', "/"));
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        fs::create_dir_all(to.join(&file).parent().unwrap()).unwrap();
        fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
}

fn builder(dir: &Path) -> EngineBuilder {
    let mut options = EngineOptions::default();
    options.background.interval = None;
    // Small segments, so that a few samples make several.
    options.hot.wal_segment_bytes = 600;
    tsdb_engine::Engine::builder(dir).options(options)
}

fn everything(engine: &Engine) -> String {
    let all: Vec<_> = engine.select(&[], TimeRange::ALL).unwrap().map(Result::unwrap).collect();
    series_text(&all)
}

/// Each is read and told as text; so is the store as a whole. No file is there that is not.
#[test]
fn every_fixture_is_read_as_what_was_written() {
    let mut read = 0;
    for (version, dir) in versions() {
        let mut names: BTreeSet<String> = files(&dir);
        names.retain(|name| !name.starts_with("store/") && !name.ends_with(".expected"));
        let expected: BTreeSet<String> = files(&dir)
            .into_iter()
            .filter_map(|name| Some(name.strip_suffix(".expected")?.to_owned()))
            .collect();
        assert!(
            names.iter().all(|name| expected.contains(name)),
            "v{version}: a fixture that says not what is in it"
        );
        for name in expected {
            let (found, path) = (content::of(&dir.join(&name)), dir.join(format!("{name}.expected")));
            assert!(found == fs::read_to_string(&path).unwrap(), "v{version}/{name} is read as\n{found}");
            read += 1;
        }
    }
    assert!(read >= 8, "only {read} fixtures");
}

/// What is beside a fixture is what its writer was given: so the test above is none of a reader against itself.
#[test]
fn what_was_written_is_what_was_given_to_the_writers() {
    let temp = tempfile::tempdir().unwrap();
    let (_, dir) = versions().pop().unwrap();
    for (name, given) in make::fixtures(temp.path()) {
        let expected = fs::read_to_string(dir.join(format!("{name}.expected"))).unwrap();
        assert!(!given.is_empty() && expected.contains(&given), "{name}:\n{given}");
    }
}

/// A store of an older version opens, answers, takes more, and moves its data on.
#[test]
fn a_store_of_an_older_version_goes_on() {
    for (version, dir) in versions() {
        let temp = tempfile::tempdir().unwrap();
        copy(&dir.join("store"), temp.path());
        let engine = Engine::open_with(builder(temp.path())).unwrap();
        let before = everything(&engine);
        let labels = Labels::from_pairs([("__name__", "later")]).unwrap();
        let mut batch = engine.appender();
        batch.append(&labels, make::START_MS, 1.0).unwrap();
        batch.commit().unwrap();
        let with = everything(&engine);
        assert!(with.len() > before.len() && with.contains(&before[before.len() - 40..]), "v{version}");
        engine.flush().unwrap();
        assert_eq!(everything(&engine), with, "v{version}");
        engine.compact().unwrap();
        assert_eq!(everything(&engine), with, "v{version}");
        assert!(engine.verify().unwrap().damaged.is_empty(), "v{version}");
        engine.close().unwrap();
        assert_eq!(everything(&Engine::open_read_only(temp.path()).unwrap()), with, "v{version}");
    }
}

/// Whoever raises a version adds a fixture of it and says so on the page.
#[test]
fn what_is_written_today_has_a_fixture_and_is_on_the_page() {
    let temp = tempfile::tempdir().unwrap();
    make::fixtures(temp.path());
    let today = versions_in(temp.path());
    assert!(
        FORMATS.iter().all(|format| today.get(format).is_some_and(|versions| versions.len() == 1)),
        "{today:?}"
    );
    let mut of_fixtures: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for (number, dir) in versions() {
        for (format, versions) in versions_in(&dir) {
            assert!(
                versions.iter().all(|version| *version <= number),
                "v{number} has a {format} of {versions:?}"
            );
            of_fixtures.entry(format).or_default().extend(versions);
        }
    }
    let page = include_str!("../../docs/format/README.md");
    for (format, versions) in today {
        let current = *versions.first().unwrap();
        let cells = format!("| {format} | {current} | ");
        let row =
            page.lines().find_map(|line| line.strip_prefix(&cells)).unwrap_or_else(|| panic!("{cells}"));
        let oldest: u32 = row.split(' ').next().unwrap().parse().unwrap();
        let expected: BTreeSet<u32> = (oldest..=current).collect();
        assert!(expected.is_subset(&of_fixtures[format]), "{format}: fixtures of {:?}", of_fixtures[format]);
    }
}

/// The versions in the files under `dir`, by format.
fn versions_in(dir: &Path) -> BTreeMap<&'static str, BTreeSet<u32>> {
    let mut found: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for file in files(dir) {
        for (format, version) in content::versions_of(&dir.join(&file)) {
            found.entry(format).or_default().insert(version);
        }
    }
    found
}

/// A file of a version to come, with right checksums: refused by name, and not as damage.
#[test]
fn a_newer_version_is_refused_and_named() {
    let (newest, dir) = versions().pop().unwrap();
    for suffix in [".wal", ".block", ".tombstone", ".json"] {
        let temp = tempfile::tempdir().unwrap();
        copy(&dir.join("store"), temp.path());
        // The last, for of the catalog that is the one that counts.
        let file = files(temp.path()).into_iter().rfind(|name| name.ends_with(suffix)).unwrap();
        let bytes = fs::read(temp.path().join(&file)).unwrap();
        fs::write(temp.path().join(&file), make::of_version(&bytes, suffix, newest + 41)).unwrap();
        let name = Path::new(&file).file_stem().unwrap().to_str().unwrap();
        let opened = [
            Engine::open_with(builder(temp.path())).err(),
            Engine::open_read_only(temp.path()).err(),
            // Whoever asks for a repair does not lose what another version has written.
            builder(temp.path()).repair_wal().err().filter(|_| suffix == ".wal"),
        ];
        let errors: Vec<String> = opened.into_iter().flatten().map(|error| error.to_string()).collect();
        assert_eq!(errors.len(), if suffix == ".wal" { 3 } else { 2 }, "{file}: {errors:?}");
        for error in errors {
            let version = format!("version {}", newest + 41);
            let is_named = error.contains(name) && error.contains(&version) && error.contains("newer tsdb");
            assert!(is_named && !error.contains("damaged"), "{error}");
        }
        assert_eq!(fs::read(temp.path().join(&file)).unwrap(), make::of_version(&bytes, suffix, newest + 41));
    }
}

/// Makes the fixtures of the newest version, once: `cargo test -p tsdb-tests --test it -- --ignored make_fixtures`.
#[test]
#[ignore = "makes files in the repository"]
fn make_fixtures() {
    let temp = tempfile::tempdir().unwrap();
    make::fixtures(temp.path());
    let newest = versions_in(temp.path()).into_values().flatten().max().unwrap();
    let dir = root().join(format!("v{newest}"));
    assert!(!dir.exists(), "{} is there: fixtures are never made anew", dir.display());
    copy(temp.path(), &dir);
    let fixtures = files(&dir).into_iter().filter(|name| !name.starts_with("store/"));
    for name in fixtures.chain(["store".to_owned()]) {
        fs::write(dir.join(format!("{name}.expected")), content::of(&dir.join(&name))).unwrap();
    }
}
