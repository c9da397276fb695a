//! The kinds of series in a scrape target and how many of each it has.

/// What a series measures, and so how its values behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A counter of whole events; 30 in a target, about a third of them idle; resets now and then.
    CounterInteger,
    /// A counter of CPU seconds with two decimals, as `node_cpu_seconds_total`; 10 in a target.
    CounterCentisecond,
    /// A random walk with two decimals, such as a temperature; 15 in a target.
    GaugeTwoDecimals,
    /// A large whole number that changes at some scrapes, such as bytes in use; 10 in a target.
    GaugeInteger,
    /// A value that never changes, such as a limit; 10 in a target.
    GaugeConstant,
    /// One bucket of a classic histogram, cumulative over `le` and over time; 15 (one histogram) in a target.
    Bucket,
    /// A ratio in 0..=1 that uses all bits of its mantissa; 10 in a target.
    Ratio,
}

impl Kind {
    /// Every kind, in the order of a target's rows.
    pub const ALL: [Self; 7] = [
        Self::CounterInteger,
        Self::CounterCentisecond,
        Self::GaugeTwoDecimals,
        Self::GaugeInteger,
        Self::GaugeConstant,
        Self::Bucket,
        Self::Ratio,
    ];

    /// How many of the 100 series of a target are of this kind.
    #[must_use]
    pub const fn series_per_target(self) -> usize {
        match self {
            Self::CounterInteger => 30,
            Self::GaugeTwoDecimals | Self::Bucket => 15,
            Self::CounterCentisecond | Self::GaugeInteger | Self::GaugeConstant | Self::Ratio => 10,
        }
    }

    /// A short name for tables: `counter_int`, `counter_centi`, `gauge_2dec`, `gauge_int`, `gauge_const`,
    /// `bucket`, `ratio`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CounterInteger => "counter_int",
            Self::CounterCentisecond => "counter_centi",
            Self::GaugeTwoDecimals => "gauge_2dec",
            Self::GaugeInteger => "gauge_int",
            Self::GaugeConstant => "gauge_const",
            Self::Bucket => "bucket",
            Self::Ratio => "ratio",
        }
    }

    /// The kind of row `row` (`0..100`) of a target.
    pub(crate) fn of_row(row: usize) -> Self {
        let mut end = 0;
        for kind in Self::ALL {
            end += kind.series_per_target();
            if row < end {
                return kind;
            }
        }
        unreachable!("a target has 100 rows, there is no row {row}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_a_hundred_rows() {
        assert_eq!(Kind::ALL.iter().map(|kind| kind.series_per_target()).sum::<usize>(), 100);
        for kind in Kind::ALL {
            assert_eq!((0..100).filter(|&row| Kind::of_row(row) == kind).count(), kind.series_per_target());
        }
    }
}
