//! An engine that only reads, beside one that writes: it sees what was there when it was opened, whatever the writer does,
//! and changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tsdb_core::{Labels, SampleValue, TimeRange, parse_selector};
use tsdb_engine::blocking::{self, Engine};
use tsdb_engine::{EngineOptions, Error};
use tsdb_testkit::{Oracle, SimDisk, assert_series_eq};

/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;
const HOUR_MS: i64 = 3_600_000;

fn writer(dir: &Path) -> Engine {
    let mut options = EngineOptions::default();
    options.background.interval = None;
    options.hot.wal_segment_bytes = 1_000;
    Engine::open_with(tsdb_engine::Engine::builder(dir).options(options)).unwrap()
}

fn append(engine: &Engine, oracle: &mut Oracle, series: i64, timestamp_ms: i64, value: f64) {
    let labels = Labels::from_pairs([("__name__", "m"), ("i", &series.to_string())]).unwrap();
    let mut batch = engine.appender();
    batch.append(&labels, timestamp_ms, value).unwrap();
    batch.commit().unwrap();
    oracle.append(&labels, timestamp_ms, SampleValue::Float(value));
}

fn check(engine: &Engine, oracle: &Oracle) {
    let all: Vec<_> = engine.select(&[], TimeRange::ALL).unwrap().map(Result::unwrap).collect();
    assert_series_eq(&all, &oracle.all());
}

/// Every file and directory with its bytes and the time of its last change.
fn contents(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = std::fs::metadata(&path).unwrap();
        let mut bytes = Vec::new();
        if metadata.is_dir() {
            pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            bytes = std::fs::read(&path).unwrap();
        }
        found.insert(path, (bytes, metadata.modified().unwrap()));
    }
    found
}

/// A store with samples in the log, in a block and in cold files, and with deletes in all of them.
fn all_tiers(engine: &Engine, oracle: &mut Oracle) {
    for hour in 0..3 {
        append(engine, oracle, 1, START_MS + hour * HOUR_MS, hour as f64);
        append(engine, oracle, 2, START_MS + hour * HOUR_MS, hour as f64);
    }
    engine.flush().unwrap();
    append(engine, oracle, 1, START_MS + HOUR_MS, 100.0);
    append(engine, oracle, 3, START_MS + HOUR_MS, 1.0);
    engine.seal().unwrap();
    append(engine, oracle, 1, START_MS + 2 * HOUR_MS, 200.0);
    append(engine, oracle, 4, START_MS + 5 * HOUR_MS, 1.0);
    let (of_2, range) = (parse_selector("m{i=\"2\"}").unwrap(), TimeRange::new(START_MS, START_MS + HOUR_MS));
    engine.delete(&of_2, range).unwrap();
    oracle.delete(&of_2, range);
    append(engine, oracle, 2, START_MS, 300.0);
}

#[test]
fn it_sees_all_tiers_of_a_store_that_is_open_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, mut oracle) = (writer(dir.path()), Oracle::new());
    all_tiers(&engine, &mut oracle);
    let before = contents(dir.path());
    let reader = Engine::open_read_only(dir.path()).unwrap();
    assert!(reader.is_read_only() && !engine.is_read_only());
    check(&reader, &oracle);
    let (seen, written) = (reader.stats(), engine.stats());
    assert_eq!((seen.samples(), seen.hot.wal), (written.samples(), written.hot.wal));
    assert_eq!((seen.cold, seen.hot.blocks), (written.cold, written.hot.blocks));
    assert_eq!(reader.count_series().unwrap(), oracle.series_count());
    assert_eq!(reader.label_values("i", &[], TimeRange::ALL).unwrap(), ["1", "2", "3", "4"]);
    let verified = reader.verify().unwrap();
    assert!(verified.damaged.is_empty() && verified.blocks == 1 && verified.files > 0, "{verified:?}");
    let verified = blocking::verify(tsdb_engine::Engine::builder(dir.path())).unwrap();
    assert!(verified.damaged.is_empty() && verified.blocks == 1 && verified.files > 0, "{verified:?}");

    // What comes later is not seen; a new reader sees it.
    let then = oracle.clone();
    append(&engine, &mut oracle, 9, START_MS, 9.0);
    check(&reader, &then);
    check(&Engine::open_read_only(dir.path()).unwrap(), &oracle);
    let after = contents(dir.path());
    let changed: Vec<_> = after.iter().filter(|(path, now)| before.get(*path) != Some(now)).collect();
    // By the writer, whose last batch is in the log.
    assert!(changed.iter().all(|(path, _)| path.starts_with(dir.path().join("wal"))), "{changed:?}");
    reader.close().unwrap();
    assert_eq!(contents(dir.path()), after);
    engine.close().unwrap();
}

