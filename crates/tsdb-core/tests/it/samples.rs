//! Sample buffers against a map: clipping, merging, order.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::btree_map;
use proptest::prelude::*;
use tsdb_core::{Histogram, STALE_NAN_BITS, SampleBuffer, SampleValue, TimeRange, is_stale_nan, stale_nan};
use tsdb_testkit::strategies::{any_timestamp, sample_value, time_range};

type Map = BTreeMap<i64, SampleValue>;

fn buffer(samples: &Map) -> SampleBuffer {
    let mut buffer = SampleBuffer::default();
    for (&timestamp_ms, value) in samples {
        buffer.push(timestamp_ms, value.clone());
    }
    buffer
}

/// Timestamps from a small range, so that buffers meet, or any.
fn samples() -> impl Strategy<Value = Map> + Clone {
    prop_oneof![
        3 => btree_map(0..60_i64, sample_value(), 0..40),
        1 => btree_map(any_timestamp(), sample_value(), 0..10),
    ]
}

fn check(buffer: &SampleBuffer, expected: &Map) {
    assert_eq!(buffer.len(), expected.len());
    assert_eq!(buffer.is_empty(), expected.is_empty());
    for ((timestamp_ms, value), (expected_ms, expected)) in buffer.iter().zip(expected) {
        assert!(
            timestamp_ms == *expected_ms && value.bits_eq(expected),
            "{timestamp_ms}: {value:?}, not {expected:?}"
        );
    }
    let range = match (expected.first_key_value(), expected.last_key_value()) {
        (Some(first), Some(last)) => TimeRange::new(*first.0, *last.0),
        _ => TimeRange::EMPTY,
    };
    assert_eq!(buffer.time_range(), range);
}

proptest! {
    #[test]
    fn merging_is_the_union_in_which_the_newer_wins(older in samples(), newer in samples()) {
        let mut merged = buffer(&older);
        merged.merge_newer(buffer(&newer));
        let mut expected = older;
        expected.extend(newer);
        check(&merged, &expected);
    }

    #[test]
    fn clipping_keeps_what_is_in_the_range(all in samples(), range in prop_oneof![
        time_range(), (-5..65_i64, -5..65_i64).prop_map(|(a, b)| TimeRange::new(a, b)),
    ]) {
        let (mut clipped, mut rest) = (buffer(&all), buffer(&all));
        rest.remove(range);
        check(&rest, &all.clone().into_iter().filter(|&(t, _)| !range.contains(t)).collect());
        clipped.clip(range);
        check(&clipped, &all.into_iter().filter(|&(t, _)| range.contains(t)).collect());
    }

    #[test]
    fn equality_is_of_bits(a in samples(), b in samples()) {
        prop_assert!(buffer(&a).bits_eq(&buffer(&a)));
        let same = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && a.1.bits_eq(b.1));
        prop_assert_eq!(buffer(&a).bits_eq(&buffer(&b)), same);
    }
}

fn floats(range: std::ops::Range<i64>, value: f64) -> SampleBuffer {
    let mut buffer = SampleBuffer::default();
    range.for_each(|t| buffer.push(t, SampleValue::Float(value)));
    buffer
}

#[test]
fn long_runs_and_single_samples_interleave() {
    // A long older run, a newer sample inside it, one replaced, and newer runs on both sides.
    let mut older = floats(100..1000, 1.0);
    let mut newer = floats(50..120, 2.0);
    newer.merge_newer(floats(500..501, 3.0));
    newer.merge_newer(floats(990..1100, 4.0));
    older.merge_newer(newer);
    assert_eq!(older.timestamps_ms, (50..1100).collect::<Vec<_>>());
    for (&t, &value) in older.timestamps_ms.iter().zip(&older.values) {
        let expected = match t {
            ..120 => 2.0,
            500 => 3.0,
            990.. => 4.0,
            _ => 1.0,
        };
        assert_eq!(value, expected, "at {t}");
    }
}

#[test]
fn a_newer_value_replaces_one_of_the_other_kind() {
    let stale = SampleValue::Histogram(Arc::new(Histogram::stale(false)));
    let one = |value: &SampleValue| buffer(&Map::from([(7, value.clone())]));
    let mut samples = one(&SampleValue::Float(1.0));
    samples.merge_newer(one(&stale));
    assert!(samples.timestamps_ms.is_empty() && samples.values.is_empty() && samples.histograms.len() == 1);
    samples.merge_newer(one(&SampleValue::Float(2.0)));
    assert!(samples.histograms.is_empty() && samples.values == [2.0]);
}

#[test]
fn only_the_staleness_marker_is_stale() {
    assert!(is_stale_nan(stale_nan()) && stale_nan().to_bits() == STALE_NAN_BITS);
    assert!(!is_stale_nan(f64::NAN) && !is_stale_nan(f64::INFINITY) && !is_stale_nan(0.0));
    let value = |bits| SampleValue::Float(f64::from_bits(bits));
    assert!(
        value(STALE_NAN_BITS).bits_eq(&value(STALE_NAN_BITS))
            && !value(STALE_NAN_BITS).bits_eq(&value(STALE_NAN_BITS + 1))
    );
    assert!(!value(0).bits_eq(&value(1 << 63)), "0.0 is not -0.0");
}
