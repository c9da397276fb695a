//! The k-way merge of series from several sources: for conversion, for compaction, and for the query over
//! all tiers.
//!
//! Each source yields each of its series once, in label order. The merge does the same; where sources hold
//! the same series, its samples are joined, and at one timestamp the source with the higher sequence wins.
//! Memory: one series of each source.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tsdb_core::Series;

/// A label-sorted stream of series, and the sequence that ranks it among others.
pub struct SeriesSource<'a, E> {
    /// Between sources, at one timestamp of one series, the higher sequence wins. Sources may share a
    /// sequence when they share no timestamp of a series, or hold the same samples.
    pub sequence: u64,
    /// The series: each once, in ascending label order.
    pub series: BoxStream<'a, Result<Series, E>>,
}

/// A source's next series, ordered by label set, then sequence.
struct Head {
    series: Series,
    sequence: u64,
    source: usize,
}

impl Head {
    fn key(&self) -> (&tsdb_core::Labels, u64, usize) {
        (&self.series.labels, self.sequence, self.source)
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

struct Merge<'a, E> {
    sources: Vec<SeriesSource<'a, E>>,
    /// Sources whose next series is not in the heap yet.
    pending: Vec<usize>,
    heads: BinaryHeap<Reverse<Head>>,
}

impl<E> Merge<'_, E> {
    async fn next(&mut self) -> Result<Option<Series>, E> {
        while let Some(source) = self.pending.pop() {
            let SeriesSource { sequence, series } = &mut self.sources[source];
            if let Some(next) = series.next().await {
                self.heads.push(Reverse(Head { series: next?, sequence: *sequence, source }));
            }
        }
        let Some(Reverse(Head { mut series, source, .. })) = self.heads.pop() else { return Ok(None) };
        self.pending.push(source);
        while self.heads.peek().is_some_and(|Reverse(head)| head.series.labels == series.labels) {
            if let Some(Reverse(head)) = self.heads.pop() {
                series.samples.merge_newer(head.series.samples);
                self.pending.push(head.source);
            }
        }
        Ok(Some(series))
    }
}

/// Merges `sources` into one label-sorted stream. It ends at the first error.
pub fn merge_series<'a, E: Send + 'a>(
    mut sources: Vec<SeriesSource<'a, E>>,
) -> BoxStream<'a, Result<Series, E>> {
    if sources.len() == 1 {
        return sources.remove(0).series;
    }
    let pending = (0..sources.len()).collect();
    let merge = Merge { sources, pending, heads: BinaryHeap::new() };
    let step = |state: Option<Merge<'a, E>>| async move {
        let mut merge = state?;
        match merge.next().await {
            Ok(Some(series)) => Some((Ok(series), Some(merge))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    };
    stream::unfold(Some(merge), step).boxed()
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use tsdb_core::{Labels, SampleBuffer, SampleValue};

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn series(name: &str, samples: &[(i64, f64)]) -> Series {
        let mut buffer = SampleBuffer::default();
        for (ms, value) in samples {
            buffer.push(*ms, SampleValue::Float(*value));
        }
        Series { labels: Labels::from_pairs([("__name__", name)]).unwrap(), samples: buffer }
    }

    fn source(sequence: u64, items: Vec<Result<Series, String>>) -> SeriesSource<'static, String> {
        SeriesSource { sequence, series: stream::iter(items).boxed() }
    }

    fn merged(sources: Vec<SeriesSource<'static, String>>) -> Result<Vec<(String, Vec<(i64, f64)>)>, String> {
        let all: Vec<Series> = block_on(merge_series(sources).try_collect())?;
        let flat = |s: Series| {
            let samples = s.samples.timestamps_ms.iter().copied().zip(s.samples.values.iter().copied());
            (s.labels.get("__name__").unwrap_or_default().to_owned(), samples.collect())
        };
        Ok(all.into_iter().map(flat).collect())
    }

    #[test]
    fn series_come_once_in_label_order_and_the_higher_sequence_wins() {
        let sources = || {
            vec![
                source(7, vec![Ok(series("a", &[(2, 72.0)])), Ok(series("c", &[(1, 71.0)]))]),
                source(3, vec![Ok(series("a", &[(1, 31.0), (2, 32.0)])), Ok(series("b", &[(1, 31.0)]))]),
                source(9, vec![Ok(series("a", &[(3, 93.0)]))]),
                source(5, vec![]),
            ]
        };
        let expected = vec![
            ("a".to_owned(), vec![(1, 31.0), (2, 72.0), (3, 93.0)]),
            ("b".to_owned(), vec![(1, 31.0)]),
            ("c".to_owned(), vec![(1, 71.0)]),
        ];
        assert_eq!(merged(sources()).unwrap(), expected);
        // The order in which the sources are given means nothing.
        assert_eq!(merged(sources().into_iter().rev().collect()).unwrap(), expected);
        assert_eq!(merged(vec![]).unwrap(), vec![]);
    }

    #[test]
    fn an_error_of_a_source_ends_the_stream() {
        let failing =
            vec![Ok(series("a", &[(1, 1.0)])), Err("disk".to_owned()), Ok(series("z", &[(1, 1.0)]))];
        let sources = vec![source(1, failing), source(2, vec![Ok(series("b", &[(1, 2.0)]))])];
        let mut stream = merge_series(sources);
        assert!(block_on(stream.next()).unwrap().is_ok());
        assert_eq!(block_on(stream.next()).unwrap().unwrap_err(), "disk");
        assert!(block_on(stream.next()).is_none());
    }
}
