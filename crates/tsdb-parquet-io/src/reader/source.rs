//! The one way to a file's bytes: ranges from an object store.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::{Error, Result};

/// A file in an object store.
#[derive(Clone)]
pub(super) struct Source {
    store: Arc<dyn ObjectStore>,
    path: Path,
    counters: Arc<ReadCounters>,
}

/// What readers of a file have read so far.
#[derive(Debug, Default)]
pub(super) struct ReadCounters {
    range_reads: AtomicU64,
    bytes_read: AtomicU64,
    pages_decoded: AtomicU64,
}

/// What a [`ParquetReader`](crate::ParquetReader) and its clones have read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadStatistics {
    /// Stretches of bytes that the store was asked for; neighbours count as one.
    pub range_reads: u64,
    /// Bytes of these.
    pub bytes_read: u64,
    /// Pages of timestamps and values that were found by the series index and decoded.
    pub pages_decoded: u64,
}

impl Source {
    pub(super) fn new(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { store, path, counters: Arc::default() }
    }

    /// What was read so far.
    pub(super) fn statistics(&self) -> ReadStatistics {
        let ReadCounters { range_reads, bytes_read, pages_decoded } = &*self.counters;
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ReadStatistics {
            range_reads: value(range_reads),
            bytes_read: value(bytes_read),
            pages_decoded: value(pages_decoded),
        }
    }

    /// Counts pages.
    pub(super) fn decoded(&self, pages: usize) {
        self.counters.pages_decoded.fetch_add(pages as u64, Ordering::Relaxed);
    }

    /// The path, for errors.
    pub(super) fn path(&self) -> &str {
        self.path.as_ref()
    }

    /// The length of the file in bytes; the store is asked only if it is not `known`.
    pub(super) async fn len_or(&self, known: Option<u64>) -> Result<u64> {
        match known {
            Some(len) => Ok(len),
            None => Ok(self.store.head(&self.path).await.map_err(Error::store(self.path()))?.size),
        }
    }

    /// The bytes of `range`.
    pub(super) async fn range(&self, range: Range<u64>) -> Result<Bytes> {
        let mut all = self.ranges(std::slice::from_ref(&range)).await?;
        all.pop().ok_or_else(|| self.short())
    }

    /// The bytes of each range. Neighbours are read as one, and the store coalesces others where that pays.
    pub(super) async fn ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if let Some(backwards) = ranges.iter().find(|r| r.start > r.end) {
            return Err(Error::damaged(self.path(), format!("its footer names the bytes {backwards:?}")));
        }
        let joined = joined(ranges);
        self.counters.range_reads.fetch_add(joined.len() as u64, Ordering::Relaxed);
        let total = joined.iter().map(|range| range.end - range.start).sum();
        self.counters.bytes_read.fetch_add(total, Ordering::Relaxed);
        let bytes = self.store.get_ranges(&self.path, &joined).await.map_err(Error::store(self.path()))?;
        let complete = bytes.len() == joined.len()
            && bytes.iter().zip(&joined).all(|(b, r)| b.len() as u64 == r.end - r.start);
        if !complete {
            return Err(self.short());
        }
        let part = |range: &Range<u64>| {
            if range.is_empty() {
                return Bytes::new();
            }
            let at = joined.partition_point(|whole| whole.end < range.end);
            let start = (range.start - joined[at].start) as usize;
            bytes[at].slice(start..start + (range.end - range.start) as usize)
        };
        Ok(ranges.iter().map(part).collect())
    }

    fn short(&self) -> Error {
        Error::damaged(self.path(), "the store returned fewer bytes than the file should have")
    }
}

/// The ranges that cover `ranges`, ascending, with gaps between them.
fn joined(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted: Vec<_> = ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => {
                last.end = last.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    joined
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.store, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_as_one() {
        let ranges = [90..95, 10..20, 15..16, 20..40, 95..95, 0..9];
        assert_eq!(joined(&ranges), [0..9, 10..40, 90..95]);
        assert!(joined(std::slice::from_ref(&(7..7))).is_empty());
    }

    #[tokio::test]
    async fn each_range_gets_its_bytes() {
        let store = object_store::memory::InMemory::new();
        let path = Path::from("file");
        let content: Vec<u8> = (0..50_000_u32).map(|i| (i / 7) as u8).collect();
        store.put(&path, content.clone().into()).await.unwrap();
        let source = Source::new(Arc::new(store), path);
        let ranges = [49_000..50_000, 3..3, 10..20, 15..8_000, 30_000..30_001, 0..1];
        let read = source.ranges(&ranges).await.unwrap();
        for (range, bytes) in ranges.iter().zip(read) {
            assert_eq!(bytes, content[range.start as usize..range.end as usize], "{range:?}");
        }
        assert!(source.range(49_999..50_001).await.is_err());
    }
}