#[test]
fn every_call_that_writes_is_refused_and_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, mut oracle) = (writer(dir.path()), Oracle::new());
    all_tiers(&engine, &mut oracle);
    let before = contents(dir.path());
    let reader = Engine::open_read_only(dir.path()).unwrap();
    let labels = Labels::from_pairs([("__name__", "m")]).unwrap();
    let mut batch = reader.appender();
    let now_ms = START_MS + 1_000 * HOUR_MS;
    let refused = [
        batch.append(&labels, START_MS, 1.0).map(drop),
        batch.append_value(&labels, START_MS, SampleValue::Float(1.0)).map(drop),
        batch.commit().map(drop),
        reader.seal().map(drop),
        reader.flush().map(drop),
        reader.delete(&[], TimeRange::ALL),
        reader.compact().map(drop),
        reader.maintain(now_ms).map(drop),
        reader.convert_due(now_ms).map(drop),
        reader.compact_due(now_ms).map(drop),
        reader.expire(now_ms).map(drop),
        reader.sweep(now_ms).map(drop),
    ];
    for (call, refused) in refused.into_iter().enumerate() {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::ReadOnly), "call {call}: {error}");
        assert!(error.to_string().contains("read only"), "{error}");
    }
    check(&reader, &oracle);
    drop(reader);
    assert_eq!(contents(dir.path()), before);
    check(&engine, &oracle);
}

#[test]
fn what_a_crash_left_is_passed_over_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, mut oracle) = (writer(dir.path()), Oracle::new());
    all_tiers(&engine, &mut oracle);
    engine.close().unwrap();
    // A torn batch, a block and a cold file that were being written, a segment that was being created.
    let wal = dir.path().join("wal");
    let mut segments: Vec<_> = std::fs::read_dir(&wal).unwrap().map(|e| e.unwrap().path()).collect();
    segments.sort();
    let newest = segments.pop().unwrap();
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, [bytes.as_slice(), &[7; 30]].concat()).unwrap();
    std::fs::write(dir.path().join("blocks/half.block.tmp"), "half").unwrap();
    std::fs::create_dir_all(dir.path().join("cold/.tmp")).unwrap();
    std::fs::write(dir.path().join("cold/.tmp/7"), "half").unwrap();
    let orphan = dir.path().join("cold/data/day=2026-01-01/01arz3ndektsv4rrffq69g5fav.parquet");
    std::fs::write(orphan, "no catalog names it").unwrap();
    let before = contents(dir.path());
    let reader = Engine::open_read_only(dir.path()).unwrap();
    check(&reader, &oracle);
    assert_eq!(reader.recovery().torn_bytes, 30);
    let verified = blocking::verify(tsdb_engine::Engine::builder(dir.path())).unwrap();
    assert_eq!((verified.torn_bytes, verified.damaged.len()), (30, 0));
    drop(reader);
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn there_must_be_a_store_and_damage_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("typo");
    assert!(matches!(Engine::open_read_only(&missing), Err(Error::NoStore { .. })));
    assert!(!missing.exists());

    let (engine, mut oracle) = (writer(dir.path()), Oracle::new());
    all_tiers(&engine, &mut oracle);
    engine.close().unwrap();
    let segment = std::fs::read_dir(dir.path().join("wal")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let error = Engine::open_read_only(dir.path()).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

/// What a reader finds that has read the log before two seals, and the blocks after them: the log ends in the middle of the
/// first generation, and the blocks of the second are there. Samples in between must not be missed in silence.
#[test]
fn blocks_that_are_younger_than_the_log_that_was_read_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, mut oracle) = (writer(dir.path()), Oracle::new());
    append(&engine, &mut oracle, 1, START_MS, 1.0);
    let wal = dir.path().join("wal");
    let segment = std::fs::read_dir(&wal).unwrap().next().unwrap().unwrap().path();
    let early = std::fs::read(&segment).unwrap();
    append(&engine, &mut oracle, 1, START_MS + 1, 2.0);
    engine.seal().unwrap();
    append(&engine, &mut oracle, 1, START_MS + 2, 3.0);
    engine.seal().unwrap();
    check(&Engine::open_read_only(dir.path()).unwrap(), &oracle);
    std::fs::write(&segment, early).unwrap();
    let error = Engine::open_read_only(dir.path()).unwrap_err();
    assert!(error.to_string().contains("open it again"), "{error}");
}

