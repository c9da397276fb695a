//! What is generated is valid, and the odd cases that the strategies are for really come up.
//!
//! The runner is the deterministic one: these tests see the same cases each time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;
use tsdb_core::{
    Buckets, Labels, MAX_TIMESTAMP_MS, METRIC_NAME, MIN_TIMESTAMP_MS, SampleValue, TimeRange,
    check_timestamp, is_stale_nan,
};
use tsdb_testkit::{Oracle, strategies};

fn cases<T: Debug>(count: usize, strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("a case").current()).collect()
}

/// A case by name, and how to tell it.
type Named<'a, T> = (&'a str, &'a dyn Fn(&T) -> bool);

/// Every named case must come up among the values.
fn covers<T: Debug>(values: &[T], named: &[Named<'_, T>]) {
    for (name, holds) in named {
        assert!(values.iter().any(holds), "no case of: {name}");
    }
}

#[test]
fn label_sets_come_in_all_shapes() {
    let sets = cases(2000, strategies::label_set());
    let any =
        |set: &Labels, test: &dyn Fn(&str, &str) -> bool| set.iter().any(|(name, value)| test(name, value));
    covers(
        &sets,
        &[
            ("the empty set", &Labels::is_empty),
            ("no metric name", &|set| set.metric_name().is_none() && !set.is_empty()),
            ("a name before the metric's", &|set| {
                set.metric_name().is_some() && set.iter().next().unwrap().0 < METRIC_NAME
            }),
            ("a name beyond ASCII", &|set| any(set, &|name, _| !name.is_ascii())),
            ("a value beyond ASCII", &|set| any(set, &|_, value| !value.is_ascii())),
            ("a newline", &|set| any(set, &|_, value| value.contains('\n'))),
            ("a null character", &|set| any(set, &|_, value| value.contains('\0'))),
            ("a long name", &|set| any(set, &|name, _| name.len() > 255)),
            ("a long value", &|set| any(set, &|_, value| value.len() > 10_000)),
            ("many labels", &|set| set.len() >= 6),
        ],
    );
}

#[test]
fn distinct_label_sets_are_distinct_and_not_empty() {
    for sets in cases(100, strategies::distinct_label_sets(1..20)) {
        assert!((1..20).contains(&sets.len()) && !sets.iter().any(Labels::is_empty));
        assert_eq!(sets.iter().collect::<BTreeSet<_>>().len(), sets.len());
    }
}

#[test]
fn floats_cover_the_odd_bits() {
    let values = cases(2000, strategies::float_value());
    covers(
        &values,
        &[
            ("the staleness marker", &|v| is_stale_nan(*v)),
            ("another signalling NaN", &|v| v.is_nan() && v.to_bits() & (1 << 51) == 0 && !is_stale_nan(*v)),
            ("a quiet NaN with a payload", &|v| {
                v.is_nan() && v.to_bits() & (1 << 51) != 0 && v.to_bits() & 0xffff != 0
            }),
            ("a negative NaN", &|v| v.is_nan() && v.is_sign_negative()),
            ("minus zero", &|v| v.to_bits() == (-0.0_f64).to_bits()),
            ("infinity", &|v| *v == f64::INFINITY),
            ("minus infinity", &|v| *v == f64::NEG_INFINITY),
            ("a subnormal", &|v| v.is_subnormal()),
            ("the greatest", &|v| *v == f64::MAX),
            ("a whole number", &|v| *v == v.trunc() && *v != 0.0 && v.is_finite()),
        ],
    );
}

#[test]
fn timestamps_are_valid_and_reach_the_ends() {
    let timestamps = cases(2000, strategies::timestamp());
    assert!(timestamps.iter().all(|ms| check_timestamp(*ms).is_ok()));
    covers(
        &timestamps,
        &[
            ("the first", &|ms| *ms == MIN_TIMESTAMP_MS),
            ("the last", &|ms| *ms == MAX_TIMESTAMP_MS),
            ("zero", &|ms| *ms == 0),
            ("before the epoch", &|ms| *ms < 0 && *ms > MIN_TIMESTAMP_MS),
            ("the border of a window", &|ms| *ms % 7_200_000 == 0 && *ms > 0),
        ],
    );
    covers(
        &cases(500, strategies::any_timestamp()),
        &[("an invalid one", &|ms| check_timestamp(*ms).is_err())],
    );
    covers(
        &cases(500, strategies::time_range()),
        &[
            ("everything", &|range| *range == TimeRange::ALL),
            ("nothing", &|range| range.is_empty()),
            ("one timestamp", &|range| range.start_ms == range.end_ms),
        ],
    );
}

#[test]
fn histograms_are_valid_and_come_in_all_kinds() {
    let histograms = cases(2000, strategies::histogram());
    for histogram in &histograms {
        histogram.validate().unwrap();
    }
    covers(
        &histograms,
        &[
            ("integer, exponential", &|h| !h.is_float() && h.schema >= -4 && !h.is_stale()),
            ("float, exponential", &|h| h.is_float() && h.schema >= -4 && !h.is_stale()),
            ("integer, custom", &|h| !h.is_float() && h.schema == -53 && !h.custom_bounds.is_empty()),
            ("float, custom", &|h| h.is_float() && h.schema == -53 && !h.custom_bounds.is_empty()),
            ("the finest schema", &|h| h.schema == 8),
            ("the coarsest schema", &|h| h.schema == -4),
            ("stale", &|h| h.is_stale()),
            ("a NaN sum with observations in no bucket", &|h| match &h.buckets {
                Buckets::Int { count, zero_count, positive, negative } => {
                    *count > zero_count + positive.iter().chain(negative).sum::<u64>()
                }
                Buckets::Float { .. } => false,
            }),
            ("a count that no float holds", &|h| match &h.buckets {
                Buckets::Int { positive, .. } => positive.iter().any(|n| *n > 1 << 53 && n % 2 == 1),
                Buckets::Float { .. } => false,
            }),
            ("a negative first offset", &|h| h.positive_spans.first().is_some_and(|span| span.offset < 0)),
            ("an empty span", &|h| h.positive_spans.iter().any(|span| span.length == 0)),
            ("negative buckets", &|h| !h.negative_spans.is_empty()),
            ("no buckets", &|h| h.positive_spans.is_empty() && h.negative_spans.is_empty()),
        ],
    );
    for run in cases(100, strategies::histogram_run(40)) {
        for histogram in &run {
            histogram.validate().unwrap();
        }
    }
}

#[test]
fn float_runs_ascend() {
    let runs = cases(500, strategies::float_run(60));
    for run in &runs {
        assert!(run.windows(2).all(|pair| pair[0].0 < pair[1].0), "{run:?}");
    }
    covers(&runs, &[("an empty one", &Vec::is_empty), ("a long one", &|run| run.len() > 40)]);
}

#[test]
fn matchers_for_label_sets_select_some_and_not_all() {
    let strategy = strategies::distinct_label_sets(5..10).prop_flat_map(|sets| {
        strategies::matchers_for(&sets).prop_map(move |matchers| (sets.clone(), matchers))
    });
    let (mut none, mut some, mut all) = (0, 0, 0);
    for (sets, matchers) in cases(1000, strategy) {
        let mut oracle = Oracle::new();
        for set in &sets {
            oracle.append(set, 0, SampleValue::Float(0.0));
        }
        match oracle.select(&matchers, TimeRange::ALL).len() {
            0 => none += 1,
            n if n == sets.len() => all += 1,
            _ => some += 1,
        }
    }
    assert!(some > 300 && none > 50 && all > 50, "{none} select nothing, {some} some, {all} all");
}

#[test]
fn the_naive_matcher_and_the_compiled_one_agree() {
    for (set, matcher) in cases(3000, (strategies::label_set(), strategies::matcher())) {
        let mut oracle = Oracle::new();
        oracle.append(&set, 0, SampleValue::Float(0.0));
        let naive = !oracle.select(std::slice::from_ref(&matcher), TimeRange::ALL).is_empty();
        assert_eq!(matcher.matches_labels(&set), naive, "{matcher} on {set}");
    }
}

#[test]
fn scripts_have_late_and_repeated_samples() {
    let (mut late, mut repeated, mut replaced) = (0, 0, 0);
    for script in cases(50, strategies::script(1..5, 20..60)) {
        let mut seen = BTreeMap::<Labels, BTreeMap<i64, SampleValue>>::new();
        for (labels, timestamp_ms, value) in script.iter() {
            check_timestamp(timestamp_ms).unwrap();
            let samples = seen.entry(labels.clone()).or_default();
            late += u32::from(samples.last_key_value().is_some_and(|(newest, _)| timestamp_ms < *newest));
            match samples.insert(timestamp_ms, value.clone()) {
                Some(old) if old.bits_eq(value) => repeated += 1,
                Some(_) => replaced += 1,
                None => {}
            }
        }
    }
    assert!(
        late > 100 && repeated > 50 && replaced > 50,
        "{late} late, {repeated} repeated, {replaced} replaced"
    );
}
