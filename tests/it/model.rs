//! The engine as a state machine against the oracle: random scripts of appends (in order, late, duplicate, replacing),
//! seals, conversions, compactions, deletes, expiry, restarts, crashes, and errors of the object store; after each step a
//! random query, bit for bit. In between queries and scans under limits, queries that are dropped half-way, and queries that
//! are held open while everything else goes on.
//!
//! `TSDB_MODEL_CASES` sets the number of cases; `cargo xtask soak` runs ten times as many.

mod held;

use std::sync::Arc;

use futures::TryStreamExt;
use proptest::prelude::*;
use proptest::sample::Index;
use tsdb_core::{Matcher, SampleValue, Series, TimeRange};
use tsdb_engine::{
    Engine, EngineBuilder, EngineOptions, Error, Query, QueryLimit, QueryOptions, ScanOptions,
};
use tsdb_testkit::strategies::{Script, matchers_for, script, time_range, timestamp};
use tsdb_testkit::{FaultyStore, Oracle, SimDisk, StoreFault, assert_series_eq};

use crate::ways::{assert_rows_eq, check_limits, rows, rows_of};
use held::Held;

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
    /// A query under limits on series and samples: what comes before the error is right.
    Limited(u64, u64),
    /// A query of which so many series are taken before it is dropped.
    Drop(usize),
    /// A scan, in batches of so many rows.
    Scan(usize),
    /// A query that is begun, with its first series taken or not, and ended at a later one of these steps or at the end.
    Hold(bool),
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
        1 => (0..6_u64, 0..60_u64).prop_map(|(series, samples)| Step::Limited(series, samples)),
        1 => (0..4_usize).prop_map(Step::Drop),
        1 => (1..40_usize).prop_map(Step::Scan),
        2 => any::<bool>().prop_map(Step::Hold),
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
    async fn open(&self) -> Engine {
        retry(async || self.builder().open().await).await
    }

    fn builder(&self) -> EngineBuilder {
        let mut options = EngineOptions::default();
        options.background.interval = None;
        options.lifecycle.orphan_grace_ms = 0;
        options.lifecycle.retention_ms = Some(RETENTION_MS);
        options.cold.compaction.files_min = 2;
        let builder = Engine::builder(DIR).vfs(self.disk.vfs()).options(options);
        match self.remote {
            true => builder.cold_store(Arc::new(self.store.clone())),
            false => builder,
        }
    }
}

