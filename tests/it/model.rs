//! The engine as a state machine against the oracle: random scripts of appends (in order, late, duplicate, replacing),
//! seals, conversions, compactions, deletes, expiry, restarts, crashes, and errors of the object store; after each step a
//! random query, bit for bit.
//!
//! `TSDB_MODEL_CASES` sets the number of cases; `cargo xtask soak` runs ten times as many.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use tsdb_core::{Matcher, Series, TimeRange};
use tsdb_engine::blocking::Engine;
use tsdb_engine::{Engine as AsyncEngine, EngineBuilder, EngineOptions, Error};
use tsdb_testkit::strategies::{Script, matchers_for, script, time_range, timestamp};
use tsdb_testkit::{FaultyStore, Oracle, SimDisk, StoreFault, assert_series_eq};

const DIR: &str = "/data";
const DAY_MS: i64 = 86_400_000;
const RETENTION_MS: i64 = 2 * DAY_MS;
const CASES: u32 = 1_000;
/// A step whose store fails is taken again; a fault strikes once, and at most two are armed.
const TRIES: usize = 6;

#[derive(Clone, Debug)]
enum Step {
    /// The next samples of the script, in one batch: a share of what is left.
    Append(Index),
    Seal,
    Flush,
    /// Converts the blocks that have ended by then.
    ConvertDue(i64),
    Compact,
    /// One round of the background worker, at a time.
    Maintain(i64),
    /// Deletes what the case's matchers select.
    Delete(TimeRange),
    Expire(i64),
    Restart,
    /// A restart after the power went away.
    Crash(u64),
    /// Someone opens the store to be read only, beside the writer.
    Beside,
    /// The object store fails at one of its next operations.
    StoreFault(u64, StoreFault),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use StoreFault::{DoneButFails, Fails, Slow};
    let fault = prop_oneof![Just(Fails), Just(DoneButFails), Just(Slow)];
    let step = prop_oneof![
        7 => any::<Index>().prop_map(Step::Append),
        2 => Just(Step::Seal),
        2 => Just(Step::Flush),
        1 => timestamp().prop_map(Step::ConvertDue),
        2 => Just(Step::Compact),
        1 => timestamp().prop_map(Step::Maintain),
        2 => time_range().prop_map(Step::Delete),
        1 => timestamp().prop_map(Step::Expire),
        1 => Just(Step::Restart),
        1 => Just(Step::Beside),
        1 => any::<u64>().prop_map(Step::Crash),
        2 => (0..12_u64, fault).prop_map(|(after, fault)| Step::StoreFault(after, fault)),
    ];
    proptest::collection::vec(step, 1..20)
}

#[derive(Clone, Debug)]
struct Case {
    script: Script,
    steps: Vec<Step>,
    matchers: Vec<Matcher>,
    range: TimeRange,
    /// The cold tier in an object store, not on the disk.
    remote: bool,
}

fn case() -> impl Strategy<Value = Case> {
    (script(1..6, 1..80), steps()).prop_flat_map(|(script, steps)| {
        let matchers = matchers_for(&script.series);
        (Just(script), Just(steps), matchers, time_range(), any::<bool>()).prop_map(
            |(script, steps, matchers, range, remote)| Case { script, steps, matchers, range, remote },
        )
    })
}

/// A disk, perhaps an object store, and the engine on them.
struct Home {
    disk: SimDisk,
    store: FaultyStore,
    remote: bool,
}

impl Home {
    fn open(&self) -> Engine {
        retry(|| Engine::open_with(self.builder()))
    }

    fn builder(&self) -> EngineBuilder {
        let mut options = EngineOptions::default();
        options.background.interval = None;
        options.lifecycle.orphan_grace_ms = 0;
        options.lifecycle.retention_ms = Some(RETENTION_MS);
        options.cold.compaction.files_min = 2;
        let builder = AsyncEngine::builder(DIR).vfs(self.disk.vfs()).options(options);
        match self.remote {
            true => builder.cold_store(Arc::new(self.store.clone())),
            false => builder,
        }
    }
}

