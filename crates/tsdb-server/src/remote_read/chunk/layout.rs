//! What the histograms of one chunk have in common, as Prometheus writes it before the first of them.
//!
//! ```text
//! zero threshold  one byte: 0 for zero, e + 243 for 2^(e - 1) with e in -242..=11, else 255 and the float
//! schema          varbit
//! positive spans  uvarbit count, then for each uvarbit length, varbit offset
//! negative spans  the same
//! custom bounds   only for schema -53: uvarbit count, then for each: uvarbit (bound * 1000 + 1) where that is exact and
//!                 small, else a zero bit and the float
//! ```

use tsdb_core::{CUSTOM_BUCKETS_SCHEMA, Histogram, Span};

use super::bits::BitWriter;

/// The exponents (as of 0.5 * 2^e) that fit one byte, and what is added to them.
const EXPONENTS: std::ops::RangeInclusive<i32> = -242..=11;
const EXPONENT_BIAS: i32 = 243;
/// Custom bounds up to this many thousandths are written as integers.
const THOUSANDTHS_MAX: f64 = 33_554_430.0;

pub(super) fn write(out: &mut BitWriter, histogram: &Histogram) {
    if histogram.is_stale() {
        // What a staleness marker has besides its sum does not count: no buckets.
        return write(out, &Histogram { sum: 0.0, ..Histogram::stale(histogram.is_float()) });
    }
    write_zero_threshold(out, histogram.zero_threshold);
    out.varbit(histogram.schema.into());
    write_spans(out, &histogram.positive_spans);
    write_spans(out, &histogram.negative_spans);
    if histogram.schema == CUSTOM_BUCKETS_SCHEMA {
        out.uvarbit(histogram.custom_bounds.len() as u64);
        histogram.custom_bounds.iter().for_each(|&bound| write_custom_bound(out, bound));
    }
}

fn write_zero_threshold(out: &mut BitWriter, threshold: f64) {
    if threshold.to_bits() == 0 {
        return out.bits(0, 8);
    }
    match exponent_of_power(threshold).filter(|exponent| EXPONENTS.contains(exponent)) {
        Some(exponent) => out.bits((exponent + EXPONENT_BIAS) as u64, 8),
        None => {
            out.bits(0xff, 8);
            out.float(threshold);
        }
    }
}

/// The `e` of a number that is exactly `0.5 * 2^e`; `None` for every other one, and for subnormal ones.
fn exponent_of_power(number: f64) -> Option<i32> {
    let (exponent, mantissa) = (number.to_bits() >> 52, number.to_bits() << 12);
    // The sign is the twelfth bit: a negative number has too large an exponent.
    let is_power = mantissa == 0 && (1..0x7ff).contains(&exponent);
    is_power.then(|| exponent as i32 - 1022)
}

fn write_spans(out: &mut BitWriter, spans: &[Span]) {
    out.uvarbit(spans.len() as u64);
    for span in spans {
        out.uvarbit(span.length.into());
        out.varbit(span.offset.into());
    }
}

fn write_custom_bound(out: &mut BitWriter, bound: f64) {
    let thousandths = (bound * 1000.0).round();
    // An integer has no sign for negative zero.
    let is_small = bound.is_sign_positive() && bound * 1000.0 <= THOUSANDTHS_MAX;
    let fits = is_small && thousandths / 1000.0 == bound;
    if fits {
        out.uvarbit(thousandths as u64 + 1);
    } else {
        out.bit(false);
        out.float(bound);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_known_by_their_exponent() {
        let powers = [(0.5, Some(0)), (1.0, Some(1)), (2f64.powi(-128), Some(-127)), (1024.0, Some(11))];
        for (number, exponent) in powers {
            assert_eq!(exponent_of_power(number), exponent, "{number}");
        }
        for number in [0.75, -0.5, 0.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE / 2.0] {
            assert_eq!(exponent_of_power(number), None, "{number}");
        }
    }

    fn bytes(write: impl Fn(&mut BitWriter)) -> Vec<u8> {
        let mut out = BitWriter::after(&[]);
        write(&mut out);
        out.finish()
    }

    #[test]
    fn usual_zero_thresholds_take_a_byte() {
        let of = |threshold| bytes(|out| write_zero_threshold(out, threshold));
        assert_eq!((of(0.0), of(2f64.powi(-128))), (vec![0], vec![116]));
        assert_eq!((of(2f64.powi(-243)), of(1024.0)), (vec![1], vec![254]));
        for other in [2f64.powi(-244), 2048.0, 0.001, -0.0] {
            assert_eq!(of(other), [&[255][..], &other.to_be_bytes()].concat());
        }
    }

    #[test]
    fn custom_bounds_of_whole_thousandths_are_integers() {
        let of = |bound| bytes(|out| write_custom_bound(out, bound));
        // 0.005 * 1000 + 1 is 6: five bits; 0.1 gives 101: thirteen.
        assert_eq!((of(0.005), of(0.1)), (vec![0b1011_0000], vec![0b1110_0011, 0b0010_1000]));
        for other in [-1.0, -0.0, 33_554.431, 0.000_1, 1.0 / 3.0] {
            assert_eq!(of(other).len(), 9, "{other}");
        }
        assert_eq!(of(33_554.430).len(), 4);
    }
}