/// Takes a step until it succeeds. Only what the store does wrong may make it fail.
async fn retry<T>(mut step: impl AsyncFnMut() -> Result<T, Error>) -> T {
    for _ in 0..TRIES {
        match step().await {
            Ok(done) => return done,
            Err(error) if is_the_stores(&error) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("still failing after {TRIES} tries");
}

/// Whether an error is one that was injected. An object that is not there is none: nobody may remove what is still read.
fn is_the_stores(error: &Error) -> bool {
    match error {
        Error::Cold(error @ (tsdb_cold::Error::Store(_) | tsdb_cold::Error::File { .. })) => {
            error.missing_object().is_none()
        }
        _ => false,
    }
}

async fn select(engine: &Engine, matchers: &[Matcher], range: TimeRange) -> Vec<Series> {
    retry(async || engine.select(matchers, range).try_collect().await).await
}

/// All series of a query until it ends, and the limit if that ended it.
async fn drain(mut query: Query) -> Result<(Vec<Series>, Option<QueryLimit>), Error> {
    let mut found = Vec::new();
    loop {
        match query.try_next().await {
            Ok(Some(series)) => found.push(series),
            Ok(None) => return Ok((found, None)),
            Err(Error::LimitExceeded { limit }) => return Ok((found, Some(limit))),
            Err(error) => return Err(error),
        }
    }
}

/// The store under test, and what it should hold.
struct Machine<'a> {
    case: &'a Case,
    home: Home,
    engine: Engine,
    oracle: Oracle,
    held: Vec<Held>,
    /// What is yet to be appended, the next one last.
    left: Vec<(&'a tsdb_core::Labels, i64, &'a SampleValue)>,
}

impl Machine<'_> {
    async fn take(mut self, step: &Step) -> Self {
        let (case, engine) = (self.case, &self.engine);
        match step {
            Step::Append(share) => self.append(*share),
            Step::Seal => drop(engine.seal().await.unwrap()),
            Step::Flush => drop(retry(async || engine.flush().await).await),
            Step::ConvertDue(now_ms) => drop(retry(async || engine.convert_due(*now_ms).await).await),
            Step::Compact => drop(retry(async || engine.compact().await).await),
            Step::Delete(range) => {
                retry(async || engine.delete(&case.matchers, *range).await).await;
                self.oracle.delete(&case.matchers, *range);
            }
            Step::Expire(now_ms) => {
                engine.seal().await.unwrap();
                self.expire(*now_ms).await;
            }
            Step::Maintain(now_ms) => {
                // What expires hangs on what the steps before it leave: they are taken before it is asked. The newest sample
                // may be a deleted one, which goes with a conversion or a compaction; afterwards less is too old.
                engine.seal().await.unwrap();
                retry(async || engine.convert_due(*now_ms).await).await;
                self.expire(*now_ms).await;
                let engine = &self.engine;
                retry(async || engine.maintain(*now_ms).await).await;
            }
            Step::Restart => {
                self.held.clear();
                self.engine.close().await.unwrap();
                self.engine = self.home.open().await;
            }
            Step::Crash(seed) => {
                self.held.clear();
                let crashed = self.home.disk.crash(*seed);
                drop(self.engine);
                self.home.disk = crashed;
                self.engine = self.home.open().await;
            }
            Step::Beside => {
                let operations = self.home.disk.operations();
                let reader = retry(async || self.home.builder().open_read_only().await).await;
                let found = select(&reader, &[], TimeRange::ALL).await;
                assert_series_eq(&found, &self.oracle.all());
                drop(reader);
                assert_eq!(self.home.disk.operations(), operations, "a reader has changed the disk");
            }
            Step::StoreFault(after, fault) => {
                self.home.store.heal();
                self.home.store.fail_at(self.home.store.operations() + after, *fault);
            }
            Step::Limited(series_max, samples_max) => self.limited(*series_max, *samples_max).await,
            Step::Drop(series) => {
                let mut query = engine.query(&case.matchers, case.range, &QueryOptions::default());
                for _ in 0..*series {
                    if !matches!(query.try_next().await, Ok(Some(_))) {
                        break;
                    }
                }
            }
            Step::Scan(batch_rows) => self.scan(*batch_rows).await,
            Step::Hold(take_first) => {
                let query = engine.query(&case.matchers, case.range, &QueryOptions::default());
                let at_begin = rows(&self.oracle.select(&case.matchers, case.range));
                // One that was begun before ends first.
                let held = Held::begin(query, at_begin, *take_first).await;
                for held in std::mem::replace(&mut self.held, Vec::from_iter(held)) {
                    held.end().await;
                }
            }
        }
        self
    }

    fn append(&mut self, share: Index) {
        let mut batch = self.engine.appender();
        for _ in 0..=share.index(self.left.len() + 1) {
            let Some((labels, timestamp_ms, value)) = self.left.pop() else { break };
            batch.append_value(labels, timestamp_ms, value.clone()).unwrap();
            self.oracle.append(labels, timestamp_ms, value.clone());
            self.held.iter_mut().for_each(|held| held.appended(labels, timestamp_ms, value));
        }
        batch.commit().unwrap();
    }

    async fn expire(&mut self, now_ms: i64) {
        let (engine, cutoff_ms) = (&self.engine, cutoff(&self.engine, now_ms));
        retry(async || engine.expire(now_ms).await).await;
        self.oracle.delete(&[], TimeRange::new(i64::MIN, cutoff_ms - 1));
    }

    async fn limited(&self, series_max: u64, samples_max: u64) {
        let Case { matchers, range, .. } = self.case;
        let mut options = QueryOptions::default();
        (options.limits.series_max, options.limits.samples_max) = (Some(series_max), Some(samples_max));
        let answer = retry(async || drain(self.engine.query(matchers, *range, &options)).await).await;
        check_limits(answer, &self.oracle.select(matchers, *range), series_max, samples_max);
    }

    async fn scan(&self, batch_rows: usize) {
        let Case { matchers, range, .. } = self.case;
        let mut options = ScanOptions::default();
        options.batch_rows = batch_rows;
        let scan = async || {
            let scan = self.engine.scan(matchers, *range, &options).await?;
            scan.try_collect::<Vec<_>>().await
        };
        let batches = retry(scan).await;
        assert_rows_eq(&rows_of(&batches), &rows(&self.oracle.select(matchers, *range)));
    }

    async fn check(&self) {
        let Case { matchers, range, .. } = self.case;
        let found = select(&self.engine, matchers, *range).await;
        assert_series_eq(&found, &self.oracle.select(matchers, *range));
    }

    async fn end(mut self) {
        let Case { matchers, range, .. } = self.case;
        let (engine, oracle) = (&self.engine, &self.oracle);
        self.home.store.heal();
        assert_series_eq(&select(engine, &[], TimeRange::ALL).await, &oracle.all());
        engine.flush().await.unwrap();
        assert_series_eq(&select(engine, &[], TimeRange::ALL).await, &oracle.all());
        assert_eq!(engine.count_series().await.unwrap(), oracle.series_count());
        engine.compact().await.unwrap();
        assert_series_eq(&select(engine, &[], TimeRange::ALL).await, &oracle.all());
        for held in std::mem::take(&mut self.held) {
            held.end().await;
        }
        engine.compact().await.unwrap();
        assert_eq!(engine.stats().cold.samples, oracle.sample_count(), "nothing replaced or deleted is left");
        assert_eq!(engine.stats().cold.tombstones, 0);
        let names = oracle.label_names(matchers, *range);
        assert_eq!(engine.label_names(matchers, *range).await.unwrap(), names);
    }
}

async fn run(case: &Case) {
    let home = Home { disk: SimDisk::new(), store: FaultyStore::new(), remote: case.remote };
    let engine = home.open().await;
    let left = case.script.iter().collect::<Vec<_>>().into_iter().rev().collect();
    let mut machine = Machine { case, home, engine, oracle: Oracle::new(), held: Vec::new(), left };
    for step in &case.steps {
        machine = machine.take(step).await;
        machine.check().await;
    }
    machine.end().await;
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
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(&case));
    }
}
