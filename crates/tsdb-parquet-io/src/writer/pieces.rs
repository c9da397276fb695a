//! Cutting a batch into pieces of bounded size before it becomes arrays.
//!
//! A row of an Arrow table repeats its series' labels in the map column, so a batch of few samples can become
//! gigabytes. A piece ends where its rows or their estimated bytes reach a limit, inside a series if need be.

use std::borrow::Cow;

use tsdb_core::{Buckets, Histogram, SampleBuffer, Series};
use tsdb_schema::SampleBatch;

/// Most rows of a piece: twice what callers collect as a rule, so that an ordinary batch is not copied.
pub(super) const PIECE_ROWS: usize = 128 * 1024;
/// Estimated bytes of a piece: labels repeated for each row, and histograms.
pub(super) const PIECE_BYTES: usize = 4 << 20;

/// The pieces of `batch`, in order. A batch that is small enough is its own, uncopied piece.
pub(super) fn pieces(batch: &SampleBatch) -> impl Iterator<Item = Cow<'_, SampleBatch>> {
    let mut whole = fits(batch).then_some(Cow::Borrowed(batch));
    let mut cutter = Cutter { batch, series: 0, floats: 0, histograms: 0 };
    let cut = whole.is_none();
    std::iter::from_fn(move || if cut { cutter.next_piece().map(Cow::Owned) } else { whole.take() })
}

fn fits(batch: &SampleBatch) -> bool {
    let bytes: usize = batch.series.iter().map(bytes_of).sum();
    batch.rows() <= PIECE_ROWS && bytes <= PIECE_BYTES
}

/// Estimated bytes of a series' rows: labels repeated for each, and histograms.
pub(super) fn bytes_of(series: &Series) -> usize {
    let samples = &series.samples;
    let rows = samples.timestamps_ms.len() + samples.histograms.len();
    let histograms: usize = samples.histograms.iter().map(|(_, h)| histogram_bytes(h)).sum();
    rows * series.labels.as_bytes().len() + histograms
}

fn histogram_bytes(histogram: &Histogram) -> usize {
    let counts = match &histogram.buckets {
        Buckets::Int { positive, negative, .. } => positive.len() + negative.len(),
        Buckets::Float { positive, negative, .. } => positive.len() + negative.len(),
    };
    let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
    8 * (counts + spans + histogram.custom_bounds.len())
}

/// Where the next piece begins: a series of the batch, and the samples of it that are already out.
struct Cutter<'a> {
    batch: &'a SampleBatch,
    series: usize,
    floats: usize,
    histograms: usize,
}

impl Cutter<'_> {
    fn next_piece(&mut self) -> Option<SampleBatch> {
        let mut piece = SampleBatch::default();
        let (mut rows, mut bytes) = (0, 0);
        while let Some(series) = self.batch.series.get(self.series) {
            let mut part = SampleBuffer::default();
            let label_bytes = series.labels.as_bytes().len();
            // A row that is too large by itself still goes, alone.
            while rows < PIECE_ROWS && (bytes < PIECE_BYTES || rows == 0) {
                match self.next_row(&series.samples, &mut part) {
                    Some(row_bytes) => bytes += row_bytes + label_bytes,
                    None => break,
                }
                rows += 1;
            }
            let done = self.floats == series.samples.timestamps_ms.len()
                && self.histograms == series.samples.histograms.len();
            if !part.is_empty() {
                piece.series.push(Series { labels: series.labels.clone(), samples: part });
            }
            if !done {
                break;
            }
            (self.series, self.floats, self.histograms) = (self.series + 1, 0, 0);
        }
        (rows > 0).then_some(piece)
    }

    /// Moves the next sample by time to `part`. Returns the bytes of it that are not labels.
    fn next_row(&mut self, samples: &SampleBuffer, part: &mut SampleBuffer) -> Option<usize> {
        let float = samples.timestamps_ms.get(self.floats).copied();
        let histogram = samples.histograms.get(self.histograms);
        match (float, histogram) {
            (Some(float_ms), next) if next.is_none_or(|(ms, _)| float_ms < *ms) => {
                part.timestamps_ms.push(float_ms);
                part.values.push(samples.values[self.floats]);
                self.floats += 1;
                Some(0)
            }
            (_, Some((ms, histogram))) => {
                part.histograms.push((*ms, std::sync::Arc::clone(histogram)));
                self.histograms += 1;
                Some(histogram_bytes(histogram))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tsdb_core::Labels;

    use super::*;

    fn series(name: &str, label_bytes: usize, rows: usize) -> Series {
        let long = "x".repeat(label_bytes);
        let labels = Labels::from_pairs([("__name__", name), ("long", &long)]).unwrap();
        let timestamps_ms: Vec<i64> = (0_i64..).take(rows).collect();
        let samples = SampleBuffer { values: vec![1.0; rows], timestamps_ms, histograms: Vec::new() };
        Series { labels, samples }
    }

    #[test]
    fn pieces_hold_the_rows_of_the_batch_in_order_and_within_the_limits() {
        let batch = SampleBatch::new(vec![
            series("a", 1, 10),
            series("b", 1 << 20, 100),
            series("c", 64 << 20, 3),
            series("d", 1, 3 * PIECE_ROWS),
        ]);
        let mut rebuilt: Vec<(Labels, Vec<i64>)> = Vec::new();
        let mut count = 0;
        for piece in pieces(&batch) {
            count += 1;
            assert!(piece.rows() <= PIECE_ROWS && piece.rows() > 0);
            for part in &piece.series {
                match rebuilt.last_mut() {
                    Some((labels, times)) if *labels == part.labels => {
                        times.extend(&part.samples.timestamps_ms);
                    }
                    _ => rebuilt.push((part.labels.clone(), part.samples.timestamps_ms.clone())),
                }
            }
        }
        assert!(count >= 3 + 3 + 3, "{count} pieces");
        assert_eq!(rebuilt.len(), batch.series.len());
        for (found, given) in rebuilt.iter().zip(&batch.series) {
            assert!(found.0 == given.labels && found.1 == given.samples.timestamps_ms);
        }
    }

    #[test]
    fn a_small_batch_is_one_uncopied_piece() {
        let batch = SampleBatch::new(vec![series("a", 1, 10)]);
        let all: Vec<_> = pieces(&batch).collect();
        assert!(matches!(all.as_slice(), [Cow::Borrowed(_)]));
    }
}
