//! A float as text, every bit of it.

use std::fmt;

use crate::exposition::parse_float;

/// The NaN that is written as `NaN` alone.
const PLAIN_NAN_BITS: u64 = 0x7ff8_0000_0000_0000;
/// What stands around the bits of any other NaN.
const NAN_OPEN: &str = "NaN(0x";
const NAN_CLOSE: &str = ")";

/// Displays a float as the shortest text that [`parse_line`](super::parse_line) reads to the same bits.
#[derive(Clone, Copy, Debug)]
pub struct ValueText(pub f64);

impl fmt::Display for ValueText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_nan() {
            return match value.to_bits() {
                PLAIN_NAN_BITS => f.write_str("NaN"),
                bits => write!(f, "{NAN_OPEN}{bits:016x}{NAN_CLOSE}"),
            };
        }
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        // The plain form of 1e300 has three hundred zeros; the debug form turns to exponents in time, but ends
        // whole numbers with `.0`.
        if value.abs() < 1e16 && value == value.trunc() {
            write!(f, "{value}")
        } else {
            write!(f, "{value:?}")
        }
    }
}

/// Reads what [`ValueText`] displays, and all that the text formats take for a float.
pub(super) fn parse_value(text: &str) -> Result<f64, &'static str> {
    let bits = text.strip_prefix(NAN_OPEN).and_then(|rest| rest.strip_suffix(NAN_CLOSE));
    let Some(bits) = bits else { return parse_float(text) };
    // `from_str_radix` alone would take a sign.
    if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("has no hexadecimal bits");
    }
    let value = f64::from_bits(u64::from_str_radix(bits, 16).map_err(|_| "has more than 64 bits")?);
    if value.is_nan() { Ok(value) } else { Err("has bits that are no NaN") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_values() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-17.5, "-17.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (1e16, "1e16"),
            (1e-7, "1e-7"),
            (f64::MAX, "1.7976931348623157e308"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
            (tsdb_core::stale_nan(), "NaN(0x7ff0000000000002)"),
            (f64::from_bits(0xfff8_0000_0000_0001), "NaN(0xfff8000000000001)"),
        ] {
            assert_eq!(ValueText(value).to_string(), text);
            assert_eq!(parse_value(text).map(f64::to_bits), Ok(value.to_bits()), "{text}");
        }
    }

    #[test]
    fn refused_texts() {
        for text in
            ["NaN(0x)", "NaN(0x+7ff8000000000000)", "NaN(0x17ff8000000000000)", "NaN(0x1)", "NaN(7ff8)"]
        {
            assert!(parse_value(text).is_err(), "{text}");
        }
    }
}
