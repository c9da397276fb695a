//! Known series that are scraped again and again: the data lie ready in the order in which scrapes bring them, so that
//! a measured loop reads them one after the other.

use tsdb_core::Labels;
use tsdb_workload::{Mixed, SERIES_PER_TARGET, wide_labels};

/// What `promtool tsdb bench write` makes: milliseconds between scrapes, the first value, and what each scrape adds.
const PROMTOOL: (i64, f64, f64) = (30_000, 123_456_789.0, 1000.0);

/// Series and their samples, scrape after scrape.
pub struct Scrapes {
    labels: Vec<Labels>,
    /// For each scrape and each target.
    timestamps_ms: Vec<i64>,
    /// For each scrape and each series.
    values: Vec<f64>,
}

impl Scrapes {
    /// The mixed workload of `series` series, a multiple of a target's.
    #[must_use]
    pub fn mixed(series: usize, scrapes: usize) -> Self {
        let workload = Mixed::new(series, scrapes).generate();
        let mut made = Self { labels: Vec::new(), timestamps_ms: Vec::new(), values: Vec::new() };
        made.labels.extend((0..series).map(|i| workload.labels(i).clone()));
        for scrape in 0..scrapes {
            made.timestamps_ms.extend(workload.targets().iter().map(|target| target.timestamps(0)[scrape]));
            made.values.extend((0..series).map(|i| workload.values(i)[scrape]));
        }
        made
    }

    /// Wide label sets with the samples that `promtool tsdb bench write` makes; `series` is a multiple of a target's.
    #[must_use]
    pub fn promtool(series: usize, scrapes: usize) -> Self {
        let (step_ms, first, step) = PROMTOOL;
        let start_ms = Mixed::default().start_ms;
        let targets = series / SERIES_PER_TARGET;
        let each = |n: usize| (0..scrapes).flat_map(move |scrape| std::iter::repeat_n(scrape, n));
        Self {
            labels: wide_labels(series, 1),
            timestamps_ms: each(targets).map(|scrape| start_ms + scrape as i64 * step_ms).collect(),
            values: each(series).map(|scrape| first + scrape as f64 * step).collect(),
        }
    }

    /// The label set of each series.
    #[must_use]
    pub fn labels(&self) -> &[Labels] {
        &self.labels
    }

    /// Samples in all.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.values.len()
    }

    /// For each scrape the value of each series.
    pub fn values(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.labels.len())
    }

    /// When a scrape found a series.
    #[must_use]
    pub fn timestamp_ms(&self, scrape: usize, series: usize) -> i64 {
        self.timestamps_ms[scrape * (self.labels.len() / SERIES_PER_TARGET) + series / SERIES_PER_TARGET]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixed_workload_is_only_turned_around() {
        let (scrapes, workload) = (Scrapes::mixed(300, 4), Mixed::new(300, 4).generate());
        assert_eq!((scrapes.samples(), scrapes.values().count()), (1200, 4));
        for (scrape, values) in scrapes.values().enumerate() {
            for (series, value) in values.iter().enumerate() {
                assert_eq!(&scrapes.labels()[series], workload.labels(series));
                assert_eq!(scrapes.timestamp_ms(scrape, series), workload.timestamps(series)[scrape]);
                assert_eq!(*value, workload.values(series)[scrape]);
            }
        }
    }

    #[test]
    fn promtools_samples_are_thirty_seconds_and_a_thousand_apart() {
        let scrapes = Scrapes::promtool(200, 3);
        assert_eq!(scrapes.timestamp_ms(2, 199) - scrapes.timestamp_ms(0, 0), 60_000);
        assert_eq!(scrapes.values().nth(1).map(|values| values[7]), Some(123_457_789.0));
    }
}
