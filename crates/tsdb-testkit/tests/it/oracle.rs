//! The model store, on cases written out by hand: it judges all else, so nothing generated judges it.

use tsdb_core::{Labels, MatchOp, Matcher, SampleValue, TimeRange};
use tsdb_testkit::{Oracle, assert_series_eq};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn matcher(op: MatchOp, name: &str, value: &str) -> Matcher {
    Matcher::new(op, name, value).unwrap()
}

/// Matchers, and what they select.
type Case<'a> = (&'a [(MatchOp, &'a str, &'a str)], &'a [f64]);

/// Five series; the sample at 10 says which, those at 20 and 30 are the same in all.
fn store() -> Oracle {
    let sets: [&[(&str, &str)]; 5] = [
        &[("__name__", "up"), ("job", "api")],
        &[("__name__", "up"), ("job", "api-2")],
        &[("__name__", "up")],
        &[("A", "x"), ("__name__", "up"), ("job", "db\n")],
        &[("__name__", "down"), ("job", "api")],
    ];
    let mut oracle = Oracle::new();
    for (i, pairs) in sets.into_iter().enumerate() {
        for (timestamp_ms, value) in [(30, 3.0), (10, i as f64), (20, 2.0)] {
            oracle.append(&labels(pairs), timestamp_ms, SampleValue::Float(value));
        }
    }
    oracle
}

/// The first samples of the selected series, which name them, in the order of the answer.
fn selected(oracle: &Oracle, matchers: &[Matcher]) -> Vec<f64> {
    oracle.select(matchers, TimeRange::new(10, 10)).iter().map(|series| series.samples.values[0]).collect()
}

#[test]
fn matchers_select_and_answers_are_in_label_order() {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    // A capital sorts before `__name__`, "down" before "up", a shorter set before its extensions.
    let cases: &[Case<'_>] = &[
        (&[], &[3.0, 4.0, 2.0, 0.0, 1.0]),
        (&[(Equal, "job", "api")], &[4.0, 0.0]),
        (&[(Equal, "job", "")], &[2.0]),
        (&[(NotEqual, "job", "")], &[3.0, 4.0, 0.0, 1.0]),
        (&[(NotEqual, "job", "api")], &[3.0, 2.0, 1.0]),
        (&[(Regex, "job", "api")], &[4.0, 0.0]),
        (&[(Regex, "job", "api.*")], &[4.0, 0.0, 1.0]),
        (&[(Regex, "job", "db.")], &[3.0]), // The dot matches a newline.
        (&[(Regex, "job", ".*")], &[3.0, 4.0, 2.0, 0.0, 1.0]),
        (&[(Regex, "job", ".+")], &[3.0, 4.0, 0.0, 1.0]),
        (&[(Regex, "job", "api|")], &[4.0, 2.0, 0.0]),
        (&[(NotRegex, "job", "api|")], &[3.0, 1.0]),
        (&[(NotRegex, "job", ".*")], &[]),
        (&[(Equal, "job", "api"), (NotEqual, "__name__", "down")], &[0.0]),
        (&[(Equal, "nowhere", "")], &[3.0, 4.0, 2.0, 0.0, 1.0]),
        (&[(Equal, "nowhere", "x")], &[]),
    ];
    for (matchers, expected) in cases {
        let matchers: Vec<Matcher> =
            matchers.iter().map(|(op, name, value)| matcher(*op, name, value)).collect();
        assert_eq!(selected(&store(), &matchers), *expected, "{matchers:?}");
    }
}

#[test]
fn ranges_include_both_ends_and_series_without_samples_are_left_out() {
    let oracle = store();
    let times = |range| -> Vec<Vec<i64>> {
        oracle.select(&[], range).into_iter().map(|series| series.samples.timestamps_ms).collect()
    };
    assert_eq!(times(TimeRange::new(10, 20)), vec![vec![10, 20]; 5]);
    assert_eq!(times(TimeRange::new(11, 29)), vec![vec![20]; 5]);
    assert_eq!(times(TimeRange::ALL), vec![vec![10, 20, 30]; 5]);
    assert!(times(TimeRange::new(31, i64::MAX)).is_empty() && times(TimeRange::new(20, 10)).is_empty());
}

#[test]
fn the_last_write_wins_across_kinds() {
    let mut oracle = Oracle::new();
    let set = labels(&[("a", "b")]);
    let histogram = SampleValue::Histogram(std::sync::Arc::new(tsdb_core::Histogram::stale(true)));
    oracle.append(&set, 1, SampleValue::Float(1.0));
    oracle.append(&set, 1, histogram);
    let all = oracle.all();
    assert!(all[0].samples.values.is_empty() && all[0].samples.histograms.len() == 1);
    oracle.append(&set, 1, SampleValue::Float(2.0));
    let all = oracle.all();
    assert!(all[0].samples.values == [2.0] && all[0].samples.histograms.is_empty());
    assert_eq!((oracle.series_count(), oracle.sample_count()), (1, 1));
}

#[test]
fn deletes_remove_what_matches_and_later_samples_are_visible() {
    let mut oracle = store();
    assert_eq!(oracle.delete(&[Matcher::equal("job", "api")], TimeRange::new(10, 20)), 4);
    assert_eq!((oracle.series_count(), oracle.sample_count()), (5, 11));
    assert_eq!(oracle.delete(&[Matcher::equal("job", "api")], TimeRange::ALL), 2);
    assert_eq!((oracle.series_count(), oracle.sample_count()), (3, 9));
    oracle.append(&labels(&[("__name__", "up"), ("job", "api")]), 15, SampleValue::Float(7.0));
    assert_eq!(oracle.series_count(), 4);
    assert_eq!(oracle.delete(&[], TimeRange::ALL), 10);
    assert_series_eq(&oracle.all(), &[]);
    assert_eq!(oracle.time_range(), None);
}

#[test]
fn labels_are_looked_up() {
    let oracle = store();
    assert_eq!(oracle.label_names(&[], TimeRange::ALL), ["A", "__name__", "job"]);
    assert_eq!(oracle.label_names(&[Matcher::equal("job", "")], TimeRange::ALL), ["__name__"]);
    assert_eq!(oracle.label_values("job", &[], TimeRange::ALL), ["api", "api-2", "db\n"]);
    assert!(oracle.label_values("job", &[], TimeRange::new(0, 9)).is_empty());
    assert_eq!(oracle.time_range(), Some(TimeRange::new(10, 30)));
}
