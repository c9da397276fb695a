//! Aggregation inside the engine against a naive one over the oracle's answer: all samples in the head, all in Parquet, or
//! split; bit for bit.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use tsdb_core::{Labels, Matcher, SampleBuffer, SampleValue, Series, TimeRange, is_stale_nan};
use tsdb_engine::blocking::Engine;
use tsdb_engine::{
    AggregateFunction, Aggregation, Engine as AsyncEngine, EngineOptions, Error, Grouping, QueryLimit,
    QueryOptions,
};
use tsdb_testkit::strategies::{Script, matchers_for, script, time_range};
use tsdb_testkit::{Oracle, SimDisk, assert_series_eq};
use tsdb_workload::Mixed;

const FUNCTIONS: [AggregateFunction; 7] = {
    use AggregateFunction::{Avg, Count, First, Last, Max, Min, Sum};
    [Count, Sum, Min, Max, Avg, First, Last]
};

/// What the documentation says, in the plainest words: all samples of a window in a list.
fn naive(selected: &[Series], range: TimeRange, aggregation: &Aggregation) -> Vec<Series> {
    type Pairs = Vec<(String, String)>;
    let mut groups: BTreeMap<Pairs, BTreeMap<i64, Vec<(i64, f64)>>> = BTreeMap::new();
    let mut first_ms = i64::MAX;
    for series in selected {
        let is_in_group = |name: &str| match &aggregation.grouping {
            Grouping::By(names) => names.iter().any(|n| n == name),
            Grouping::Without(names) => !names.iter().any(|n| n == name),
            _ => unreachable!(),
        };
        let pairs = series.labels.iter().filter(|(name, _)| is_in_group(name));
        let key: Pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for (at_ms, value) in series.samples.iter() {
            let value = match value {
                SampleValue::Float(value) if !is_stale_nan(value) => value,
                SampleValue::Histogram(histogram)
                    if aggregation.function == AggregateFunction::Count && !histogram.is_stale() =>
                {
                    0.0
                }
                _ => continue,
            };
            first_ms = first_ms.min(at_ms);
            let window = aggregation.step_ms.map_or(0, |step_ms| at_ms.div_euclid(step_ms) * step_ms);
            groups.entry(key.clone()).or_default().entry(window).or_default().push((at_ms, value));
        }
    }
    let only_ms = if range.start_ms >= tsdb_core::MIN_TIMESTAMP_MS { range.start_ms } else { first_ms };
    let series = |(pairs, windows): (Pairs, BTreeMap<i64, Vec<(i64, f64)>>)| {
        let mut samples = SampleBuffer::default();
        for (window, list) in windows {
            let at_ms = aggregation.step_ms.map_or(only_ms, |_| window);
            samples.push(at_ms, SampleValue::Float(naive_value(aggregation.function, &list)));
        }
        Series { labels: Labels::from_pairs(pairs).unwrap(), samples }
    };
    groups.into_iter().map(series).collect()
}

fn naive_value(function: AggregateFunction, list: &[(i64, f64)]) -> f64 {
    let values = || list.iter().map(|(_, value)| *value);
    let numbers = || values().filter(|value| !value.is_nan());
    match function {
        AggregateFunction::Count => list.len() as f64,
        AggregateFunction::Sum => neumaier(values()),
        AggregateFunction::Avg => neumaier(values()) / list.len() as f64,
        AggregateFunction::Min => numbers().reduce(|a, b| if b < a { b } else { a }).unwrap_or(f64::NAN),
        AggregateFunction::Max => numbers().reduce(|a, b| if b > a { b } else { a }).unwrap_or(f64::NAN),
        AggregateFunction::First => list.iter().min_by_key(|(at_ms, _)| *at_ms).unwrap().1,
        AggregateFunction::Last => list.iter().max_by_key(|(at_ms, _)| *at_ms).unwrap().1,
        _ => unreachable!(),
    }
}

/// As Neumaier wrote it.
fn neumaier(mut values: impl Iterator<Item = f64>) -> f64 {
    let mut sum = values.next().unwrap();
    let mut lost = 0.0;
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
    }
    match sum {
        _ if sum.is_nan() => f64::NAN,
        _ if sum.is_infinite() || lost == 0.0 || !lost.is_finite() => sum,
        _ => sum + lost,
    }
}

