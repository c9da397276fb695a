//! Histograms by Prometheus' rules: one case for each way to be wrong, and generated valid ones.

use std::sync::Arc;

use proptest::prelude::*;
use tsdb_core::{
    Buckets, CUSTOM_BUCKETS_SCHEMA, Error, Histogram, MAX_HISTOGRAM_BUCKETS, ResetHint, Span, stale_nan,
};
use tsdb_testkit::strategies::histogram;

fn span(offset: i32, length: u32) -> Span {
    Span { offset, length }
}

/// Three positive and one negative bucket, and a zero bucket.
fn exponential() -> Histogram {
    Histogram {
        reset_hint: ResetHint::NoReset,
        schema: 3,
        zero_threshold: 0.001,
        sum: 42.5,
        positive_spans: vec![span(-2, 2), span(5, 1)],
        negative_spans: vec![span(0, 1)],
        buckets: Buckets::Int { count: 15, zero_count: 2, positive: vec![3, 0, 4], negative: vec![6] },
        custom_bounds: Arc::default(),
    }
}

/// Three buckets of four, whose bounds are 0.1, 1, 10.
fn custom() -> Histogram {
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        zero_threshold: 0.0,
        positive_spans: vec![span(0, 2), span(1, 1)],
        negative_spans: Vec::new(),
        buckets: Buckets::Int { count: 6, zero_count: 0, positive: vec![1, 2, 3], negative: Vec::new() },
        custom_bounds: Arc::from([0.1, 1.0, 10.0]),
        ..exponential()
    }
}

/// `exponential` with float counts, which need not add up.
fn float() -> Histogram {
    let buckets = Buckets::Float {
        count: 7.5,
        zero_count: 0.5,
        positive: vec![1.5, 0.0, 1e300],
        negative: vec![f64::INFINITY],
    };
    Histogram { buckets, ..exponential() }
}

/// What validation says of the histogram after `change`: nothing, or the rule.
fn verdict(mut histogram: Histogram, change: impl FnOnce(&mut Histogram)) -> String {
    change(&mut histogram);
    match histogram.validate() {
        Ok(()) => String::new(),
        Err(Error::InvalidHistogram(rule)) => rule,
        Err(other) => panic!("not a histogram's error: {other}"),
    }
}

fn accepts(histogram: Histogram, change: impl FnOnce(&mut Histogram)) {
    assert_eq!(verdict(histogram, change), "");
}

fn refuses(histogram: Histogram, rule: &str, change: impl FnOnce(&mut Histogram)) {
    let verdict = verdict(histogram, change);
    assert!(verdict.contains(rule), "{verdict:?} does not say {rule:?}");
}

fn int(histogram: &mut Histogram) -> (&mut u64, &mut u64, &mut Vec<u64>, &mut Vec<u64>) {
    match &mut histogram.buckets {
        Buckets::Int { count, zero_count, positive, negative } => (count, zero_count, positive, negative),
        Buckets::Float { .. } => panic!("float counts"),
    }
}

#[test]
fn the_examples_are_valid() {
    for histogram in [exponential(), custom(), float(), Histogram::stale(true), Histogram::stale(false)] {
        accepts(histogram, |_| {});
    }
}

#[test]
fn the_schema_is_exponential_or_custom() {
    for schema in -4..=8 {
        accepts(exponential(), |h| h.schema = schema);
    }
    for schema in [-5, 9, 52, -9, -52, -54, i32::MIN, i32::MAX] {
        refuses(exponential(), "schema", |h| h.schema = schema);
    }
    refuses(custom(), "takes no custom bounds", |h| h.schema = 0);
}

#[test]
fn spans_name_exactly_the_buckets() {
    refuses(exponential(), "positive spans name 4 buckets, but there are 3", |h| {
        h.positive_spans[1].length = 2;
    });
    refuses(exponential(), "negative spans name 0", |h| h.negative_spans.clear());
    refuses(float(), "positive spans name 2", |h| h.positive_spans[1].length = 0);
    accepts(exponential(), |h| h.positive_spans.insert(1, span(3, 0)));
    refuses(exponential(), "span 2 has the negative offset -1", |h| h.positive_spans[1].offset = -1);
    accepts(exponential(), |h| h.positive_spans[0].offset = i32::MIN);
    refuses(exponential(), "past the last bucket index", |h| h.positive_spans[1].offset = i32::MAX);
}

#[test]
fn lists_are_bounded() {
    let limit = MAX_HISTOGRAM_BUCKETS as u32;
    let buckets = |n: u32| {
        move |h: &mut Histogram| {
            h.positive_spans = vec![span(0, n)];
            *int(h).2 = vec![0; n as usize];
            *int(h).0 = 8;
        }
    };
    accepts(exponential(), buckets(limit));
    refuses(exponential(), "positive buckets, more than", buckets(limit + 1));
    refuses(exponential(), "past the last bucket index", |h| h.positive_spans = vec![span(0, u32::MAX)]);
    refuses(exponential(), "negative spans, more than", |h| {
        h.negative_spans = vec![span(0, 0); limit as usize + 1];
    });
    refuses(custom(), "custom bounds, more than", |h| h.custom_bounds = (0..=limit).map(f64::from).collect());
}

