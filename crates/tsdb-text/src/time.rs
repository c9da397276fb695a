//! Times on the command line, and how they are printed: RFC 3339, UTC, milliseconds.

use jiff::civil::{DateTime, datetime};
use jiff::{SignedDuration, Span, Timestamp};
use tsdb_core::{MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS};

const EPOCH: DateTime = datetime(1970, 1, 1, 0, 0, 0, 0);

/// Reads a time: RFC 3339 (`2026-01-31T12:00:00Z`, or a day alone), Unix seconds (`1700000000.5`), `now`, or
/// relative to `now_ms` (`-2h`, `-1d12h`). Milliseconds since the Unix epoch.
///
/// # Errors
/// What is wrong with the text, and the forms that a time may have.
pub fn parse(text: &str, now_ms: i64) -> Result<i64, String> {
    let refused = |why: &str| {
        format!(
            "{text:?} is not a time{why}: use RFC 3339 (2026-01-31T12:00:00Z), Unix seconds (1700000000) or relative (-2h)"
        )
    };
    if text == "now" {
        return Ok(now_ms);
    }
    if let Some(ms) = parse_seconds(text) {
        return ms.ok_or_else(|| refused(", it is outside the years 1 to 9999"));
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>() {
        return Ok(millis(day.at(0, 0, 0, 0)));
    }
    if text.starts_with(['-', '+']) {
        return relative(text, now_ms).ok_or_else(|| refused(""));
    }
    Err(refused(""))
}

/// Reads a length of time: `5m`, `1h30m`, `500ms`, or a number of seconds. In milliseconds, at least 1; a day has 24 hours.
pub(crate) fn parse_step(text: &str) -> Result<i64, String> {
    let refused =
        || format!("{text:?} is no length of time of 1 ms or more: use 15s, 5m, 1h30m, 1d or seconds");
    let ms = match text.parse::<f64>() {
        Ok(seconds) => SignedDuration::try_from_secs_f64(seconds).ok().map(|length| length.as_millis()),
        Err(_) => {
            let span = text.parse::<Span>().ok();
            span.and_then(|span| EPOCH.checked_add(span).ok()).map(|end| i128::from(millis(end)))
        }
    };
    ms.and_then(|ms| i64::try_from(ms).ok()).filter(|&ms| ms >= 1).ok_or_else(refused)
}

/// Prints milliseconds since the Unix epoch as RFC 3339 in UTC: `2026-01-31T12:00:00.000Z`.
pub fn format(timestamp_ms: i64) -> String {
    let clamped = timestamp_ms.clamp(MIN_TIMESTAMP_MS, MAX_TIMESTAMP_MS);
    format!("{:.3}Z", EPOCH.saturating_add(SignedDuration::from_millis(clamped)))
}

fn millis(at: DateTime) -> i64 {
    let since = at.duration_since(EPOCH).as_millis();
    i64::try_from(since).expect("invariant: civil times of the years -9999 to 9999 fit 64-bit milliseconds")
}

/// Unix seconds with at most a fraction; `None` when the text is not a number, `Some(None)` when it is out of range.
fn parse_seconds(text: &str) -> Option<Option<i64>> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    let looks_like_a_day = text.bytes().skip(1).any(|b| b == b'-');
    if !is_number || looks_like_a_day {
        return None;
    }
    let ms = text.parse::<f64>().ok()? * 1000.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked on the float")]
    Some((ms >= MIN_TIMESTAMP_MS as f64 && ms <= MAX_TIMESTAMP_MS as f64).then_some(ms.round() as i64))
}

fn relative(text: &str, now_ms: i64) -> Option<i64> {
    let span: Span = text.parse().ok()?;
    let now = EPOCH.checked_add(SignedDuration::from_millis(now_ms)).ok()?;
    Some(millis(now.checked_add(span).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, ms) in [
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("15", 15_000),
            ("0.5", 500),
            ("500ms", 500),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse_step(text), Ok(ms), "{text}");
        }
        for text in ["0", "-5m", "", "m", "NaN", "1e300", "0.0001", "5 apples"] {
            assert!(parse_step(text).is_err(), "{text}");
        }
    }

    /// 2026-01-01T00:00:00Z.
    const NOW: i64 = 1_767_225_600_000;

    fn check(text: &str, expected_ms: i64) {
        assert_eq!(parse(text, NOW), Ok(expected_ms), "{text}");
    }

    #[test]
    fn the_forms_of_a_time() {
        check("2026-01-01T00:00:00Z", NOW);
        check("2026-01-01T01:00:00.250+01:00", NOW + 250);
        check("2026-01-01", NOW);
        check("1767225600", NOW);
        check("1767225600.5", NOW + 500);
        check("-1.5", -1500);
        check("0", 0);
        check("now", NOW);
        check("-2h", NOW - 7_200_000);
        check("-1d", NOW - 86_400_000);
        check("-1h30m", NOW - 5_400_000);
        check("-90s", NOW - 90_000);
        check("+15m", NOW + 900_000);
    }

    #[test]
    fn what_is_no_time_says_what_would_be_one() {
        for text in ["", "yesterday", "2h", "-", "12:30", "2026-13-01", "1e12", "99999999999999"] {
            let error = parse(text, NOW).unwrap_err();
            assert!(error.contains("RFC 3339"), "{text}: {error}");
        }
    }

    #[test]
    fn times_print_with_milliseconds_over_the_whole_range() {
        assert_eq!(format(NOW + 7), "2026-01-01T00:00:00.007Z");
        assert_eq!(format(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(format(MIN_TIMESTAMP_MS), "0001-01-01T00:00:00.000Z");
        assert_eq!(format(MAX_TIMESTAMP_MS), "9999-12-31T23:59:59.999Z");
    }
}
