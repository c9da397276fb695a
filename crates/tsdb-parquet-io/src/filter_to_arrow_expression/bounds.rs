//! What the smallest and largest value of a label column say about a matcher.

use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use tsdb_core::{Candidates, Matcher};

/// Bounds of the values in a column chunk or page. Bounds may be wider than the values: writers truncate
/// them.
#[derive(Clone, Copy, Debug)]
pub(super) struct LabelBounds<'a> {
    /// At most the smallest value, in bytes.
    pub(super) min: &'a [u8],
    /// At least the largest value.
    pub(super) max: &'a [u8],
    /// Whether both are values themselves, not truncated ones.
    pub(super) exact: bool,
    /// Whether a row may lack the label.
    pub(super) may_be_missing: bool,
}

impl<'a> LabelBounds<'a> {
    /// The bounds of a column chunk; `None` when nothing certain is known. A chunk of nulls only has bounds
    /// that no value lies in.
    pub(super) fn of_chunk(column: &'a ColumnChunkMetaData) -> Option<Self> {
        let statistics @ Statistics::ByteArray(_) = column.statistics()? else { return None };
        let nulls = statistics.null_count_opt();
        if nulls.is_some_and(|nulls| i128::from(nulls) == i128::from(column.num_values())) {
            return Some(Self::all_missing());
        }
        // The deprecated fields of old writers compare bytes as signed numbers.
        if statistics.is_min_max_deprecated() {
            return None;
        }
        Some(Self {
            min: statistics.min_bytes_opt()?,
            max: statistics.max_bytes_opt()?,
            exact: statistics.min_is_exact() && statistics.max_is_exact(),
            may_be_missing: nulls != Some(0),
        })
    }

    /// The bounds of rows that all lack the label: those of the empty value alone.
    pub(super) fn all_missing() -> Self {
        Self { min: b"", max: b"", exact: true, may_be_missing: true }
    }

    /// Whether a value within the bounds may pass `matcher`.
    pub(super) fn may_match(&self, matcher: &Matcher) -> bool {
        if self.may_be_missing && matcher.matches_empty() {
            return true;
        }
        if self.exact && self.min == self.max {
            return std::str::from_utf8(self.min).map_or(true, |only| matcher.matches(only));
        }
        if matcher.op().is_negated() {
            return true;
        }
        match matcher.candidates() {
            Candidates::Literals(values) => values.iter().any(|value| self.may_hold(value.as_bytes())),
            Candidates::Prefix(prefix) => self.may_hold_prefix(prefix.as_bytes()),
            _ => true,
        }
    }

    fn may_hold(&self, value: &[u8]) -> bool {
        self.min <= value && value <= self.max
    }

    fn may_hold_prefix(&self, prefix: &[u8]) -> bool {
        self.max >= prefix && (self.min <= prefix || self.min.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use tsdb_core::MatchOp;

    use super::*;

    fn bounds<'a>(min: &'a str, max: &'a str, exact: bool, may_be_missing: bool) -> LabelBounds<'a> {
        LabelBounds { min: min.as_bytes(), max: max.as_bytes(), exact, may_be_missing }
    }

    #[test]
    fn bounds_rule_out_only_what_cannot_be() {
        use MatchOp::{Equal, NotEqual, NotRegex, Regex};
        let wide = bounds("api-1", "db", false, false);
        let one = bounds("api", "api", true, false);
        let sparse = bounds("api", "db", true, true);
        let none = LabelBounds::all_missing();
        for (bounds, op, value, expected) in [
            (wide, Equal, "api-2", true),
            (wide, Equal, "api-1", true),
            (wide, Equal, "db", true),
            (wide, Equal, "web", false),
            (wide, Equal, "a", false),
            (wide, Equal, "", false),
            (wide, NotEqual, "api-1", true),
            (wide, Regex, "api.*", true),
            (wide, Regex, "d.*", true),
            (wide, Regex, "dc.*", false),
            (wide, Regex, "web|x", false),
            (wide, Regex, "web|api-7", true),
            (wide, Regex, ".*z", true),
            (one, NotEqual, "api", false),
            (one, NotEqual, "db", true),
            (one, NotRegex, "a.*", false),
            (one, Regex, "b.*", false),
            (sparse, Equal, "", true),
            (sparse, NotEqual, "api", true),
            (none, Equal, "", true),
            (none, Equal, "api", false),
            (none, NotEqual, "", false),
            (none, Regex, ".*", true),
            (none, Regex, ".+", false),
        ] {
            let matcher = Matcher::new(op, "job", value).unwrap();
            assert_eq!(bounds.may_match(&matcher), expected, "{matcher} within {bounds:?}");
        }
    }
}
