//! Prometheus' chunks of native histograms, with integer counts and with float counts.
//!
//! ```text
//! 0  count:u16, big-endian
//! 2  flag:u8    0x80 a counter reset came before the first, 0x40 none did, 0xc0 gauges, 0 not known
//! 3  layout     the schema, spans and bounds of all of them (module `layout`)
//!    samples
//!
//! integer sample := timestamp count zero_count sum positive* negative*
//!     first:  varbit timestamp, uvarbit counts, the sum whole, each bucket as the varbit difference to the one before it
//!     later:  varbit deltas of deltas, the sum as xor
//! float sample   := timestamp count zero_count sum positive* negative*
//!     first:  varbit timestamp, floats whole
//!     later:  varbit delta of deltas, floats as xor
//! ```
//!
//! Who reads a chunk takes every histogram behind the first for one without a reset before it. So [`run_length`] ends a
//! chunk wherever that is not certain. Prometheus rewrites a chunk when a bucket comes to be used; here a new one begins: both
//! mean the same.

use std::sync::Arc;

use tsdb_core::{Buckets, Histogram, ResetHint};

use super::bits::BitWriter;
use super::xor::Xor;
use super::{SAMPLES_MAX, count_bytes, layout};
use crate::remote_read::deltas;

type Sample = (i64, Arc<Histogram>);

/// How many of the first histograms one chunk can hold: at least one, if there is one.
pub(super) fn run_length(samples: &[Sample]) -> usize {
    let fitting = samples.windows(2).take(SAMPLES_MAX - 1).take_while(|pair| follows(&pair[0].1, &pair[1].1));
    (1 + fitting.count()).min(samples.len())
}

/// Encodes a run of histograms.
pub(super) fn encode(samples: &[Sample]) -> Vec<u8> {
    let first = &samples[0].1;
    let flag = match first.reset_hint {
        _ if first.is_stale() => 0,
        ResetHint::Unknown => 0,
        ResetHint::Reset => 0x80,
        ResetHint::NoReset => 0x40,
        ResetHint::Gauge => 0xc0,
    };
    let [high, low] = count_bytes(samples.len());
    let mut out = BitWriter::after(&[high, low, flag]);
    layout::write(&mut out, first);
    if first.is_float() {
        encode_floats(&mut out, samples);
    } else {
        encode_integers(&mut out, samples);
    }
    out.finish()
}

/// Whether `next` can lie behind `last` in one chunk.
fn follows(last: &Histogram, next: &Histogram) -> bool {
    if last.is_float() != next.is_float() {
        return false;
    }
    if last.is_stale() || next.is_stale() {
        // A marker has no buckets: it fits anywhere, and behind it only another one.
        return next.is_stale();
    }
    let are_gauges = [last, next].map(|histogram| histogram.reset_hint == ResetHint::Gauge);
    match are_gauges {
        _ if !last.same_layout(next) => false,
        [true, true] => true,
        [false, false] => next.reset_hint != ResetHint::Reset && has_grown(&last.buckets, &next.buckets),
        _ => false,
    }
}

/// Whether no count is smaller than before.
fn has_grown(last: &Buckets, next: &Buckets) -> bool {
    fn all<T: PartialOrd>(last: &[T], next: &[T]) -> bool {
        last.iter().zip(next).all(|(last, next)| last <= next)
    }
    match (last, next) {
        (
            Buckets::Int { count, zero_count, positive, negative },
            Buckets::Int { count: c, zero_count: z, positive: p, negative: n },
        ) => count <= c && zero_count <= z && all(positive, p) && all(negative, n),
        (
            Buckets::Float { count, zero_count, positive, negative },
            Buckets::Float { count: c, zero_count: z, positive: p, negative: n },
        ) => count <= c && zero_count <= z && all(positive, p) && all(negative, n),
        _ => false,
    }
}

/// An integer that is written as the delta of its deltas.
#[derive(Clone, Copy, Default)]
struct Delta {
    value: i64,
    delta: i64,
}

impl Delta {
    fn first(value: i64) -> Self {
        Self { value, delta: 0 }
    }

    fn write(&mut self, out: &mut BitWriter, value: i64) {
        let delta = value.wrapping_sub(self.value);
        out.varbit(delta.wrapping_sub(self.delta));
        *self = Self { value, delta };
    }
}

fn encode_integers(out: &mut BitWriter, samples: &[Sample]) {
    let (timestamp_ms, first) = &samples[0];
    let [count, zero_count] = integer_counts(first);
    out.varbit(*timestamp_ms);
    out.uvarbit(count);
    out.uvarbit(zero_count);
    let mut sum = Xor::first(out, first.sum);
    let mut time = Delta::first(*timestamp_ms);
    let mut counts = [count, zero_count].map(|count| Delta::first(count as i64));
    let mut buckets: Vec<Delta> = steps(first).map(Delta::first).collect();
    buckets.iter().for_each(|bucket| out.varbit(bucket.value));
    for (timestamp_ms, histogram) in &samples[1..] {
        time.write(out, *timestamp_ms);
        if histogram.is_stale() {
            // No counts: their deltas are taken to go on.
            counts.iter().for_each(|_| out.varbit(0));
        } else {
            let now = integer_counts(histogram);
            counts.iter_mut().zip(now).for_each(|(count, now)| count.write(out, now as i64));
        }
        sum.write(out, histogram.sum);
        buckets.iter_mut().zip(steps(histogram)).for_each(|(bucket, step)| bucket.write(out, step));
    }
}

/// Count and count of the zero bucket; those of a staleness marker are none.
fn integer_counts(histogram: &Histogram) -> [u64; 2] {
    match &histogram.buckets {
        Buckets::Int { count, zero_count, .. } if !histogram.is_stale() => [*count, *zero_count],
        _ => [0, 0],
    }
}

/// The counts of the buckets, positive ones and then negative ones, each as the difference to the one before it.
fn steps(histogram: &Histogram) -> impl Iterator<Item = i64> + '_ {
    let (positive, negative) = match &histogram.buckets {
        Buckets::Int { positive, negative, .. } if !histogram.is_stale() => (&positive[..], &negative[..]),
        _ => (&[][..], &[][..]),
    };
    deltas(positive).chain(deltas(negative))
}

fn encode_floats(out: &mut BitWriter, samples: &[Sample]) {
    let (timestamp_ms, first) = &samples[0];
    out.varbit(*timestamp_ms);
    let mut time = Delta::first(*timestamp_ms);
    let mut floats: Vec<Xor> = floats(first).map(|value| Xor::first(out, value)).collect();
    for (timestamp_ms, histogram) in &samples[1..] {
        time.write(out, *timestamp_ms);
        floats.iter_mut().zip(self::floats(histogram)).for_each(|(xor, value)| xor.write(out, value));
    }
}

/// All floats of a histogram in the order in which they are written; a staleness marker has its sum and no buckets.
fn floats(histogram: &Histogram) -> impl Iterator<Item = f64> + '_ {
    let (count, zero_count, positive, negative) = match &histogram.buckets {
        Buckets::Float { count, zero_count, positive, negative } if !histogram.is_stale() => {
            (*count, *zero_count, &positive[..], &negative[..])
        }
        _ => (0.0, 0.0, &[][..], &[][..]),
    };
    [count, zero_count, histogram.sum].into_iter().chain(positive.iter().chain(negative).copied())
}
