//! Rows that a caller names by their numbers in the file, such as an index that knows where a series lies.

use std::ops::Range;

use parquet::arrow::arrow_reader::RowSelection;
use parquet::file::metadata::ParquetMetaData;

/// Ranges of row numbers that ascend and do not touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowRanges(Vec<Range<u64>>);

impl RowRanges {
    /// The rows in any of `ranges`, which may come in any order and overlap.
    pub(super) fn new(mut ranges: Vec<Range<u64>>) -> Self {
        ranges.retain(|range| !range.is_empty());
        ranges.sort_unstable_by_key(|range| range.start);
        let mut united: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match united.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => united.push(range),
            }
        }
        Self(united)
    }

    /// The rows that are in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        let (mut mine, mut others) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(a), Some(b)) = (mine.peek(), others.peek()) {
            let range = a.start.max(b.start)..a.end.min(b.end);
            if a.end <= b.end {
                mine.next()
            } else {
                others.next()
            };
            if !range.is_empty() {
                both.push(range);
            }
        }
        Self(both)
    }

    /// Those of `row_groups` that hold one of the rows.
    pub(super) fn row_groups(&self, metadata: &ParquetMetaData, row_groups: Vec<usize>) -> Vec<usize> {
        let spans = group_spans(metadata);
        row_groups.into_iter().filter(|&group| self.within(&spans[group]).next().is_some()).collect()
    }

    /// The rows among those of `row_groups`, one group after the other.
    pub(super) fn selection(&self, metadata: &ParquetMetaData, row_groups: &[usize]) -> RowSelection {
        let spans = group_spans(metadata);
        let mut selected = Vec::new();
        let mut before = 0;
        for &group in row_groups {
            let span = &spans[group];
            // Rows of one file are counted in memory while they are selected.
            let at = |row: u64| usize::try_from(before + row - span.start).unwrap_or(usize::MAX);
            selected.extend(self.within(span).map(|rows| at(rows.start)..at(rows.end)));
            before += span.end - span.start;
        }
        let total = usize::try_from(before).unwrap_or(usize::MAX);
        RowSelection::from_consecutive_ranges(selected.into_iter(), total)
    }

    /// The parts that lie in `span`.
    fn within(&self, span: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let first = self.0.partition_point(|range| range.end <= span.start);
        let (start, end) = (span.start, span.end);
        self.0[first..]
            .iter()
            .take_while(move |range| range.start < end)
            .map(move |range| range.start.max(start)..range.end.min(end))
    }
}

/// The row numbers of each row group.
fn group_spans(metadata: &ParquetMetaData) -> Vec<Range<u64>> {
    let mut next = 0;
    let span = |group: &parquet::file::metadata::RowGroupMetaData| {
        let start = next;
        // The footer's check has refused negative counts.
        next += u64::try_from(group.num_rows()).unwrap_or_default();
        start..next
    };
    metadata.row_groups().iter().map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_united_and_cut_to_a_span() {
        let rows = RowRanges::new(vec![7..9, 0..2, 5..5, 1..3, 9..10]);
        assert_eq!(rows, RowRanges(vec![0..3, 7..10]));
        let within = |span: Range<u64>| rows.within(&span).collect::<Vec<_>>();
        assert_eq!(within(0..20), [0..3, 7..10]);
        assert_eq!(within(2..8), [2..3, 7..8]);
        assert!(within(3..7).is_empty() && within(10..20).is_empty());

        let both = |other: &[Range<u64>]| rows.intersection(&RowRanges::new(other.to_vec()));
        assert_eq!(both(&[2..8, 9..30]), RowRanges(vec![2..3, 7..8, 9..10]));
        assert_eq!(both(&[]), RowRanges(Vec::new()));
    }
}