/// Takes a step until it succeeds. Only what the store does wrong may make it fail.
fn retry<T>(mut step: impl FnMut() -> Result<T, Error>) -> T {
    for _ in 0..TRIES {
        match step() {
            Ok(done) => return done,
            Err(Error::Cold(tsdb_cold::Error::Store(_) | tsdb_cold::Error::File { .. })) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("still failing after {TRIES} tries");
}

fn select(engine: &Engine, matchers: &[Matcher], range: TimeRange) -> Vec<Series> {
    retry(|| engine.select(matchers, range)?.collect())
}

fn run(case: &Case) {
    let mut home = Home { disk: SimDisk::new(), store: FaultyStore::new(), remote: case.remote };
    let mut engine = home.open();
    let mut oracle = Oracle::new();
    let mut left: Vec<_> = case.script.iter().collect();
    left.reverse();
    for step in &case.steps {
        match step {
            Step::Append(share) => {
                let mut batch = engine.appender();
                for _ in 0..=share.index(left.len() + 1) {
                    let Some((labels, timestamp_ms, value)) = left.pop() else { break };
                    batch.append_value(labels, timestamp_ms, value.clone()).unwrap();
                    oracle.append(labels, timestamp_ms, value.clone());
                }
                batch.commit().unwrap();
            }
            Step::Seal => drop(engine.seal().unwrap()),
            Step::Flush => drop(retry(|| engine.flush())),
            Step::ConvertDue(now_ms) => drop(retry(|| engine.convert_due(*now_ms))),
            Step::Compact => drop(retry(|| engine.compact())),
            Step::Delete(range) => {
                retry(|| engine.delete(&case.matchers, *range));
                oracle.delete(&case.matchers, *range);
            }
            Step::Expire(now_ms) => {
                engine.seal().unwrap();
                let cutoff_ms = cutoff(&engine, *now_ms);
                retry(|| engine.expire(*now_ms));
                oracle.delete(&[], TimeRange::new(i64::MIN, cutoff_ms - 1));
            }
            Step::Maintain(now_ms) => {
                // What expires hangs on what the steps before it leave: they are taken before it is asked. The newest sample
                // may be a deleted one, which goes with a conversion or a compaction; afterwards less is too old.
                engine.seal().unwrap();
                retry(|| engine.convert_due(*now_ms));
                let cutoff_ms = cutoff(&engine, *now_ms);
                retry(|| engine.expire(*now_ms));
                oracle.delete(&[], TimeRange::new(i64::MIN, cutoff_ms - 1));
                retry(|| engine.maintain(*now_ms));
            }
            Step::Restart => {
                engine.close().unwrap();
                engine = home.open();
            }
            Step::Crash(seed) => {
                let crashed = home.disk.crash(*seed);
                drop(engine);
                home.disk = crashed;
                engine = home.open();
            }
            Step::Beside => {
                let operations = home.disk.operations();
                let reader = retry(|| Engine::open_read_only_with(home.builder()));
                assert_series_eq(&select(&reader, &[], TimeRange::ALL), &oracle.all());
                drop(reader);
                assert_eq!(home.disk.operations(), operations, "a reader has changed the disk");
            }
            Step::StoreFault(after, fault) => {
                home.store.heal();
                home.store.fail_at(home.store.operations() + after, *fault);
            }
        }
        assert_series_eq(
            &select(&engine, &case.matchers, case.range),
            &oracle.select(&case.matchers, case.range),
        );
    }
    home.store.heal();
    assert_series_eq(&select(&engine, &[], TimeRange::ALL), &oracle.all());
    engine.flush().unwrap();
    assert_series_eq(&select(&engine, &[], TimeRange::ALL), &oracle.all());
    assert_eq!(engine.count_series().unwrap(), oracle.series_count());
    engine.compact().unwrap();
    assert_series_eq(&select(&engine, &[], TimeRange::ALL), &oracle.all());
    assert_eq!(engine.stats().cold.samples, oracle.sample_count(), "nothing replaced or deleted is left");
    assert_eq!(engine.stats().cold.tombstones, 0);
    let names = oracle.label_names(&case.matchers, case.range);
    assert_eq!(engine.label_names(&case.matchers, case.range).unwrap(), names);
}

/// Where expiry cuts. The newest sample counts although it may be deleted, as long as it is in some file.
fn cutoff(engine: &Engine, now_ms: i64) -> i64 {
    let range = engine.stats().time_range;
    if range.is_empty() {
        return i64::MIN + 1;
    }
    (range.end_ms.min(now_ms) - RETENTION_MS).div_euclid(DAY_MS) * DAY_MS
}

fn config() -> ProptestConfig {
    let cases = std::env::var("TSDB_MODEL_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(cases.unwrap_or(CASES))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_answer_is_the_oracles(case in case()) {
        run(&case);
    }
}
