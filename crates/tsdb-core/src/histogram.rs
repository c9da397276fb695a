//! Native histograms, as Prometheus defines them: exponential schemas -4..=8 and custom buckets (-53).
//!
//! A [`Histogram`] is one sample's value: counts of observations in buckets whose bounds follow from the
//! schema (each bucket is `2^(2^-schema)` wide) or are listed (`custom_bounds`). Only populated buckets are
//! kept: spans say which they are. Counts are absolute, not deltas between buckets as on Prometheus' wire,
//! so that a consumer can sum them as they are.
//!
//! Integer and float histograms are kept apart ([`Buckets`]): a count above 2^53 does not fit a float.
//!
//! A histogram whose `sum` is the staleness marker is **stale**: it says that the series ended, and all its
//! other fields are ignored, by [`Histogram::validate`] and by [`Histogram::bits_eq`], and are not stored.
//!
//! This module checks and compares; it does not merge, scale or query histograms.

use std::sync::Arc;

use crate::{Error, Result, is_stale_nan, stale_nan};

/// Schema number of histograms with custom bucket bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// The coarsest exponential schema: each bucket is 65,536 times the one before.
pub const MIN_EXPONENTIAL_SCHEMA: i32 = -4;
/// The finest exponential schema: 256 buckets for each power of two.
pub const MAX_EXPONENTIAL_SCHEMA: i32 = 8;
/// The most buckets, and the most spans, of one side of a histogram, and the most custom bounds.
///
/// Instrumentation libraries stop at some hundred. The limit bounds what a damaged or hostile input can make
/// a decoder allocate.
pub const MAX_HISTOGRAM_BUCKETS: usize = 16_384;

/// Upper bounds of custom buckets, ascending; the last bucket, up to +Inf, is implied.
/// Shared: all histograms of a series usually have the same.
pub type CustomBounds = Arc<[f64]>;

/// A run of consecutive buckets: `offset` buckets after the end of the run before (after bucket 0 for the first).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Gap to the previous span, in buckets; only the first may be negative.
    pub offset: i32,
    /// Buckets in the run.
    pub length: u32,
}

/// What is known of a counter reset between this histogram and the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ResetHint {
    /// Not known: compare to find out.
    #[default]
    Unknown = 0,
    /// A reset lies before this one.
    Reset = 1,
    /// No reset lies before this one.
    NoReset = 2,
    /// A gauge: resets have no meaning.
    Gauge = 3,
}

impl TryFrom<u8> for ResetHint {
    type Error = Error;

    fn try_from(byte: u8) -> Result<Self> {
        match byte {
            0 => Ok(Self::Unknown),
            1 => Ok(Self::Reset),
            2 => Ok(Self::NoReset),
            3 => Ok(Self::Gauge),
            _ => Err(Error::InvalidHistogram(format!("reset hint {byte} is not one of 0 to 3"))),
        }
    }
}

/// The counts of a histogram: absolute, one for each bucket that the spans name, in their order.
#[derive(Clone, Debug)]
pub enum Buckets {
    /// Integer counts.
    Int {
        /// Observations in all.
        count: u64,
        /// Observations in the zero bucket.
        zero_count: u64,
        /// Observations in each positive bucket.
        positive: Vec<u64>,
        /// Observations in each negative bucket.
        negative: Vec<u64>,
    },
    /// Float counts, such as a rate or a weighted sum has.
    Float {
        /// Observations in all.
        count: f64,
        /// Observations in the zero bucket.
        zero_count: f64,
        /// Observations in each positive bucket.
        positive: Vec<f64>,
        /// Observations in each negative bucket.
        negative: Vec<f64>,
    },
}

/// One native histogram.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// What is known of a counter reset before this sample.
    pub reset_hint: ResetHint,
    /// -4..=8, exponential, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Observations of at most this absolute value are in the zero bucket.
    pub zero_threshold: f64,
    /// Sum of all observations.
    pub sum: f64,
    /// Which positive buckets have a count.
    pub positive_spans: Vec<Span>,
    /// Which negative buckets have a count.
    pub negative_spans: Vec<Span>,
    /// The counts.
    pub buckets: Buckets,
    /// Upper bounds of the buckets of schema -53; empty otherwise.
    pub custom_bounds: CustomBounds,
}

impl Histogram {
    /// The staleness marker as a histogram, with integer or float counts.
    #[must_use]
    pub fn stale(is_float: bool) -> Self {
        let buckets = if is_float {
            Buckets::Float { count: 0.0, zero_count: 0.0, positive: Vec::new(), negative: Vec::new() }
        } else {
            Buckets::Int { count: 0, zero_count: 0, positive: Vec::new(), negative: Vec::new() }
        };
        Self {
            reset_hint: ResetHint::Unknown,
            schema: 0,
            zero_threshold: 0.0,
            sum: stale_nan(),
            positive_spans: Vec::new(),
            negative_spans: Vec::new(),
            buckets,
            custom_bounds: CustomBounds::default(),
        }
    }

