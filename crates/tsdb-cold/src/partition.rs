//! Partitions: a cold file's samples lie in one UTC day, and its directory names that day, as Hive-style
//! readers expect: `data/day=2026-01-31/`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tsdb_core::TimeRange;

const DAY_MS: i64 = 86_400_000;
const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// One UTC day: days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(i32);

impl Partition {
    /// The partition that a timestamp (milliseconds since the Unix epoch) lies in.
    ///
    /// # Panics
    /// Never for the timestamps that a store accepts: 0001-01-01 to 9999-12-31.
    #[must_use]
    pub fn of(timestamp_ms: i64) -> Self {
        let day = timestamp_ms.div_euclid(DAY_MS);
        Self(i32::try_from(day).expect("invariant: stored timestamps lie in the years 1 to 9999"))
    }

    /// The closed range of the partition's timestamps.
    #[must_use]
    pub fn time_range(self) -> TimeRange {
        let start_ms = i64::from(self.0) * DAY_MS;
        TimeRange::new(start_ms, start_ms + DAY_MS - 1)
    }

    fn date(self) -> Date {
        EPOCH.saturating_add(jiff::Span::new().days(self.0))
    }
}

/// `2026-01-31`.
impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

impl FromStr for Partition {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let date: Date = text.parse()?;
        Ok(Self(EPOCH.until(date)?.get_days()))
    }
}

impl Serialize for Partition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Partition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|e| de::Error::custom(format!("{text:?} is not a day: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use tsdb_core::{MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS};

    use super::*;

    fn check(timestamp_ms: i64, day: &str) {
        let partition = Partition::of(timestamp_ms);
        assert_eq!(partition.to_string(), day);
        assert_eq!(day.parse::<Partition>().unwrap(), partition);
        assert!(partition.time_range().contains(timestamp_ms));
    }

    #[test]
    fn days_begin_at_midnight_utc_also_before_1970() {
        check(0, "1970-01-01");
        check(DAY_MS - 1, "1970-01-01");
        check(DAY_MS, "1970-01-02");
        check(-1, "1969-12-31");
        check(1_767_225_600_000, "2026-01-01");
        check(MIN_TIMESTAMP_MS, "0001-01-01");
        check(MAX_TIMESTAMP_MS, "9999-12-31");
    }

    #[test]
    fn what_is_not_a_day_is_refused() {
        for text in ["", "2026-02-30", "day=2026-01-01", "yesterday"] {
            assert!(text.parse::<Partition>().is_err(), "{text:?}");
        }
    }
}
