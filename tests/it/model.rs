//! The engine against the oracle: random scripts of appends (in order, late, duplicate, replacing), seals,
//! flushes and restarts; after each step a random query, bit for bit.

use proptest::prelude::*;
use proptest::sample::Index;
use tsdb_core::{Matcher, Series, TimeRange};
use tsdb_engine::Engine as AsyncEngine;
use tsdb_engine::EngineOptions;
use tsdb_engine::blocking::Engine;
use tsdb_testkit::strategies::{Script, matchers_for, script, time_range};
use tsdb_testkit::{Oracle, SimDisk, assert_series_eq};

const DIR: &str = "/data";

#[derive(Clone, Debug)]
enum Step {
    /// The next samples of the script, in one batch: a share of what is left.
    Append(Index),
    Seal,
    Flush,
    Restart,
    /// A restart after the power went away.
    Crash(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => any::<Index>().prop_map(Step::Append),
        2 => Just(Step::Seal),
        2 => Just(Step::Flush),
        1 => Just(Step::Restart),
        1 => any::<u64>().prop_map(Step::Crash),
    ];
    proptest::collection::vec(step, 1..14)
}

fn case() -> impl Strategy<Value = (Script, Vec<Step>, Vec<Matcher>, TimeRange)> {
    (script(1..6, 1..80), steps()).prop_flat_map(|(script, steps)| {
        let matchers = matchers_for(&script.series);
        (Just(script), Just(steps), matchers, time_range())
    })
}

fn open(disk: &SimDisk) -> Engine {
    let mut options = EngineOptions::default();
    options.background.interval = None;
    Engine::open_with(AsyncEngine::builder(DIR).vfs(disk.vfs()).options(options)).unwrap()
}

fn select(engine: &Engine, matchers: &[Matcher], range: TimeRange) -> Vec<Series> {
    engine.select(matchers, range).unwrap().map(Result::unwrap).collect()
}

fn run(script: &Script, steps: &[Step], matchers: &[Matcher], range: TimeRange) {
    let mut disk = SimDisk::new();
    let mut engine = open(&disk);
    let mut oracle = Oracle::new();
    let mut left: Vec<_> = script.iter().collect();
    left.reverse();
    for step in steps {
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
            Step::Flush => drop(engine.flush().unwrap()),
            Step::Restart => {
                engine.close().unwrap();
                engine = open(&disk);
            }
            Step::Crash(seed) => {
                let crashed = disk.crash(*seed);
                drop(engine);
                disk = crashed;
                engine = open(&disk);
            }
        }
        assert_series_eq(&select(&engine, matchers, range), &oracle.select(matchers, range));
    }
    assert_series_eq(&select(&engine, &[], TimeRange::ALL), &oracle.all());
    engine.flush().unwrap();
    assert_series_eq(&select(&engine, &[], TimeRange::ALL), &oracle.all());
    assert_eq!(engine.count_series().unwrap(), oracle.series_count());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_answer_is_the_oracles((script, steps, matchers, range) in case()) {
        run(&script, &steps, &matchers, range);
    }
}
