//! One history of a store, laid out over the tiers in several ways, and every kind of query asked of each.
//!
//! A new kind of query is one more line in [`check_every_query`].

use std::collections::BTreeSet;

use tsdb_core::{Labels, Matcher, SampleValue, Series, TimeRange};
use tsdb_engine::arrow::array::RecordBatch;
use tsdb_engine::blocking::Engine;
use tsdb_engine::{
    Engine as AsyncEngine, EngineBuilder, EngineOptions, Error, LabelProjection, LookupOptions, QueryLimit,
    QueryLimits, QueryOptions, ScanOptions,
};
use tsdb_schema::SchemaMapper;
use tsdb_testkit::{Oracle, SimDisk, assert_series_eq};

use crate::aggregate::check_aggregations;

/// What happens to a store, in the order in which it does.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Append(Labels, i64, SampleValue),
    Delete(Vec<Matcher>, TimeRange),
}

/// Where the samples of a history come to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// All in the head.
    Hot,
    /// All in blocks.
    Blocks,
    /// All in cold files, one a day.
    Cold,
    /// All in cold files, several a day.
    ManyFiles,
    /// All in cold files that were several a day.
    Compacted,
    /// What came first in cold files, the rest in the head: most series have samples in both.
    Split,
    /// In turns in cold files, in blocks and in the head.
    Interleaved,
}

impl Way {
    pub(crate) const ALL: [Self; 7] = [
        Self::Hot,
        Self::Blocks,
        Self::Cold,
        Self::ManyFiles,
        Self::Compacted,
        Self::Split,
        Self::Interleaved,
    ];

    /// A store of its own with this history.
    pub(crate) fn store(self, history: &[Event]) -> Engine {
        self.fill(Engine::open_with(builder(&SimDisk::new())).unwrap(), history)
    }

    /// `engine`, which is new, with this history.
    pub(crate) fn fill(self, engine: Engine, history: &[Event]) -> Engine {
        for (at, event) in history.iter().enumerate() {
            match event {
                Event::Append(labels, timestamp_ms, value) => {
                    let mut batch = engine.appender();
                    batch.append_value(labels, *timestamp_ms, value.clone()).unwrap();
                    batch.commit().unwrap();
                }
                Event::Delete(matchers, range) => engine.delete(matchers, *range).unwrap(),
            }
            self.lay_out(&engine, at + 1, history.len());
        }
        if self == Self::Compacted {
            engine.compact().unwrap();
        }
        engine
    }

    /// Moves what is there after `done` of `all` events.
    fn lay_out(self, engine: &Engine, done: usize, all: usize) {
        let is_end_of_part = |parts: usize| done * parts / all != (done - 1) * parts / all;
        match self {
            Self::Hot => {}
            Self::Blocks if done == all => drop(engine.seal().unwrap()),
            Self::Cold if done == all => drop(engine.flush().unwrap()),
            Self::ManyFiles | Self::Compacted if is_end_of_part(4) => drop(engine.flush().unwrap()),
            Self::Split if is_end_of_part(2) && done < all => drop(engine.flush().unwrap()),
            Self::Interleaved if is_end_of_part(6) && done < all => match done * 6 / all % 2 {
                0 => drop(engine.flush().unwrap()),
                _ => drop(engine.seal().unwrap()),
            },
            _ => {}
        }
    }
}

pub(crate) fn builder(disk: &SimDisk) -> EngineBuilder {
    let mut options = EngineOptions::default();
    options.background.interval = None;
    AsyncEngine::builder("/data").vfs(disk.vfs()).options(options)
}

/// The oracle of a history.
pub(crate) fn oracle(history: &[Event]) -> Oracle {
    let mut oracle = Oracle::new();
    for event in history {
        match event {
            Event::Append(labels, timestamp_ms, value) => oracle.append(labels, *timestamp_ms, value.clone()),
            Event::Delete(matchers, range) => drop(oracle.delete(matchers, *range)),
        }
    }
    oracle
}