/// Every function, by the labels that the first series has and by others, over the answer of a select.
pub(crate) fn check_aggregations(
    engine: &Engine,
    selected: &[Series],
    matchers: &[Matcher],
    range: TimeRange,
) {
    let first: Vec<&str> =
        selected.first().into_iter().flat_map(|series| series.labels.iter()).map(|(name, _)| name).collect();
    for (at, function) in FUNCTIONS.into_iter().enumerate() {
        let aggregation = Aggregation::new(function);
        let aggregation = match at % 3 {
            0 => aggregation.by(first.iter().copied().take(2)).step_ms(60_000),
            1 => aggregation.without(first.iter().copied().take(1)).step_ms(7_200_000),
            _ => aggregation,
        };
        let expected = naive(selected, range, &aggregation);
        assert_series_eq(&aggregate(engine, matchers, range, &aggregation), &expected);
    }
}

fn aggregate(
    engine: &Engine,
    matchers: &[Matcher],
    range: TimeRange,
    aggregation: &Aggregation,
) -> Vec<Series> {
    let groups = engine.aggregate(matchers, range, aggregation, &QueryOptions::default()).unwrap();
    groups.map(Result::unwrap).collect()
}

fn open(disk: &SimDisk) -> Engine {
    let mut options = EngineOptions::default();
    options.background.interval = None;
    Engine::open_with(AsyncEngine::builder("/data").vfs(disk.vfs()).options(options)).unwrap()
}

fn append<'a>(engine: &Engine, samples: impl Iterator<Item = (&'a Labels, i64, &'a SampleValue)>) {
    let mut batch = engine.appender();
    for (labels, at_ms, value) in samples {
        batch.append_value(labels, at_ms, value.clone()).unwrap();
    }
    batch.commit().unwrap();
}

#[derive(Clone, Debug)]
struct Case {
    script: Script,
    matchers: Vec<Matcher>,
    range: TimeRange,
    labels: Vec<String>,
    is_by: bool,
    step_ms: Option<i64>,
    deleted: Option<TimeRange>,
}

fn case() -> impl Strategy<Value = Case> {
    script(1..12, 1..120).prop_flat_map(|script| {
        let names: Vec<String> = script
            .series
            .iter()
            .flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned()))
            .chain(["missing".to_owned()])
            .collect();
        let step_ms = select(&[1, 7, 1_000, 60_000, 86_400_000, 400 * 86_400_000][..]);
        (
            Just(script.clone()),
            matchers_for(&script.series),
            time_range(),
            proptest::collection::vec(select(names), 0..4),
            any::<bool>(),
            proptest::option::weighted(0.8, step_ms),
            proptest::option::of(time_range()),
        )
            .prop_map(|(script, matchers, range, labels, is_by, step_ms, deleted)| Case {
                script,
                matchers,
                range,
                labels,
                is_by,
                step_ms,
                deleted,
            })
    })
}

fn run(case: &Case) {
    let aggregation = |function| {
        let mut aggregation = Aggregation::new(function);
        aggregation.step_ms = case.step_ms;
        if case.is_by { aggregation.by(&case.labels) } else { aggregation.without(&case.labels) }
    };
    let mut oracle = Oracle::new();
    case.script.iter().for_each(|(labels, at_ms, value)| oracle.append(labels, at_ms, value.clone()));
    if let Some(range) = case.deleted {
        oracle.delete(&[], range);
    }
    let check = |engine: &Engine| {
        if let Some(range) = case.deleted {
            engine.delete(&[], range).unwrap();
        }
        for matchers in [&case.matchers[..], &[]] {
            for range in [case.range, TimeRange::ALL] {
                let selected = oracle.select(matchers, range);
                for function in FUNCTIONS {
                    let aggregation = aggregation(function);
                    let expected = naive(&selected, range, &aggregation);
                    assert_series_eq(&aggregate(engine, matchers, range, &aggregation), &expected);
                }
            }
        }
    };
    let samples: Vec<_> = case.script.iter().collect();

    let hot = open(&SimDisk::new());
    append(&hot, samples.iter().copied());
    check(&hot);

    let cold = open(&SimDisk::new());
    append(&cold, samples.iter().copied());
    cold.flush().unwrap();
    check(&cold);

    let split = open(&SimDisk::new());
    for (at, part) in samples.chunks(samples.len().div_ceil(3)).enumerate() {
        append(&split, part.iter().copied());
        match at {
            0 => drop(split.flush().unwrap()),
            1 => drop(split.seal().unwrap()),
            _ => {}
        }
    }
    check(&split);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_window_is_the_naive_one_wherever_the_samples_lie(case in case()) {
        run(&case);
    }
}

