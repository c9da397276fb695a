//! A batch of samples in row order.

use tsdb_core::{Series, TimeRange};

/// The samples of several series in row order: the rows are the series in order, each one's samples by time.
///
/// Adjacent series may have equal label sets: a table whose rows do not ascend in time within a series is
/// read as several runs of it, so that no row is lost or moved.
#[derive(Clone, Debug, Default)]
pub struct SampleBatch {
    /// The series, in row order.
    pub series: Vec<Series>,
}

impl SampleBatch {
    /// A batch of `series`.
    #[must_use]
    pub fn new(series: Vec<Series>) -> Self {
        Self { series }
    }

    /// The number of samples, which is the number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.series.iter().map(|s| s.samples.timestamps_ms.len() + s.samples.histograms.len()).sum()
    }

    /// The smallest range that holds every sample; empty when there is none.
    #[must_use]
    pub fn time_range(&self) -> TimeRange {
        self.series.iter().fold(TimeRange::EMPTY, |range, s| range.hull(s.samples.time_range()))
    }

    /// Whether a row holds a native histogram.
    #[must_use]
    pub fn has_histograms(&self) -> bool {
        self.series.iter().any(|s| !s.samples.histograms.is_empty())
    }
}