/// Every kind of query, each answer bit for bit the oracle's.
pub(crate) fn check_every_query(engine: &Engine, oracle: &Oracle, matchers: &[Matcher], range: TimeRange) {
    let expected = oracle.select(matchers, range);
    let found: Vec<Series> = engine.select(matchers, range).unwrap().map(Result::unwrap).collect();
    assert_series_eq(&found, &expected);
    check_lookups(engine, oracle, matchers, range);
    check_scans(engine, oracle, matchers, range);
    check_aggregations(engine, &expected, matchers, range);
}

fn check_lookups(engine: &Engine, oracle: &Oracle, matchers: &[Matcher], range: TimeRange) {
    let expected: Vec<Labels> = oracle.select(matchers, range).into_iter().map(|s| s.labels).collect();
    assert_eq!(engine.series(matchers, range).unwrap(), expected);
    let names = oracle.label_names(matchers, range);
    assert_eq!(engine.label_names(matchers, range).unwrap(), names);
    for name in names.iter().map(String::as_str).chain(["no such label"]) {
        let values = oracle.label_values(name, matchers, range);
        assert_eq!(engine.label_values(name, matchers, range).unwrap(), values, "{name}");
    }
    let mut first_two = LookupOptions::default();
    first_two.first = Some(2);
    let found = engine.series_within(matchers, range, &first_two).unwrap();
    assert_eq!(found.found, expected.iter().take(2).cloned().collect::<Vec<_>>());
    assert_eq!(found.is_all, expected.len() <= 2);
    let found = engine.label_names_within(matchers, range, &first_two).unwrap();
    assert_eq!(found.found, names.iter().take(2).cloned().collect::<Vec<_>>());
    assert_eq!(found.is_all, names.len() <= 2);
}

/// A row of a scan, or of what it should give.
pub(crate) type Row = (Labels, i64, SampleValue);

fn check_scans(engine: &Engine, oracle: &Oracle, matchers: &[Matcher], range: TimeRange) {
    let expected = oracle.select(matchers, range);
    let names = oracle.label_names(matchers, range);
    // Every other label, and one that no series has.
    let some: Vec<String> = names.iter().step_by(2).cloned().chain(["no such label".to_owned()]).collect();
    let projections = [
        LabelProjection::All,
        LabelProjection::ColumnsAndMap(some.clone()),
        LabelProjection::ColumnsAndMap(Vec::new()),
        LabelProjection::Columns(some.clone()),
    ];
    for (projection, batch_rows) in projections.into_iter().zip([7, 100, 8192, 3]) {
        let mut options = ScanOptions::default();
        (options.labels, options.batch_rows) = (projection, batch_rows);
        options.histograms = batch_rows != 3;
        let mut scan = engine.scan(matchers, range, &options).unwrap();
        let schema = scan.schema();
        let batches: Vec<RecordBatch> = scan.by_ref().map(Result::unwrap).collect();
        let (last, full) = batches.split_last().map_or((None, &[][..]), |(last, full)| (Some(last), full));
        assert!(full.iter().all(|batch| batch.num_rows() == batch_rows), "full batches but for the last");
        assert!(last.is_none_or(|batch| (1..=batch_rows).contains(&batch.num_rows())));
        let mapper = SchemaMapper::from_schema(&schema).unwrap();
        let columns: Vec<String> = mapper.label_columns().iter().map(|c| c.label.clone()).collect();
        let kept = match &options.labels {
            LabelProjection::All => names.clone(),
            LabelProjection::ColumnsAndMap(names) | LabelProjection::Columns(names) => {
                BTreeSet::from_iter(names.clone()).into_iter().collect()
            }
            other => panic!("{other:?} has no check"),
        };
        assert_eq!(columns, kept);
        assert_eq!(mapper.has_histograms(), options.histograms);
        let is_projected = matches!(options.labels, LabelProjection::Columns(_));
        let mut expected = rows(&expected);
        expected.retain(|(.., value)| options.histograms || matches!(value, SampleValue::Float(_)));
        if is_projected {
            for (labels, ..) in &mut expected {
                *labels =
                    Labels::from_pairs(labels.iter().filter(|(name, _)| some.iter().any(|s| s == name)))
                        .unwrap();
            }
        }
        assert!(batches.iter().all(|batch| batch.schema() == schema));
        assert_rows_eq(&rows_of(&batches), &expected);
        assert_eq!(scan.statistics().series, oracle.select(matchers, range).len() as u64);
    }
}

