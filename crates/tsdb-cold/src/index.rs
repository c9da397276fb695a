//! The in-memory index of the cold tier: which files can hold samples of a time range. Built from a catalog
//! snapshot alone: no file is opened for it.

use std::sync::Arc;

use tsdb_core::TimeRange;

use crate::{CatalogSnapshot, ColdFile};

/// The live files of one catalog snapshot, by time.
#[derive(Clone, Debug)]
pub struct ColdBlockIndex {
    /// Sorted by first timestamp.
    files: Vec<Arc<ColdFile>>,
    /// For each file, the last timestamp of it and all before it: where a search may stop.
    max_time_so_far_ms: Vec<i64>,
}

impl ColdBlockIndex {
    /// The index of a snapshot's files.
    #[must_use]
    pub fn new(snapshot: &CatalogSnapshot) -> Self {
        let mut files = snapshot.files.clone();
        files.sort_by_key(|f| f.min_time_ms);
        let running_max = |max: &mut i64, file: &Arc<ColdFile>| {
            *max = (*max).max(file.max_time_ms);
            Some(*max)
        };
        let max_time_so_far_ms = files.iter().scan(i64::MIN, running_max).collect();
        Self { files, max_time_so_far_ms }
    }

    /// The files that overlap `range`, by first timestamp.
    pub fn candidates(&self, range: TimeRange) -> impl Iterator<Item = &Arc<ColdFile>> {
        let from = self.max_time_so_far_ms.partition_point(|max| *max < range.start_ms);
        let to = self.files.partition_point(|f| f.min_time_ms <= range.end_ms);
        self.files[from.min(to)..to].iter().filter(move |f| f.time_range().overlaps(range))
    }

    /// How many files there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The closed range of all files' timestamps.
    #[must_use]
    pub fn time_range(&self) -> TimeRange {
        self.files.iter().fold(TimeRange::EMPTY, |range, file| range.hull(file.time_range()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileId, Partition};

    fn index(ranges: &[(i64, i64)]) -> ColdBlockIndex {
        let file = |(n, (min_time_ms, max_time_ms)): (usize, &(i64, i64))| ColdFile {
            path: FileId(n.to_string()),
            bytes: 1,
            partition: Partition::of(0),
            min_time_ms: *min_time_ms,
            max_time_ms: *max_time_ms,
            min_sequence: 1,
            max_sequence: 1,
            level: 0,
            tombstones_below: 0,
            series: 1,
            samples: 1,
            checksum: String::new(),
            label_bloom: None,
        };
        let files = ranges.iter().enumerate().map(file).map(Arc::new).collect();
        ColdBlockIndex::new(&CatalogSnapshot { files, ..Default::default() })
    }

    #[test]
    fn candidates_are_exactly_the_files_that_overlap() {
        let ranges = [(0, 100), (10, 20), (30, 40), (35, 36), (90, 200), (150, 160)];
        let index = index(&ranges);
        for start in -1..=201 {
            for end in [start - 1, start, start + 1, start + 25, 500] {
                let range = TimeRange::new(start, end);
                let mut found: Vec<_> = index.candidates(range).map(|f| f.time_range()).collect();
                let mut expected: Vec<_> =
                    ranges.iter().map(|r| TimeRange::new(r.0, r.1)).filter(|r| r.overlaps(range)).collect();
                found.sort_by_key(|r| (r.start_ms, r.end_ms));
                expected.sort_by_key(|r| (r.start_ms, r.end_ms));
                assert_eq!(found, expected, "{range:?}");
            }
        }
        assert_eq!(index.time_range(), TimeRange::new(0, 200));
        assert_eq!(index.candidates(TimeRange::ALL).count(), ranges.len());
    }
}