#[test]
fn an_integer_count_is_the_sum_of_its_buckets() {
    for count in [0, 14, 16, u64::MAX] {
        refuses(exponential(), "15 observations in buckets", |h| *int(h).0 = count);
    }
    // NaN observations are counted, but in no bucket.
    for count in [15, 16, u64::MAX] {
        accepts(exponential(), |h| (h.sum, *int(h).0) = (f64::NAN, count));
    }
    refuses(exponential(), "only 14", |h| (h.sum, *int(h).0) = (f64::NAN, 14));
    // The sum of the buckets wraps to the count in 64 bits.
    refuses(exponential(), "observations in buckets", |h| {
        int(h).2[0] = 3_u64.wrapping_sub(1 << 63).wrapping_mul(2);
    });
    refuses(exponential(), "observations in buckets", |h| (int(h).2[0], int(h).2[1]) = (u64::MAX, 4));
}

#[test]
fn float_counts_are_not_negative() {
    type Change = fn(&mut f64, &mut f64, &mut [f64], &mut [f64]);
    let change = |change: Change| {
        move |h: &mut Histogram| {
            if let Buckets::Float { count, zero_count, positive, negative } = &mut h.buckets {
                change(count, zero_count, positive, negative);
            }
        }
    };
    let changes: [Change; 4] = [
        |c, _, _, _| *c = -1.0,
        |_, z, _, _| *z = -0.5,
        |_, _, p, _| p[2] = -1e-300,
        |_, _, _, n| n[0] = f64::NEG_INFINITY,
    ];
    for negative in changes {
        refuses(float(), "is negative", change(negative));
    }
    accepts(float(), change(|c, z, p, _| (*c, *z, p[0]) = (f64::NAN, -0.0, f64::NAN)));
}

#[test]
fn custom_buckets_have_ascending_finite_bounds_and_nothing_else() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refuses(custom(), "not finite", |h| h.custom_bounds = Arc::from([0.1, 1.0, bad]));
        refuses(custom(), "not finite", |h| h.custom_bounds = Arc::from([bad, 1.0, 10.0]));
    }
    for bounds in [[1.0, 1.0, 2.0], [1.0, 0.5, 2.0], [-0.0, 0.0, 1.0]] {
        refuses(custom(), "do not ascend", |h| h.custom_bounds = Arc::from(bounds));
    }
    refuses(custom(), "too few for 4 buckets", |h| h.custom_bounds = Arc::from([0.1, 1.0]));
    accepts(custom(), |h| h.custom_bounds = Arc::from([0.1, 1.0, 10.0, 100.0]));
    refuses(custom(), "no zero bucket", |h| h.zero_threshold = 1e-9);
    refuses(custom(), "no zero bucket", |h| (*int(h).0, *int(h).1) = (7, 1));
    refuses(custom(), "no negative side", |h| h.negative_spans = vec![span(0, 0)]);
    refuses(custom(), "negative spans name 0 buckets, but there are 1", |h| *int(h).3 = vec![0]);
    refuses(custom(), "offset is negative", |h| h.positive_spans[0].offset = -1);
}

#[test]
fn of_a_stale_histogram_only_the_sum_counts() {
    let broken = |h: &mut Histogram| (h.sum, h.schema, *int(h).0) = (stale_nan(), 99, 1);
    accepts(exponential(), broken);
    let mut stale = exponential();
    broken(&mut stale);
    assert!(
        stale.is_stale()
            && stale.bits_eq(&Histogram::stale(false))
            && Histogram::stale(false).bits_eq(&stale)
    );
    assert!(!stale.bits_eq(&Histogram::stale(true)) && !stale.bits_eq(&exponential()));
    refuses(exponential(), "schema", |h| (h.sum, h.schema) = (f64::NAN, 99));
}

#[test]
fn every_field_takes_part_in_equality() {
    let changes: [fn(&mut Histogram); 10] = [
        |h| h.reset_hint = ResetHint::Gauge,
        |h| h.schema = 4,
        |h| h.zero_threshold = -h.zero_threshold,
        |h| h.sum = f64::NAN,
        |h| h.positive_spans[0].offset = -3,
        |h| h.negative_spans[0].offset = 1,
        |h| *int(h).0 += 1,
        |h| *int(h).1 += 1,
        |h| int(h).2[2] += 1,
        |h| int(h).3[0] += 1,
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let mut changed = exponential();
        change(&mut changed);
        assert!(!changed.bits_eq(&exponential()) && changed.bits_eq(&changed.clone()), "change {i}");
    }
    let mut moved = custom();
    moved.custom_bounds = Arc::from([0.1, 1.0, 11.0]);
    assert!(!moved.bits_eq(&custom()) && !float().bits_eq(&exponential()));
}

#[test]
fn reset_hints_are_numbered_as_stored() {
    for hint in [ResetHint::Unknown, ResetHint::Reset, ResetHint::NoReset, ResetHint::Gauge] {
        assert_eq!(ResetHint::try_from(hint as u8).unwrap(), hint);
    }
    assert!(ResetHint::try_from(4).is_err());
}

proptest! {
    #[test]
    fn generated_histograms_are_valid_and_equal_themselves(a in histogram(), b in histogram()) {
        a.validate().unwrap();
        prop_assert!(a.bits_eq(&a.clone()));
        prop_assert_eq!(a.bits_eq(&b), b.bits_eq(&a));
    }
}
