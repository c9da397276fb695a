//! The functions of an aggregation: what is kept of the samples of a window, a slice at a time.

/// What the samples of one window come to.
pub(super) trait Fold: Copy + Default + Send + 'static {
    /// Whether histograms count; their values are not looked at.
    const COUNTS_HISTOGRAMS: bool = false;

    /// Takes in samples of one series, by time; none is a staleness marker.
    fn add(&mut self, timestamps_ms: &[i64], values: &[f64]);

    /// Takes in histograms of one series.
    fn add_histograms(&mut self, _count: u64) {}

    /// What they come to. Something was taken in.
    fn value(self) -> f64;
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count(u64);

impl Fold for Count {
    const COUNTS_HISTOGRAMS: bool = true;

    fn add(&mut self, _timestamps_ms: &[i64], values: &[f64]) {
        self.0 += values.len() as u64;
    }

    fn add_histograms(&mut self, count: u64) {
        self.0 += count;
    }

    fn value(self) -> f64 {
        self.0 as f64
    }
}

/// A sum, and what rounding has taken from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
    is_begun: bool,
}

impl Fold for Sum {
    fn add(&mut self, _timestamps_ms: &[i64], values: &[f64]) {
        let Self { mut sum, mut lost, is_begun } = *self;
        let mut values = values;
        // To begin with 0.0 would make 0.0 of a sum of -0.0.
        if !is_begun && let Some((&first, rest)) = values.split_first() {
            (sum, values) = (first, rest);
        }
        for &value in values {
            // Knuth's exact sum without branches: what Neumaier's distinction of cases comes to.
            let next = sum + value;
            let of_value = next - sum;
            lost += (sum - (next - of_value)) + (value - of_value);
            sum = next;
        }
        *self = Self { sum, lost, is_begun: true };
    }

    fn value(self) -> f64 {
        let Self { sum, lost, .. } = self;
        if sum.is_nan() {
            // Which payload a sum of several NaNs has is the processor's business.
            return f64::NAN;
        }
        // Of infinities nothing is lost to rounding, and their difference is NaN. Nothing lost must not turn -0.0 to 0.0.
        if lost.is_finite() && lost != 0.0 { sum + lost } else { sum }
    }
}

/// The sum divided by the count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Average {
    sum: Sum,
    count: Count,
}

impl Fold for Average {
    fn add(&mut self, timestamps_ms: &[i64], values: &[f64]) {
        self.sum.add(timestamps_ms, values);
        self.count.add(timestamps_ms, values);
    }

    fn value(self) -> f64 {
        self.sum.value() / self.count.value()
    }
}

/// The lowest that is not NaN, if any is not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Minimum(Option<f64>);

impl Fold for Minimum {
    fn add(&mut self, _timestamps_ms: &[i64], values: &[f64]) {
        self.0 = values.iter().fold(self.0, |best, &value| extreme(best, value, |a, b| a < b));
    }

    fn value(self) -> f64 {
        self.0.unwrap_or(f64::NAN)
    }
}

/// The highest that is not NaN, if any is not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Maximum(Option<f64>);

impl Fold for Maximum {
    fn add(&mut self, _timestamps_ms: &[i64], values: &[f64]) {
        self.0 = values.iter().fold(self.0, |best, &value| extreme(best, value, |a, b| a > b));
    }

    fn value(self) -> f64 {
        self.0.unwrap_or(f64::NAN)
    }
}

fn extreme(best: Option<f64>, value: f64, is_better: impl Fn(f64, f64) -> bool) -> Option<f64> {
    match best {
        Some(best) if !is_better(value, best) => Some(best),
        _ if value.is_nan() => best,
        _ => Some(value),
    }
}

/// The first one in time, of the first series.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct First(Option<(i64, f64)>);

impl Fold for First {
    fn add(&mut self, timestamps_ms: &[i64], values: &[f64]) {
        if let (Some(&at_ms), Some(&value)) = (timestamps_ms.first(), values.first())
            && self.0.is_none_or(|(best_ms, _)| at_ms < best_ms)
        {
            self.0 = Some((at_ms, value));
        }
    }

    fn value(self) -> f64 {
        self.0.map_or(f64::NAN, |(_, value)| value)
    }
}

/// The last one in time, of the last series.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Last(Option<(i64, f64)>);

impl Fold for Last {
    fn add(&mut self, timestamps_ms: &[i64], values: &[f64]) {
        if let (Some(&at_ms), Some(&value)) = (timestamps_ms.last(), values.last())
            && self.0.is_none_or(|(best_ms, _)| at_ms >= best_ms)
        {
            self.0 = Some((at_ms, value));
        }
    }

    fn value(self) -> f64 {
        self.0.map_or(f64::NAN, |(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    /// What the values come to, however they are cut into slices.
    fn check<F: Fold>(values: &[f64], expected: f64) {
        for cut in 0..=values.len() {
            let mut fold = F::default();
            let (a, b) = values.split_at(cut);
            for part in [a, b].into_iter().filter(|part| !part.is_empty()) {
                fold.add(&vec![0; part.len()], part);
            }
            assert_eq!(fold.value().to_bits(), expected.to_bits(), "{values:?} cut at {cut}");
        }
    }

    #[test]
    fn sums_are_compensated_and_end_as_ieee_says() {
        check::<Sum>(&[1.0, 1e100, 1.0, -1e100], 2.0);
        check::<Sum>(&[0.1; 10], 1.0);
        check::<Sum>(&[-0.0, -0.0], -0.0);
        check::<Sum>(&[-0.0, 0.0], 0.0);
        check::<Sum>(&[1.0, INF, 2.0], INF);
        check::<Sum>(&[INF, 1.0, -INF], f64::NAN);
        check::<Sum>(&[f64::MAX, f64::MAX], INF);
        check::<Sum>(&[f64::from_bits(0xfff8_0000_0000_0042), 1.0], f64::NAN);
        check::<Average>(&[1.0, 2.0, 6.0], 3.0);
        check::<Average>(&[1e100, 3.0, -1e100], 1.0);
        check::<Count>(&[f64::NAN, 2.0, INF], 3.0);
    }

    #[test]
    fn extremes_leave_nan_out_unless_there_is_nothing_else() {
        check::<Minimum>(&[3.0, f64::NAN, -1.0, 2.0], -1.0);
        check::<Maximum>(&[f64::NAN, 3.0, -INF], 3.0);
        check::<Maximum>(&[-INF], -INF);
        check::<Minimum>(&[f64::from_bits(0x7ff8_0000_0000_0042)], f64::NAN);
        check::<Minimum>(&[0.0, -0.0], 0.0);
        check::<Maximum>(&[-0.0, 0.0], -0.0);
    }

    #[test]
    fn first_and_last_go_by_time_and_then_by_series() {
        let (mut first, mut last) = (First::default(), Last::default());
        for (timestamps_ms, values) in
            [(&[20, 30][..], &[1.0, 2.0][..]), (&[10, 30], &[3.0, 4.0]), (&[10], &[5.0])]
        {
            first.add(timestamps_ms, values);
            last.add(timestamps_ms, values);
        }
        assert_eq!((first.value(), last.value()), (3.0, 4.0));
    }
}
