//! Values and timestamps as the formats write them.
//!
//! Timestamps in seconds are turned into milliseconds digit by digit: a float holds 1767225600.001 only nearly,
//! and would be off by a millisecond now and then.

/// Decimal places between seconds and milliseconds.
const MILLI_PLACES: i64 = 3;

/// A float as Prometheus reads it: decimal, with an exponent or not; `NaN`, `Inf` and `Infinity` in any case, the
/// latter two with a sign or not. `NaN` is the quiet NaN that most languages parse it to, 0x7ff8000000000000.
///
/// # Errors
/// What is wrong, to be put behind the text.
pub fn parse_float(text: &str) -> Result<f64, &'static str> {
    let value: f64 = text.parse().map_err(|_| "is not a number")?;
    if value.is_finite() {
        return Ok(value);
    }
    if value.is_nan() {
        return if text.len() == 3 { Ok(f64::NAN) } else { Err("has a sign, which NaN does not take") };
    }
    if text.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err("is beyond the range of a 64-bit float");
    }
    Ok(value)
}

/// Milliseconds written as an integer.
pub(super) fn milliseconds(text: &str) -> Result<i64, &'static str> {
    let is_digit_or_sign = |byte: u8| byte.is_ascii_digit() || byte == b'-' || byte == b'+';
    text.parse().map_err(|_| {
        if !text.is_empty() && text.bytes().all(is_digit_or_sign) {
            "is out of range"
        } else {
            "is not a whole number of milliseconds (for seconds, use --format openmetrics)"
        }
    })
}

/// Seconds, with fraction and exponent or not, as milliseconds: exact, and rounded to the nearest where there are
/// more digits (halves away from zero).
pub(super) fn seconds_to_milliseconds(text: &str) -> Result<i64, &'static str> {
    const MALFORMED: &str = "is not a number of seconds";
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    let mantissa_end = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = match mantissa_end {
        Some(end) => (&unsigned[..end], exponent(&unsigned[end + 1..]).ok_or(MALFORMED)?),
        None => (unsigned, 0),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
    let (whole, fraction) = (&mantissa[..point], mantissa.get(point + 1..).unwrap_or_default());
    let digits = || whole.iter().chain(fraction).map(|byte| byte.wrapping_sub(b'0'));
    if digits().next().is_none() || digits().any(|digit| digit > 9) {
        return Err(MALFORMED);
    }
    // This many leading digits make up the whole milliseconds; the next one rounds.
    let kept = whole.len() as i64 + exponent + MILLI_PLACES;
    let magnitude = leading_digits(digits(), kept).ok_or("is out of range")?;
    Ok(if negative { -magnitude } else { magnitude })
}

/// The number that the first `kept` digits form (zeros follow the last), rounded by the digit after them.
fn leading_digits(digits: impl Iterator<Item = u8>, kept: i64) -> Option<i64> {
    let mut number = 0_i64;
    let mut used = 0;
    for digit in digits {
        if used >= kept {
            return if used == kept && digit >= 5 { number.checked_add(1) } else { Some(number) };
        }
        number = number.checked_mul(10)?.checked_add(i64::from(digit))?;
        used += 1;
    }
    while used < kept && number != 0 {
        number = number.checked_mul(10)?;
        used += 1;
    }
    Some(number)
}

/// The exponent after the `e`, held within bounds that no timestamp comes near.
fn exponent(text: &[u8]) -> Option<i64> {
    const BOUND: i64 = 1_000_000_000;
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude =
        digits.iter().fold(0_i64, |number, byte| (number * 10 + i64::from(byte - b'0')).min(BOUND));
    Some(if negative { -magnitude } else { magnitude })
}
