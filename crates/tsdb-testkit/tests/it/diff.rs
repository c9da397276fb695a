//! The comparison of answers: equal ones pass, and each kind of difference is told with its place.

use std::sync::Arc;

use tsdb_core::{Histogram, Labels, SampleBuffer, Series};
use tsdb_testkit::{assert_series_eq, series_diff};

fn series(name: &str, samples: &[(i64, f64)]) -> Series {
    let mut buffer = SampleBuffer::default();
    for (timestamp_ms, value) in samples {
        buffer.timestamps_ms.push(*timestamp_ms);
        buffer.values.push(*value);
    }
    Series { labels: Labels::from_pairs([("n", name)]).unwrap(), samples: buffer }
}

fn with_histogram(mut series: Series, timestamp_ms: i64) -> Series {
    series.samples.histograms.push((timestamp_ms, Arc::new(Histogram::stale(false))));
    series
}

#[test]
fn equal_answers_pass() {
    let answer = [with_histogram(series("a", &[(1, f64::NAN), (2, -0.0)]), 3), series("b", &[(1, 1.0)])];
    assert_series_eq(&answer, &answer);
    assert_series_eq(&[], &[]);
}

#[test]
fn each_difference_is_told() {
    let expected = [series("a", &[(1, 1.0), (2, 0.0)]), series("b", &[(1, 1.0)])];
    let with_first = |first: Series| vec![first, series("b", &[(1, 1.0)])];
    let quiet = f64::from_bits(0x7ff8_0000_0000_0001);
    for (actual, told) in [
        (vec![series("b", &[(1, 1.0)])], "missing series {n=\"a\"}: 2 floats"),
        (with_first(series("a", &[(1, 1.0)])), "{n=\"a\"} @ 2: missing 0.0"),
        (with_first(series("a", &[(1, 1.0), (2, 0.0), (3, 5.0)])), "{n=\"a\"} @ 3: unexpected 5.0"),
        (
            with_first(series("a", &[(1, 1.0), (2, -0.0)])),
            "@ 2: got -0.0 (bits 0x8000000000000000), expected 0.0",
        ),
        (with_first(series("a", &[(1, quiet), (2, 0.0)])), "got NaN (bits 0x7ff8000000000001)"),
        (with_first(series("a", &[(2, 0.0), (1, 1.0)])), "timestamps do not ascend: 2 then 1"),
        (with_first(with_histogram(series("a", &[(1, 1.0), (2, 0.0)]), 2)), "@ 2: twice"),
        (vec![expected[1].clone(), expected[0].clone()], "out of order: {n=\"b\"} comes before {n=\"a\"}"),
        (vec![expected[0].clone(), expected[0].clone(), expected[1].clone()], "out of order"),
        ([&expected[..], &[series("c", &[(1, 1.0)])]].concat(), "unexpected series {n=\"c\"}: 1 floats"),
    ] {
        let diff = series_diff(&actual, &expected).expect("there is a difference");
        assert!(diff.contains(told), "expected {told:?} in: {diff}");
    }
}

#[test]
fn a_flood_of_differences_is_cut() {
    let many: Vec<(i64, f64)> = (0..1000).map(|i| (i, 1.0)).collect();
    let diff = series_diff(&[series("a", &many)], &[]).unwrap();
    assert!(diff.starts_with("1 differences (1 series, 0 expected)"), "{diff}");
    let diff = series_diff(&[series("a", &many)], &[series("a", &[])]).unwrap();
    assert!(diff.ends_with("... and 990 more"), "{diff}");
    assert_eq!(diff.lines().count(), 12);
}
