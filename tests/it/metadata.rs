//! Metadata of metrics: durable when it is acknowledged, whole or not there after a crash, bounded, and seen by readers.

use tsdb_engine::blocking::Engine;
use tsdb_engine::{EngineOptions, Error, METADATA_BYTES_MAX, MetricKind, MetricMetadata};
use tsdb_testkit::{Fault, SimDisk, crash_at_every_operation, fault_at_every_operation};

const DIR: &str = "/data";

fn open(disk: &SimDisk) -> Result<Engine, Error> {
    let mut options = EngineOptions::default();
    options.background.interval = None;
    Engine::open_with(tsdb_engine::Engine::builder(DIR).vfs(disk.vfs()).options(options))
}

fn about(help: &str) -> MetricMetadata {
    MetricMetadata { kind: MetricKind::Counter, help: help.to_owned(), unit: "seconds".to_owned() }
}

/// The state after so many steps: two metrics, of which one changes with each.
fn state(step: u64) -> Vec<(String, MetricMetadata)> {
    vec![("one".to_owned(), about(&format!("step {step}"))), ("other".to_owned(), about("always the same"))]
}

fn found(engine: &Engine) -> Vec<(String, MetricMetadata)> {
    let mut found: Vec<_> =
        engine.metadata().iter().map(|(metric, about)| (metric.clone(), about.clone())).collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

/// Sets one state after another, with restarts, until something fails. Gives the last that was acknowledged.
fn run(disk: &SimDisk) -> u64 {
    let mut acknowledged = 0;
    for step in 1..=4 {
        let Ok(engine) = open(disk) else { return acknowledged };
        for step in [2 * step - 1, 2 * step] {
            match engine.set_metadata(state(step)) {
                Ok(_) => acknowledged = step,
                Err(_) => return acknowledged,
            }
        }
        // What is known already is acknowledged without a write.
        let operations = disk.operations();
        if engine.set_metadata(state(acknowledged)).is_ok() {
            assert_eq!(disk.operations(), operations);
        }
    }
    acknowledged
}

fn check(disk: &SimDisk, acknowledged: &u64) {
    let engine =
        open(disk).unwrap_or_else(|error| panic!("the store does not open after the crash: {error}"));
    let expected = |step: u64| if step == 0 { Vec::new() } else { state(step) };
    let found = found(&engine);
    let is_state = [*acknowledged, acknowledged + 1].into_iter().any(|step| found == expected(step));
    assert!(is_state, "{acknowledged} acknowledged, found {found:?}");
}

#[test]
fn a_crash_or_an_error_at_any_operation_loses_nothing_acknowledged() {
    crash_at_every_operation(run, check);
    for fault in [Fault::Io, Fault::NoSpace] {
        fault_at_every_operation(&SimDisk::new(), fault, run, check);
    }
    let disk = SimDisk::new();
    assert_eq!(run(&disk), 8);
}

#[test]
fn a_reader_sees_it_and_cannot_change_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    engine.set_metadata(state(1)).unwrap();
    let reader = Engine::open_read_only(dir.path()).unwrap();
    assert_eq!(found(&reader), state(1));
    assert!(matches!(reader.set_metadata(state(2)), Err(Error::ReadOnly)));
    engine.set_metadata(state(3)).unwrap();
    assert_eq!(found(&Engine::open_read_only(dir.path()).unwrap()), state(3));
}

#[test]
fn what_is_too_much_is_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    let long = "x".repeat(60_000);
    let many = METADATA_BYTES_MAX / long.len() + 10;
    let stored = engine.set_metadata((0..many).map(|i| (format!("metric_{i:03}"), about(&long)))).unwrap();
    assert_eq!((stored.changed + stored.left_out) as usize, many);
    assert!(stored.left_out >= 10, "{stored:?}");
    let too_long = [("long".to_owned(), about(&"x".repeat(70_000))), (String::new(), about("nameless"))];
    assert_eq!(engine.set_metadata(too_long).unwrap().left_out, 2);
    // In place of something long there is room for something short.
    let stored = engine.set_metadata([("metric_000".to_owned(), about("short"))]).unwrap();
    assert_eq!((stored.changed, stored.left_out), (1, 0));
    engine.close().unwrap();
    assert_eq!(Engine::open(dir.path()).unwrap().metadata()["metric_000"], about("short"));
    let file = std::fs::metadata(dir.path().join("metrics.metadata")).unwrap().len();
    assert!(file <= METADATA_BYTES_MAX as u64 + 64, "{file}");
}

#[test]
fn damage_is_named_and_found_by_verify() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    engine.set_metadata(state(1)).unwrap();
    assert!(engine.verify().unwrap().damaged.is_empty());
    let path = dir.path().join("metrics.metadata");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damaged = engine.verify().unwrap().damaged;
    assert!(matches!(damaged.as_slice(), [Error::Metadata { .. }]), "{damaged:?}");
    engine.close().unwrap();
    let error = Engine::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("metrics.metadata: its checksum is wrong"), "{error}");
    let verified = tsdb_engine::blocking::verify(tsdb_engine::Engine::builder(dir.path())).unwrap();
    assert_eq!(verified.damaged.len(), 1);
}