/// The samples of `series`, one after the other.
pub(crate) fn rows(series: &[Series]) -> Vec<Row> {
    let rows = |series: &Series| {
        let labels = series.labels.clone();
        series.samples.iter().map(move |(ms, value)| (labels.clone(), ms, value)).collect::<Vec<_>>()
    };
    series.iter().flat_map(rows).collect()
}

/// The rows of record batches.
pub(crate) fn rows_of(batches: &[RecordBatch]) -> Vec<Row> {
    let of_batch = |batch: &RecordBatch| {
        let mapper = SchemaMapper::from_schema(&batch.schema()).unwrap();
        rows(&mapper.record_batch_to_sample_batch(batch).unwrap().series)
    };
    batches.iter().flat_map(of_batch).collect()
}

/// Compares row by row, bit for bit.
pub(crate) fn assert_rows_eq(found: &[Row], expected: &[Row]) {
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let same = (&found.0, found.1) == (&expected.0, expected.1) && found.2.bits_eq(&expected.2);
        assert!(same, "row {at}: found {found:?}, expected {expected:?}");
    }
    assert_eq!(found.len(), expected.len(), "number of rows");
}

/// The answer of a select under limits, and the limit that ended it: what came before the error is right, and the error comes
/// where it must.
pub(crate) fn check_limits(
    (found, stopped): (Vec<Series>, Option<QueryLimit>),
    expected: &[Series],
    series_max: u64,
    samples_max: u64,
) {
    let (kept, limit) = within(expected, series_max, samples_max);
    assert_series_eq(&found, &expected[..kept]);
    assert_eq!(stopped, limit);
}

/// A select under limits.
pub(crate) fn check_select_limits(
    engine: &Engine,
    matchers: &[Matcher],
    range: TimeRange,
    expected: &[Series],
    (series_max, samples_max): (u64, u64),
) {
    let mut options = QueryOptions::default();
    options.limits = limits(series_max, samples_max);
    let (mut found, mut stopped) = (Vec::new(), None);
    for series in engine.query(matchers, range, &options).unwrap() {
        match series {
            Ok(series) => found.push(series),
            Err(Error::LimitExceeded { limit }) => stopped = Some(limit),
            Err(error) => panic!("{error}"),
        }
    }
    check_limits((found, stopped), expected, series_max, samples_max);
}

/// A scan under limits.
pub(crate) fn check_scan_limits(
    engine: &Engine,
    matchers: &[Matcher],
    range: TimeRange,
    expected: &[Series],
    (series_max, samples_max): (u64, u64),
) {
    let mut options = ScanOptions::default();
    (options.limits, options.batch_rows) = (limits(series_max, samples_max), 50);
    let (kept, limit) = within(expected, series_max, samples_max);
    let (mut batches, mut stopped) = (Vec::new(), None);
    for batch in engine.scan(matchers, range, &options).unwrap() {
        match batch {
            Ok(batch) => batches.push(batch),
            Err(Error::LimitExceeded { limit }) => stopped = Some(limit),
            Err(error) => panic!("{error}"),
        }
    }
    assert_rows_eq(&rows_of(&batches), &rows(&expected[..kept]));
    assert_eq!(stopped, limit);
}

fn limits(series_max: u64, samples_max: u64) -> QueryLimits {
    let mut limits = QueryLimits::default();
    (limits.series_max, limits.samples_max) = (Some(series_max), Some(samples_max));
    limits
}

/// How many of the series of an answer lie within limits, and the limit that the next one goes beyond.
fn within(answer: &[Series], series_max: u64, samples_max: u64) -> (usize, Option<QueryLimit>) {
    let mut samples = 0;
    for (at, series) in answer.iter().enumerate() {
        samples += series.samples.len() as u64;
        if at as u64 == series_max {
            return (at, Some(QueryLimit::Series(series_max)));
        }
        if samples > samples_max {
            return (at, Some(QueryLimit::Samples(samples_max)));
        }
    }
    (answer.len(), None)
}