#[test]
fn the_mixed_workload_by_metric_and_minute_from_every_tier() {
    let workload = Mixed::new(400, 100).generate();
    let mut oracle = Oracle::new();
    let samples: Vec<_> = (0..workload.len())
        .flat_map(|i| {
            let samples = workload.timestamps(i).iter().zip(workload.values(i));
            samples.map(move |(at_ms, value)| (i, *at_ms, SampleValue::Float(*value)))
        })
        .collect();
    let engine = open(&SimDisk::new());
    let at = |(i, at_ms, value): &'_ (usize, i64, SampleValue)| (*i, *at_ms, value.clone());
    for half in 0..2 {
        let half: Vec<_> = samples.iter().skip(half).step_by(2).map(at).collect();
        append(&engine, half.iter().map(|(i, at_ms, value)| (workload.labels(*i), *at_ms, value)));
        half.iter().for_each(|(i, at_ms, value)| oracle.append(workload.labels(*i), *at_ms, value.clone()));
        engine.seal().unwrap();
    }
    let selected = oracle.all();
    let mut seen = Vec::new();
    for tier in ["blocks", "Parquet", "one Parquet file"] {
        match tier {
            "Parquet" => drop(engine.flush().unwrap()),
            "one Parquet file" => drop(engine.compact().unwrap()),
            _ => {}
        }
        for function in FUNCTIONS {
            let aggregation = Aggregation::new(function).by(["__name__"]).step_ms(60_000);
            let found = aggregate(&engine, &[], TimeRange::ALL, &aggregation);
            assert_series_eq(&found, &naive(&selected, TimeRange::ALL, &aggregation));
            seen.push(found.len());
        }
    }
    assert!(seen.iter().all(|&groups| groups > 1 && groups == seen[0]), "{seen:?}");
}

#[test]
fn an_aggregation_keeps_within_its_limits_and_says_what_it_took_in() {
    let engine = open(&SimDisk::new());
    let series = |i: i64| Labels::from_pairs([("__name__", "m"), ("i", &i.to_string())]).unwrap();
    let mut batch = engine.appender();
    for i in 0..5 {
        for at in 0..4 {
            batch.append(&series(i), at * 1_000, 1.0).unwrap();
        }
    }
    batch.commit().unwrap();
    engine.flush().unwrap();

    let limit = |set: fn(&mut QueryOptions), aggregation: &Aggregation| {
        let mut options = QueryOptions::default();
        set(&mut options);
        let groups = engine.aggregate(&[], TimeRange::ALL, aggregation, &options).unwrap();
        match groups.collect::<Result<Vec<_>, _>>() {
            Ok(_) => None,
            Err(Error::LimitExceeded { limit }) => Some(limit),
            Err(error) => panic!("{error}"),
        }
    };
    let by_series = Aggregation::new(AggregateFunction::Sum).by(["i"]).step_ms(1_000);
    assert_eq!(limit(|o| o.limits.windows_max = Some(20), &by_series), None);
    assert_eq!(limit(|o| o.limits.windows_max = Some(19), &by_series), Some(QueryLimit::Windows(19)));
    let all = Aggregation::new(AggregateFunction::Sum);
    assert_eq!(limit(|o| o.limits.windows_max = Some(1), &all), None);
    // These are of what is taken in, not of what it comes to.
    assert_eq!(limit(|o| o.limits.series_max = Some(5), &all), None);
    assert_eq!(limit(|o| o.limits.series_max = Some(4), &all), Some(QueryLimit::Series(4)));
    assert_eq!(limit(|o| o.limits.samples_max = Some(19), &all), Some(QueryLimit::Samples(19)));
    let no_time = |o: &mut QueryOptions| o.limits.time_max = Some(Duration::ZERO);
    assert_eq!(limit(no_time, &all), Some(QueryLimit::Time(Duration::ZERO)));

    let options = QueryOptions::default();
    let mut groups = engine.aggregate(&[], TimeRange::ALL, &by_series, &options).unwrap();
    assert_eq!(groups.by_ref().map(Result::unwrap).count(), 5);
    let found = groups.statistics();
    assert_eq!((found.series, found.samples), (5, 20));
    assert_eq!((found.aggregated.groups, found.aggregated.windows), (5, 20));
    assert!(found.stages.total >= found.stages.cold + found.stages.aggregate, "{found:?}");

    let mut no_step = engine.aggregate(&[], TimeRange::ALL, &all.step_ms(0), &options).unwrap();
    let error = no_step.next().unwrap().unwrap_err();
    assert!(matches!(error, Error::InvalidStep { step_ms: 0 }), "{error}");
    assert!(no_step.next().is_none());
}
