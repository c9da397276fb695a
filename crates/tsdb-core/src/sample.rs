//! Samples and column buffers of them: what every tier hands up and the merge that joins the tiers.
//!
//! A sample is a timestamp (`i64`, milliseconds since the Unix epoch) and a value: an `f64`, bit for bit, or
//! a native histogram. A [`SampleBuffer`] keeps one series' samples as columns, floats and histograms apart,
//! each sorted by time, no timestamp twice over both.

mod merge;

use std::sync::Arc;

use crate::{Histogram, Labels, TimeRange};

/// The bits of Prometheus' staleness marker, a NaN with a payload of its own.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The staleness marker.
#[must_use]
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `value` is the staleness marker (and not just any NaN).
#[must_use]
pub fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// The value of one sample.
#[derive(Clone, Debug)]
pub enum SampleValue {
    /// A float, kept bit for bit.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

impl SampleValue {
    /// Whether two values are the same bits: NaN equals the same NaN, `0.0` is not `-0.0`.
    #[must_use]
    pub fn bits_eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Histogram(a), Self::Histogram(b)) => a.bits_eq(b),
            _ => false,
        }
    }
}

/// One series' samples as columns: floats and histograms, each sorted by time.
///
/// Invariants: `timestamps_ms` and `values` have one length and ascend strictly; `histograms` ascends
/// strictly; no timestamp is in both.
#[derive(Clone, Debug, Default)]
pub struct SampleBuffer {
    /// Timestamps of the float samples, milliseconds since the Unix epoch, ascending.
    pub timestamps_ms: Vec<i64>,
    /// Values of the float samples.
    pub values: Vec<f64>,
    /// The histogram samples, ascending by timestamp.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

impl SampleBuffer {
    /// Samples of both kinds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timestamps_ms.len() + self.histograms.len()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timestamps_ms.is_empty() && self.histograms.is_empty()
    }

    /// From the first to the last timestamp; [`TimeRange::EMPTY`] without samples.
    #[must_use]
    pub fn time_range(&self) -> TimeRange {
        let ends = |first: Option<i64>, last: Option<i64>| match (first, last) {
            (Some(first), Some(last)) => TimeRange::new(first, last),
            _ => TimeRange::EMPTY,
        };
        let floats = ends(self.timestamps_ms.first().copied(), self.timestamps_ms.last().copied());
        floats.hull(ends(self.histograms.first().map(|h| h.0), self.histograms.last().map(|h| h.0)))
    }

    /// Appends a sample that is later than all others.
    pub fn push(&mut self, timestamp_ms: i64, value: SampleValue) {
        debug_assert!(
            self.is_empty() || self.time_range().end_ms < timestamp_ms,
            "invariant: pushed samples ascend strictly"
        );
        match value {
            SampleValue::Float(value) => {
                self.timestamps_ms.push(timestamp_ms);
                self.values.push(value);
            }
            SampleValue::Histogram(histogram) => self.histograms.push((timestamp_ms, histogram)),
        }
    }

    /// Drops the samples outside `range`.
    pub fn clip(&mut self, range: TimeRange) {
        let (from, to) = bounds_in(&self.timestamps_ms, range, |&t| t);
        self.timestamps_ms.truncate(to);
        self.timestamps_ms.drain(..from);
        self.values.truncate(to);
        self.values.drain(..from);
        let (from, to) = bounds_in(&self.histograms, range, |h| h.0);
        self.histograms.truncate(to);
        self.histograms.drain(..from);
    }

    /// Drops the samples in `range`.
    pub fn remove(&mut self, range: TimeRange) {
        let (from, to) = bounds_in(&self.timestamps_ms, range, |&t| t);
        self.timestamps_ms.drain(from..to);
        self.values.drain(from..to);
        let (from, to) = bounds_in(&self.histograms, range, |h| h.0);
        self.histograms.drain(from..to);
    }

    /// All samples by time, both kinds. Histograms are shared, not copied.
    pub fn iter(&self) -> impl Iterator<Item = (i64, SampleValue)> + '_ {
        let mut floats = self.timestamps_ms.iter().copied().zip(self.values.iter().copied()).peekable();
        let mut histograms = self.histograms.iter().peekable();
        std::iter::from_fn(move || {
            let float_first = match (floats.peek(), histograms.peek()) {
                (Some(float), Some(histogram)) => float.0 < histogram.0,
                (float, _) => float.is_some(),
            };
            if float_first {
                floats.next().map(|(t, v)| (t, SampleValue::Float(v)))
            } else {
                histograms.next().map(|(t, h)| (*t, SampleValue::Histogram(Arc::clone(h))))
            }
        })
    }

    /// Whether two buffers hold the same samples, bit for bit.
    #[must_use]
    pub fn bits_eq(&self, other: &Self) -> bool {
        self.timestamps_ms == other.timestamps_ms
            && self.values.len() == other.values.len()
            && self.values.iter().zip(&other.values).all(|(a, b)| a.to_bits() == b.to_bits())
            && self.histograms.len() == other.histograms.len()
            && self.histograms.iter().zip(&other.histograms).all(|(a, b)| a.0 == b.0 && a.1.bits_eq(&b.1))
    }
}

/// The indices of the first item in the range and of the first past it.
fn bounds_in<T>(items: &[T], range: TimeRange, timestamp_ms: impl Fn(&T) -> i64) -> (usize, usize) {
    let from = items.partition_point(|item| timestamp_ms(item) < range.start_ms);
    let to = items.partition_point(|item| timestamp_ms(item) <= range.end_ms);
    (from.min(to), to)
}

/// One series of an answer.
#[derive(Clone, Debug)]
pub struct Series {
    /// The label set that is the series' identity.
    pub labels: Labels,
    /// Its samples.
    pub samples: SampleBuffer,
}