/// The writer merges the files under a reader: a query that has begun ends, one that begins later says what to do.
#[test]
fn a_query_that_has_begun_outlives_a_compaction_and_a_later_one_says_to_open_again() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, mut oracle) = (writer(dir.path()), Oracle::new());
    for at in 0..5 {
        for series in 0..50 {
            append(&engine, &mut oracle, series, START_MS + at * 1_000, at as f64);
        }
        engine.flush().unwrap();
    }
    let late = Engine::open_read_only(dir.path()).unwrap();
    let reader = Engine::open_read_only(dir.path()).unwrap();
    let mut begun = reader.select(&[], TimeRange::ALL).unwrap();
    let first = begun.next().unwrap().unwrap();
    assert_eq!(engine.compact().unwrap().files_out, 1);
    let all: Vec<_> = std::iter::once(first).chain(begun.map(Result::unwrap)).collect();
    assert_series_eq(&all, &oracle.all());
    let error = late.select(&[], TimeRange::ALL).unwrap().next().unwrap().unwrap_err();
    assert!(matches!(error, Error::Outdated { .. }), "{error}");
    assert!(matches!(late.count_series(), Err(Error::Outdated { .. })));
    assert!(matches!(late.label_names(&[], TimeRange::ALL), Err(Error::Outdated { .. })));
    check(&Engine::open_read_only(dir.path()).unwrap(), &oracle);
}

/// Readers come and go while a writer appends, seals, converts, compacts and deletes: each sees everything that was
/// acknowledged before it was opened, and nothing twice.
#[test]
fn readers_beside_a_busy_writer_miss_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (stop, acknowledged, attempted) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let engine = writer(dir.path());
    let labels = Labels::from_pairs([("__name__", "counted")]).unwrap();
    let noise = Labels::from_pairs([("__name__", "noise")]).unwrap();
    let (mut opened, mut seen_last) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0_u64.. {
                attempted.store(n + 1, Ordering::SeqCst);
                let mut batch = engine.appender();
                batch.append(&labels, START_MS + n as i64 * 60_000, n as f64).unwrap();
                batch.append(&noise, START_MS + n as i64, n as f64).unwrap();
                batch.commit().unwrap();
                acknowledged.store(n + 1, Ordering::SeqCst);
                match n % 23 {
                    7 => drop(engine.seal().unwrap()),
                    15 => drop(engine.flush().unwrap()),
                    19 => engine.delete(&parse_selector("noise").unwrap(), TimeRange::ALL).unwrap(),
                    22 => drop(engine.compact().unwrap()),
                    _ => {}
                }
                if stop.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        let deadline = Instant::now() + Duration::from_secs(3);
        while Instant::now() < deadline || opened < 20 {
            let least = acknowledged.load(Ordering::SeqCst);
            let reader = match Engine::open_read_only(dir.path()) {
                Ok(reader) => reader,
                Err(Error::Unsettled { .. }) => continue,
                Err(error) => {
                    stop.store(true, Ordering::SeqCst);
                    panic!("{error}");
                }
            };
            let most = attempted.load(Ordering::SeqCst);
            let found = reader.select(&parse_selector("counted").unwrap(), TimeRange::ALL).unwrap();
            let found: Result<Vec<_>, Error> = found.collect();
            let series = match found {
                Err(Error::Outdated { .. }) => continue,
                found => found.unwrap_or_else(|error| {
                    stop.store(true, Ordering::SeqCst);
                    panic!("{error}")
                }),
            };
            let values = series.first().map_or(&[][..], |series| &series.samples.values);
            let expected: Vec<f64> = (0..values.len()).map(|n| n as f64).collect();
            let fits = (least..=most).contains(&(values.len() as u64)) && values == expected;
            if !fits {
                stop.store(true, Ordering::SeqCst);
            }
            let missing: Vec<u64> = (0..most).filter(|n| !values.contains(&(*n as f64))).collect();
            assert!(fits, "{least} <= {} <= {most}, without {missing:?}; {:?}", values.len(), reader.stats());
            (opened, seen_last) = (opened + 1, values.len());
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert!(seen_last > 20, "{seen_last} samples, {opened} readers");
}

/// The same on the simulated disk, which counts what is done to it.
#[test]
fn it_makes_no_operation_that_changes_a_disk() {
    let disk = SimDisk::new();
    let builder = || tsdb_engine::Engine::builder("/data").vfs(disk.vfs());
    let (engine, mut oracle) = (Engine::open_with(builder()).unwrap(), Oracle::new());
    all_tiers(&engine, &mut oracle);
    let before = disk.operations();
    let reader = Engine::open_read_only_with(builder()).unwrap();
    check(&reader, &oracle);
    assert!(reader.flush().is_err());
    reader.close().unwrap();
    assert_eq!(disk.operations(), before);
}
