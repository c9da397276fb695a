//! Timestamps: milliseconds since the Unix epoch as `i64`, and closed ranges of them.
//!
//! Valid timestamps are 0001-01-01T00:00:00.000Z to 9999-12-31T23:59:59.999Z, so that every Parquet reader
//! can show them. The doors (append, import) call [`check_timestamp`]; codecs take any `i64`.

use crate::{Error, Result};

/// 0001-01-01T00:00:00.000Z in milliseconds since the Unix epoch.
pub const MIN_TIMESTAMP_MS: i64 = -62_135_596_800_000;
/// 9999-12-31T23:59:59.999Z in milliseconds since the Unix epoch.
pub const MAX_TIMESTAMP_MS: i64 = 253_402_300_799_999;

/// Refuses a timestamp that a store cannot hold.
///
/// # Errors
/// [`Error::InvalidTimestamp`] outside [`MIN_TIMESTAMP_MS`]`..=`[`MAX_TIMESTAMP_MS`].
pub fn check_timestamp(timestamp_ms: i64) -> Result<()> {
    if (MIN_TIMESTAMP_MS..=MAX_TIMESTAMP_MS).contains(&timestamp_ms) {
        Ok(())
    } else {
        Err(Error::InvalidTimestamp { timestamp_ms })
    }
}

/// A closed range of timestamps: both ends belong to it. Empty when `start_ms > end_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// First timestamp of the range, milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Last timestamp of the range, milliseconds since the Unix epoch.
    pub end_ms: i64,
}

impl TimeRange {
    /// Every timestamp.
    pub const ALL: Self = Self { start_ms: i64::MIN, end_ms: i64::MAX };
    /// No timestamp: the identity of [`TimeRange::hull`].
    pub const EMPTY: Self = Self { start_ms: i64::MAX, end_ms: i64::MIN };

    /// The closed range from `start_ms` to `end_ms`.
    #[must_use]
    pub const fn new(start_ms: i64, end_ms: i64) -> Self {
        Self { start_ms, end_ms }
    }

    /// Whether no timestamp is in the range.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start_ms > self.end_ms
    }

    /// Whether `timestamp_ms` is in the range.
    #[must_use]
    pub const fn contains(self, timestamp_ms: i64) -> bool {
        self.start_ms <= timestamp_ms && timestamp_ms <= self.end_ms
    }

    /// Whether every timestamp of `other` is in this range.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        other.is_empty() || (self.start_ms <= other.start_ms && other.end_ms <= self.end_ms)
    }

    /// Whether the two ranges share a timestamp.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        !self.is_empty()
            && !other.is_empty()
            && self.start_ms <= other.end_ms
            && other.start_ms <= self.end_ms
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        if self.is_empty() {
            other
        } else if other.is_empty() {
            self
        } else {
            Self::new(self.start_ms.min(other.start_ms), self.end_ms.max(other.end_ms))
        }
    }

    /// The smallest range that holds this one and `timestamp_ms`.
    #[must_use]
    pub fn including(self, timestamp_ms: i64) -> Self {
        self.hull(Self::new(timestamp_ms, timestamp_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_the_first_and_the_last_millisecond() {
        assert!(check_timestamp(MIN_TIMESTAMP_MS).is_ok() && check_timestamp(MAX_TIMESTAMP_MS).is_ok());
        for ms in [MIN_TIMESTAMP_MS - 1, MAX_TIMESTAMP_MS + 1, i64::MIN, i64::MAX] {
            assert!(
                matches!(check_timestamp(ms), Err(Error::InvalidTimestamp { timestamp_ms }) if timestamp_ms == ms)
            );
        }
    }

    #[test]
    fn ranges_are_closed_and_empty_ranges_touch_nothing() {
        let r = TimeRange::new(10, 20);
        assert!(r.contains(10) && r.contains(20) && !r.contains(21));
        assert!(r.overlaps(TimeRange::new(20, 30)) && !r.overlaps(TimeRange::new(21, 30)));
        assert!(!r.overlaps(TimeRange::EMPTY) && !TimeRange::ALL.overlaps(TimeRange::EMPTY));
        assert_eq!(TimeRange::EMPTY.including(5), TimeRange::new(5, 5));
        assert_eq!(r.hull(TimeRange::EMPTY), r);
        assert!(r.covers(TimeRange::EMPTY) && r.covers(r) && !r.covers(TimeRange::new(9, 20)));
    }
}
