//! Float values, timestamps and ranges of them, and runs of both as series have them.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tsdb_core::{MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS, STALE_NAN_BITS, SampleValue, TimeRange};

use super::histogram;

/// Bits of floats that something somewhere normalises: NaNs with payloads, quiet and signalling, of both signs,
/// the staleness marker, infinities, zeros of both signs, subnormals, and the ends of the range.
const ODD_BITS: &[u64] = &[
    STALE_NAN_BITS,
    0x7ff8_0000_0000_0000,
    0xfff8_0000_0000_0000,
    0x7ff8_0000_0000_0001,
    0x7ff0_0000_0000_0001,
    0xfff0_0000_dead_beef,
    0x7fff_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x0000_0000_0000_0000,
    0x8000_0000_0000_0000,
    0x0000_0000_0000_0001,
    0x800f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0xffef_ffff_ffff_ffff,
    0x4340_0000_0000_0001,
];

/// An hour in which nothing special happens: 2023-11-14T22:13:20Z.
const ORDINARY_MS: i64 = 1_700_000_000_000;
/// Block windows start at its multiples.
const WINDOW_MS: i64 = 7_200_000;
const DAY_MS: i64 = 86_400_000;

/// A float: whole numbers, decimals, odd bits and any bits.
pub fn float_value() -> impl Strategy<Value = f64> + Clone {
    prop_oneof![
        4 => (-1000..1_000_000_i64).prop_map(|n| n as f64),
        3 => (-100_000..100_000_i64).prop_map(|n| n as f64 / 100.0),
        3 => select(ODD_BITS).prop_map(f64::from_bits),
        2 => any::<u64>().prop_map(f64::from_bits),
    ]
}

/// The value of a sample: mostly a float, one in eight a histogram.
pub fn sample_value() -> impl Strategy<Value = SampleValue> + Clone {
    prop_oneof![
        7 => float_value().prop_map(SampleValue::Float),
        1 => histogram().prop_map(|histogram| SampleValue::Histogram(Arc::new(histogram))),
    ]
}

/// A timestamp that a store accepts: ordinary ones, around the borders of windows and days, around zero, and the
/// first and last valid ones.
pub fn timestamp() -> impl Strategy<Value = i64> + Clone {
    let near = |step_ms: i64| {
        (-20..20_i64, -2..=2_i64).prop_map(move |(n, off)| (ORDINARY_MS / step_ms + n) * step_ms + off)
    };
    prop_oneof![
        6 => (0..4 * WINDOW_MS).prop_map(|ms| ORDINARY_MS + ms),
        3 => near(WINDOW_MS),
        1 => near(DAY_MS),
        1 => -3..=3_i64,
        1 => select(&[MIN_TIMESTAMP_MS, MIN_TIMESTAMP_MS + 1, MAX_TIMESTAMP_MS - 1, MAX_TIMESTAMP_MS][..]),
        1 => MIN_TIMESTAMP_MS..=MAX_TIMESTAMP_MS,
    ]
}

/// Any timestamp at all, valid or not: for codecs, which take every `i64`.
pub fn any_timestamp() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![4 => timestamp(), 1 => select(&[i64::MIN, i64::MAX][..]), 1 => any::<i64>()]
}

/// A closed range of time: between timestamps that samples have, one timestamp, everything, and now and then an
/// empty one.
pub fn time_range() -> impl Strategy<Value = TimeRange> + Clone {
    prop_oneof![
        4 => (timestamp(), timestamp()).prop_map(|(a, b)| TimeRange::new(a.min(b), a.max(b))),
        1 => timestamp().prop_map(|ms| TimeRange::new(ms, ms)),
        2 => Just(TimeRange::ALL),
        1 => (any_timestamp(), any_timestamp()).prop_map(|(start, end)| TimeRange::new(start, end)),
    ]
}

/// Float samples of one series: up to `max_len` of them, at a regular interval, with jitter, or anywhere; constant,
/// counting, wandering or anything. Timestamps are any `i64` and ascend strictly.
pub fn float_run(max_len: usize) -> impl Strategy<Value = Vec<(i64, f64)>> + Clone {
    let steps = prop_oneof![
        select(&[1_i64, 1000, 15_000, 60_000, DAY_MS][..]).prop_map(|ms| (ms, 0)),
        select(&[15_000_i64, 60_000][..]).prop_map(|ms| (ms, 50)),
        Just((1, i64::from(i32::MAX))),
        Just((1, i64::MAX / 1000)),
    ];
    let shape = 0..4_u8;
    let noise = vec((any::<u32>(), float_value()), 0..=max_len);
    (any_timestamp(), steps, shape, float_value(), noise).prop_map(
        |(start, (step, jitter), shape, first, noise)| {
            let mut timestamp_ms = start;
            let mut value = first;
            let mut run = Vec::with_capacity(noise.len());
            for (random, other) in noise {
                run.push((timestamp_ms, value));
                value = match shape {
                    0 => value,
                    1 => value + f64::from(random % 100),
                    2 => value + (f64::from(random % 201) - 100.0) / 100.0,
                    _ => other,
                };
                let late = ((i128::from(jitter) * i128::from(random)) >> 32) as i64;
                match timestamp_ms.checked_add(step.saturating_add(late)) {
                    Some(next) => timestamp_ms = next,
                    None => break,
                }
            }
            run
        },
    )
}