    /// Whether the counts are floats.
    #[must_use]
    pub fn is_float(&self) -> bool {
        matches!(self.buckets, Buckets::Float { .. })
    }

    /// Whether this is a staleness marker: `sum` is, and then nothing else counts.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        is_stale_nan(self.sum)
    }

    /// Whether two histograms are the same bits in every field; two stale ones of one kind always are.
    #[must_use]
    pub fn bits_eq(&self, other: &Self) -> bool {
        if self.is_stale() || other.is_stale() {
            return self.is_stale() && other.is_stale() && self.is_float() == other.is_float();
        }
        self.reset_hint == other.reset_hint
            && self.sum.to_bits() == other.sum.to_bits()
            && self.same_layout(other)
            && self.buckets.bits_eq(&other.buckets)
    }

    /// Whether two histograms have the same buckets: schema, zero threshold, spans and bounds, bit for bit.
    #[must_use]
    pub fn same_layout(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.zero_threshold.to_bits() == other.zero_threshold.to_bits()
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && (Arc::ptr_eq(&self.custom_bounds, &other.custom_bounds)
                || floats_bits_eq(&self.custom_bounds, &other.custom_bounds))
    }

    /// Checks the histogram by Prometheus' rules. A stale one is always valid.
    ///
    /// - the schema is -4..=8 or -53;
    /// - the span lengths of a side add up to its number of buckets, only the first offset of an exponential
    ///   side may be negative, and every bucket's index fits an `i32`;
    /// - an integer count equals the sum of all buckets, or is at least that when the sum is a NaN (a NaN
    ///   observation is in no bucket); float counts are not negative;
    /// - custom bounds are finite and ascend strictly, there are enough of them for the highest bucket, and
    ///   neither negative buckets nor a zero bucket exist; an exponential schema has no custom bounds;
    /// - no list is longer than [`MAX_HISTOGRAM_BUCKETS`].
    ///
    /// # Errors
    /// [`Error::InvalidHistogram`] says which rule is broken.
    pub fn validate(&self) -> Result<()> {
        if self.is_stale() {
            return Ok(());
        }
        self.check_layout()?;
        match &self.buckets {
            Buckets::Int { count, zero_count, positive, negative } => {
                check_span_lengths("positive", &self.positive_spans, positive.len())?;
                check_span_lengths("negative", &self.negative_spans, negative.len())?;
                self.check_int_counts(*count, *zero_count, positive, negative)
            }
            Buckets::Float { count, zero_count, positive, negative } => {
                check_span_lengths("positive", &self.positive_spans, positive.len())?;
                check_span_lengths("negative", &self.negative_spans, negative.len())?;
                self.check_float_counts(*count, *zero_count, positive, negative)
            }
        }
    }

    /// Checks all that a series' histograms have in common: schema, spans, bounds.
    pub(crate) fn check_layout(&self) -> Result<()> {
        match self.schema {
            CUSTOM_BUCKETS_SCHEMA => self.check_custom_layout(),
            MIN_EXPONENTIAL_SCHEMA..=MAX_EXPONENTIAL_SCHEMA => {
                if !self.custom_bounds.is_empty() {
                    return Err(invalid(format!("schema {} takes no custom bounds", self.schema)));
                }
                check_spans("positive", &self.positive_spans)?;
                check_spans("negative", &self.negative_spans)?;
                Ok(())
            }
            schema => Err(invalid(format!(
                "schema {schema} is neither {MIN_EXPONENTIAL_SCHEMA} to {MAX_EXPONENTIAL_SCHEMA} nor {CUSTOM_BUCKETS_SCHEMA}"
            ))),
        }
    }

    fn check_custom_layout(&self) -> Result<()> {
        let bounds = &self.custom_bounds;
        if bounds.len() > MAX_HISTOGRAM_BUCKETS {
            return Err(invalid(format!(
                "{} custom bounds, more than {MAX_HISTOGRAM_BUCKETS}",
                bounds.len()
            )));
        }
        if let Some(bound) = bounds.iter().find(|bound| !bound.is_finite()) {
            return Err(invalid(format!("custom bound {bound} is not finite")));
        }
        if let Some(pair) = bounds.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(invalid(format!("custom bounds do not ascend: {} then {}", pair[0], pair[1])));
        }
        if self.zero_threshold != 0.0 {
            return Err(invalid(format!(
                "custom buckets have no zero bucket, but threshold {}",
                self.zero_threshold
            )));
        }
        if !self.negative_spans.is_empty() {
            return Err(invalid("custom buckets have no negative side, but negative spans".into()));
        }
        if self.positive_spans.first().is_some_and(|span| span.offset < 0) {
            return Err(invalid("custom buckets start at 0, but the first span's offset is negative".into()));
        }
        let end = check_spans("positive", &self.positive_spans)?;
        // One more bucket than bounds: the last reaches to +Inf.
        if end > bounds.len() as i64 + 1 {
            return Err(invalid(format!("{} custom bounds are too few for {end} buckets", bounds.len())));
        }
        Ok(())
    }

    fn check_int_counts(
        &self,
        count: u64,
        zero_count: u64,
        positive: &[u64],
        negative: &[u64],
    ) -> Result<()> {
        if self.schema == CUSTOM_BUCKETS_SCHEMA && zero_count != 0 {
            return Err(invalid(format!(
                "custom buckets have no zero bucket, but {zero_count} observations in it"
            )));
        }
        // 2 * 16,384 + 1 summands of 64 bits fit 128 bits.
        let in_buckets =
            u128::from(zero_count) + positive.iter().chain(negative).map(|&n| u128::from(n)).sum::<u128>();
        let count = u128::from(count);
        if self.sum.is_nan() && count < in_buckets {
            return Err(invalid(format!(
                "{in_buckets} observations in buckets, but the count is only {count}"
            )));
        }
        if !self.sum.is_nan() && count != in_buckets {
            return Err(invalid(format!("{in_buckets} observations in buckets, but the count is {count}")));
        }
        Ok(())
    }

    fn check_float_counts(
        &self,
        count: f64,
        zero_count: f64,
        positive: &[f64],
        negative: &[f64],
    ) -> Result<()> {
        if self.schema == CUSTOM_BUCKETS_SCHEMA && zero_count != 0.0 {
            return Err(invalid(format!(
                "custom buckets have no zero bucket, but {zero_count} observations in it"
            )));
        }
        // A NaN passes, as in Prometheus: 0/0 of two rates is a legal result.
        let mut counts = [count, zero_count].into_iter().chain(positive.iter().chain(negative).copied());
        match counts.find(|&n| n < 0.0) {
            Some(n) => Err(invalid(format!("count {n} is negative"))),
            None => Ok(()),
        }
    }
}

