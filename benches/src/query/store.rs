//! Stores to ask, and one way to ask them.

use std::path::Path;

use tsdb_core::{Labels, MatchOp, Matcher, SampleValue, TimeRange};
use tsdb_engine::blocking::Engine;
use tsdb_engine::{Engine as AsyncEngine, EngineBuilder, EngineOptions, WalSync};
use tsdb_workload::Mixed;

use super::Result;
use crate::requests::{self, SAMPLES};

/// Samples of a batch, about.
const BATCH: usize = 5_000;

/// Opens a store that does nothing by itself.
pub(super) fn open(dir: &Path) -> Result<Engine> {
    open_with_threads(dir, None)
}

/// As [`open`], with so many threads for reading, or as many as the engine takes by itself.
pub(super) fn open_with_threads(dir: &Path, threads: Option<usize>) -> Result<Engine> {
    Ok(Engine::open_with(builder(dir, threads))?)
}

fn builder(dir: &Path, threads: Option<usize>) -> EngineBuilder {
    let mut options = EngineOptions::default();
    options.read_threads = threads.unwrap_or(options.read_threads);
    options.background.interval = None;
    // What making the data takes is none of what is measured.
    options.hot.wal_sync = WalSync::Os;
    AsyncEngine::builder(dir).options(options)
}

/// A store of a series for each of `count` requests, in the order in which they come, all of it in Parquet.
pub(super) fn requests(dir: &Path, count: u64) -> Result<()> {
    let engine = open(dir)?;
    let mut filler = Filler::new(&engine);
    for (series, sample) in requests::arrivals(count) {
        let (timestamp_ms, value) = requests::samples(series, count)[sample];
        filler.add(&requests::labels(series), timestamp_ms, value)?;
    }
    filler.commit()?;
    engine.flush()?;
    assert_eq!(engine.stats().cold.samples, count * SAMPLES, "invariant: all is in Parquet");
    Ok(engine.close()?)
}

/// Where the samples of a mixed store lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    Blocks,
    Parquet,
}

/// A store of the mixed workload.
pub(super) fn mixed(dir: &Path, series: usize, scrapes: usize, tier: Tier) -> Result<()> {
    let workload = Mixed::new(series, scrapes).generate();
    let engine = open(dir)?;
    let mut filler = Filler::new(&engine);
    for n in 0..workload.len() {
        for (timestamp_ms, value) in workload.timestamps(n).iter().zip(workload.values(n)) {
            filler.add(workload.labels(n), *timestamp_ms, *value)?;
        }
    }
    filler.commit()?;
    match tier {
        Tier::Blocks => _ = engine.seal()?,
        Tier::Parquet => _ = engine.flush()?,
    }
    Ok(engine.close()?)
}

/// Appends batch after batch.
struct Filler<'a> {
    engine: &'a Engine,
    batch: tsdb_engine::Appender<'a>,
    rows: usize,
    last: Option<(Labels, tsdb_engine::SeriesRef)>,
}

impl<'a> Filler<'a> {
    fn new(engine: &'a Engine) -> Self {
        Self { engine, batch: engine.appender(), rows: 0, last: None }
    }

    fn add(&mut self, labels: &Labels, timestamp_ms: i64, value: f64) -> Result<()> {
        let known = self.last.as_ref().filter(|(last, series)| last == labels && self.batch.knows(*series));
        match known.map(|(_, series)| *series) {
            Some(series) => self.batch.append_ref(series, timestamp_ms, SampleValue::Float(value))?,
            None => self.last = Some((labels.clone(), self.batch.append(labels, timestamp_ms, value)?)),
        }
        self.rows += 1;
        if self.rows == BATCH {
            self.rows = 0;
            std::mem::replace(&mut self.batch, self.engine.appender()).commit()?;
        }
        Ok(())
    }

    fn commit(self) -> Result<()> {
        self.batch.commit()?;
        Ok(())
    }
}

/// Asks for series at all times and takes every sample. Gives the number of series and samples.
pub(super) fn ask(engine: &Engine, matchers: &[Matcher]) -> Result<(usize, usize)> {
    let (mut series, mut samples) = (0, 0);
    for one in engine.select(matchers, TimeRange::ALL)? {
        series += 1;
        samples += one?.samples.len();
    }
    Ok((series, samples))
}

/// A pattern for the whole value of a label.
pub(super) fn regex(name: &str, pattern: &str) -> Matcher {
    Matcher::new(MatchOp::Regex, name, pattern).expect("invariant: a pattern that is known to be sound")
}
