//! A store of 10,000 cold files: opening it, for which no file is opened, and a value that only one of them has.

use std::fs;
use std::path::Path;
use std::time::Instant;

use tsdb_core::{Labels, MatchOp, Matcher, SampleBuffer, Series, TimeRange};
use tsdb_engine::blocking::{self, Engine};
use tsdb_engine::{Engine as AsyncEngine, EngineBuilder, EngineOptions, QueryOptions};
use tsdb_parquet_io::{ColdStorageWriter, ParquetConfig, ParquetWriter};
use tsdb_schema::SampleBatch;

use super::Result;
use crate::child::{Numbers, call, medians};
use crate::process::{forget_peak, resident};
use crate::report::{Figure, Options, Report};

/// The role of the child.
pub(super) const OPEN: &str = "open";
/// The same of the child that looks for a value.
pub(super) const ONE_VALUE: &str = "one-value";

const OPEN_MS: f64 = 200.0;
const OPEN_BYTES: f64 = 64.0 * (1 << 20) as f64;
/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;
const DAY_MS: i64 = 86_400_000;
/// Files of a day.
const EACH_DAY: usize = 25;
const PLACE: &str = "child process, 1 thread, wall time of Engine::open, catalog and directories in the page cache, real files";

const ONE_VALUE_PLACE: &str = "child process, 1 thread, wall time of one query over all days, files in the page cache, 64 MiB of cache; \
     cold: the process's first query, warm: its third";

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let files = options.pick(10_000, 50);
    let dir = tempfile::tempdir()?;
    write_files(dir.path(), files)?;
    drop(Engine::open_with(builder(&dir.path().join("store")))?);
    let place = dir.path().join("store");
    fs::rename(dir.path().join("data"), place.join("cold/data"))?;
    let rebuilding = Instant::now();
    let rebuilt = blocking::rebuild_catalog(builder(&place))?;
    let rebuild_s = rebuilding.elapsed().as_secs_f64();
    assert_eq!(rebuilt.files, files as u64, "invariant: every file is listed");

    let rounds =
        (0..options.rounds()).map(|_| call(OPEN, &place, files as u64)).collect::<Result<Vec<_>>>()?;
    let numbers = medians(&rounds);
    let mut add = |figure, unit, value, baseline| {
        report.add(&Figure { case: "open/10k cold files", figure, unit, value, baseline, place: PLACE })
    };
    add("wall", "ms", numbers["open_ms"], Some(("the bar", OPEN_MS)))?;
    if let Some(&peak) = numbers.get("peak") {
        add("memory above", "B", peak, Some(("the bar", OPEN_BYTES)))?;
    }
    add("catalog rebuild", "s", rebuild_s, None)?;
    add("query of a day", "ms", numbers["query_ms"], None)?;

    let rounds =
        (0..options.rounds()).map(|_| call(ONE_VALUE, &place, files as u64)).collect::<Result<Vec<_>>>()?;
    let numbers = medians(&rounds);
    for state in ["cold", "warm"] {
        let without = numbers[&format!("{state}_without_ms")];
        report.add(&Figure {
            case: "one value/10k cold files",
            figure: state,
            unit: "ms",
            value: numbers[&format!("{state}_ms")],
            baseline: Some(("a pattern, which no bloom answers", without)),
            place: ONE_VALUE_PLACE,
        })?;
    }
    Ok(())
}

/// The child that asks for a value of one file, as an equality, which label blooms answer, or as a pattern that means the same
/// and that they do not.
pub(super) fn one_value_child(dir: &Path, files: u64) -> Result<Numbers> {
    let mut numbers = Numbers::new();
    let host = |n: u64| format!("host-{n}");
    for (suffix, op, tail) in [("", MatchOp::Equal, ""), ("_without", MatchOp::Regex, "(x+)?")] {
        let engine = Engine::open_with(builder(dir))?;
        for (round, state) in ["cold", "second", "warm"].into_iter().enumerate() {
            let host = host(files / 2 + round as u64);
            let matcher = Matcher::new(op, "instance", &format!("{host}{tail}"))?;
            let started = Instant::now();
            let mut query = engine.query(&[matcher], TimeRange::ALL, &QueryOptions::default())?;
            let found = query.by_ref().collect::<Result<Vec<_>, _>>()?;
            numbers.insert(format!("{state}{suffix}_ms"), started.elapsed().as_secs_f64() * 1e3);
            assert_eq!(found.len(), 1, "invariant: one file has it");
            let opened = query.statistics().cold.files_opened;
            assert_eq!(opened == files, op == MatchOp::Regex, "{opened} files opened");
        }
    }
    Ok(numbers)
}

/// The child that opens the store.
pub(super) fn open_child(dir: &Path, files: u64) -> Result<Numbers> {
    let mut numbers = Numbers::new();
    let before = resident().filter(|_| forget_peak());
    let started = Instant::now();
    let engine = Engine::open_with(builder(dir))?;
    numbers.insert("open_ms".into(), started.elapsed().as_secs_f64() * 1e3);
    if let (Some(before), Some(after)) = (before, resident()) {
        numbers.insert("peak".into(), after.peak.saturating_sub(before.now) as f64);
    }
    assert_eq!(engine.stats().cold.files, files, "invariant: every file is listed");
    let day = TimeRange::new(START_MS, START_MS + DAY_MS - 1);
    let started = Instant::now();
    let series = EACH_DAY.min(files as usize);
    assert_eq!(engine.select(&[], day)?.count(), series, "invariant: each file has one series");
    numbers.insert("query_ms".into(), started.elapsed().as_secs_f64() * 1e3);
    Ok(numbers)
}

fn builder(dir: &Path) -> EngineBuilder {
    let mut options = EngineOptions::default();
    options.background.interval = None;
    AsyncEngine::builder(dir).options(options)
}

/// Small files as conversions leave them, 25 a day, under `data/`; their metadata is what a rebuild of the catalog needs.
fn write_files(dir: &Path, files: usize) -> Result<()> {
    for n in 0..files {
        let (day, sequence) = ((n / EACH_DAY) as i64, (n % EACH_DAY) as i64 + 1);
        let start_ms = START_MS + day * DAY_MS;
        let mut samples = SampleBuffer::default();
        for at in 0..10 {
            samples.timestamps_ms.push(start_ms + sequence * 60_000 + at * 1_000);
            samples.values.push(at as f64);
        }
        let instance = format!("host-{n}");
        let labels = Labels::from_pairs([("__name__", "m"), ("instance", &*instance), ("job", "many")])?;
        let mut config = ParquetConfig::default();
        config.promoted_labels = vec!["__name__".into(), "instance".into(), "job".into()];
        config.label_names = Some(config.promoted_labels.clone());
        config.with_histograms = false;
        let pairs =
            [("min_sequence", sequence), ("max_sequence", sequence), ("level", 0), ("tombstones_below", 0)];
        config.key_values = pairs.map(|(key, value)| (format!("tsdb.{key}"), value.to_string())).into();
        let mut out = Vec::new();
        let mut writer = ParquetWriter::new(&mut out, config)?;
        writer.write_batch(&SampleBatch { series: vec![Series { labels, samples }] })?;
        writer.close()?;
        let partition = tsdb_cold::Partition::of(start_ms);
        let place = dir.join(format!("data/day={partition}"));
        fs::create_dir_all(&place)?;
        fs::write(place.join(format!("{n:026}.parquet")), &out)?;
    }
    Ok(())
}