impl Buckets {
    /// Whether two sets of counts are of one kind and the same bits.
    #[must_use]
    pub fn bits_eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Int { count, zero_count, positive, negative },
                Self::Int { count: c, zero_count: z, positive: p, negative: n },
            ) => count == c && zero_count == z && positive == p && negative == n,
            (
                Self::Float { count, zero_count, positive, negative },
                Self::Float { count: c, zero_count: z, positive: p, negative: n },
            ) => {
                count.to_bits() == c.to_bits()
                    && zero_count.to_bits() == z.to_bits()
                    && floats_bits_eq(positive, p)
                    && floats_bits_eq(negative, n)
            }
            _ => false,
        }
    }
}

/// Checks the spans of one side and returns the index after its last bucket.
fn check_spans(side: &str, spans: &[Span]) -> Result<i64> {
    if spans.len() > MAX_HISTOGRAM_BUCKETS {
        return Err(invalid(format!("{} {side} spans, more than {MAX_HISTOGRAM_BUCKETS}", spans.len())));
    }
    let mut next = 0_i64;
    let mut buckets = 0_u64;
    for (i, span) in spans.iter().enumerate() {
        if i > 0 && span.offset < 0 {
            return Err(invalid(format!("{side} span {} has the negative offset {}", i + 1, span.offset)));
        }
        next += i64::from(span.offset) + i64::from(span.length);
        buckets += u64::from(span.length);
        if next > i64::from(i32::MAX) {
            return Err(invalid(format!("{side} span {} reaches past the last bucket index", i + 1)));
        }
    }
    if buckets > MAX_HISTOGRAM_BUCKETS as u64 {
        return Err(invalid(format!("{buckets} {side} buckets, more than {MAX_HISTOGRAM_BUCKETS}")));
    }
    Ok(next)
}

fn check_span_lengths(side: &str, spans: &[Span], buckets: usize) -> Result<()> {
    let spanned: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if spanned == buckets as u64 {
        Ok(())
    } else {
        Err(invalid(format!("{side} spans name {spanned} buckets, but there are {buckets}")))
    }
}

fn floats_bits_eq(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn invalid(rule: String) -> Error {
    Error::InvalidHistogram(rule)
}
